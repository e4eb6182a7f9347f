"""Spans of transactions and of their statements, below the span of a request.

They have the operation and the table, never the text with its values. What the hot paths of SQLite do with the driver's
own cursor has no span of its own, but is in that of its transaction.
https://opentelemetry.io/docs/specs/semconv/database/database-spans/
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext

from bongsu import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

TRANSACTION = "TRANSACTION"
_OPERATION = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)
_CHANGE = re.compile(r"\b(INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_TABLE = re.compile(r'\b(?:FROM|INTO|UPDATE)\s+"?(\w+)', re.IGNORECASE)
# Where the spans of a connection and of a statement are.
_KEY = "bongsu_span"


@lru_cache(1_024)
def kind_of(statement: str) -> tuple[str, str] | None:
    """The operation and the table, such as ``("SELECT", "servers")``; the table is empty if there is none. None for
    what begins and ends transactions, and for settings."""
    begin = _OPERATION.match(statement)
    if begin is None:
        return None
    operation = begin[1].upper()
    if operation == "WITH":
        change = _CHANGE.search(statement)
        operation = change[1].upper() if change else "SELECT"
        statement = statement[change.start() :] if change else statement
    table = _TABLE.search(statement)
    return operation, table[1] if table else ""


class StatementSpans:
    """Listens to all engines of this process between ``start`` and ``stop``."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry import trace

        self._trace = trace
        self._tracer = provider.get_tracer("bongsu", __version__)
        self._listeners: tuple[tuple[str, Callable[..., Any]], ...] = (
            ("begin", self._begun),
            ("commit", self._ended),
            ("rollback", self._ended),
            ("before_cursor_execute", self._executing),
            ("after_cursor_execute", self._executed),
            ("handle_error", self._failed),
        )

    def start(self) -> None:
        for name, listener in self._listeners:
            event.listen(Engine, name, listener)

    def stop(self) -> None:
        for name, listener in self._listeners:
            event.remove(Engine, name, listener)

    def _begun(self, connection: Connection) -> None:
        if self._trace.get_current_span().is_recording():
            connection.info[_KEY] = self._span(connection, TRANSACTION, {"db.operation.name": TRANSACTION})

    def _ended(self, connection: Connection) -> None:
        span = connection.info.pop(_KEY, None)
        if span is not None:
            span.end()

    def _executing(
        self, connection: Connection, _cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        parent = connection.info.get(_KEY)
        kind = kind_of(statement) if parent is not None and context is not None else None
        if kind is None:
            return
        operation, table = kind
        summary = f"{operation} {table}".rstrip()
        attributes: dict[str, Any] = {"db.operation.name": operation, "db.query.summary": summary}
        if table:
            attributes["db.collection.name"] = table
        if executemany and len(parameters) > 1:
            attributes["db.operation.batch.size"] = len(parameters)
        setattr(context, _KEY, self._span(connection, summary, attributes, parent))

    def _executed(
        self, _connection: Connection, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        span = getattr(context, _KEY, None)
        if span is not None:
            span.end()

    def _failed(self, failure: ExceptionContext) -> None:
        span = getattr(failure.execution_context, _KEY, None)
        if span is not None:
            # Not its text, which may have values.
            span.set_attribute("error.type", type(failure.original_exception).__name__)
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR))
            span.end()

    def _span(
        self, connection: Connection, name: str, attributes: dict[str, Any], parent: "Span | None" = None
    ) -> "Span":
        return self._tracer.start_span(
            name,
            context=None if parent is None else self._trace.set_span_in_context(parent),
            kind=self._trace.SpanKind.CLIENT,
            attributes={"db.system.name": connection.dialect.name, **attributes},
        )
