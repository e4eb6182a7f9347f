"""Traces of requests and of their database statements, for those who have a tool for traces: spans of OpenTelemetry,
sent by OTLP over HTTP.

The SDK comes with ``pip install 'bongsu[traces]'``, and is imported only if ``traces_url`` is set. A span has the
route, not the address, since addresses may contain what is secret. https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bongsu import __version__
from bongsu.core.errors import ConfigError
from bongsu.server.config import Settings
from bongsu.server.edge.statement_spans import StatementSpans

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

Lifespan = AbstractAsyncContextManager[None]

# Spans that wait for the receiver; beyond that the oldest are dropped, which the SDK logs.
QUEUED_SPANS = 2_048
EXPORT_SECONDS = 10


def with_traces(app: ASGIApp, lifespan: Lifespan, settings: Settings) -> tuple[ASGIApp, Lifespan]:
    """Both, traced if the settings say so: the spans that are left are sent at the end.

    Raises:
        ConfigError: the SDK is not installed.
    """
    if not settings.traces_url:
        return app, lifespan
    provider = make_provider(settings)
    return Traced(app, provider), _sending(lifespan, provider)


@asynccontextmanager
async def _sending(lifespan: Lifespan, provider: "TracerProvider") -> AsyncIterator[None]:
    statements = StatementSpans(provider)
    statements.start()
    try:
        async with lifespan:
            yield
    finally:
        statements.stop()
        await asyncio.to_thread(provider.shutdown)


def make_provider(settings: Settings) -> "TracerProvider":
    """Sends spans in a thread of its own, so that a receiver that is away delays nothing.

    Raises:
        ConfigError: the SDK is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
    except ImportError:
        raise ConfigError("Traces need more packages: pip install 'bongsu[traces]'.", field="traces_url") from None
    provider = TracerProvider(
        # Who comes with a trace has decided already.
        sampler=ParentBased(TraceIdRatioBased(settings.traces_ratio)),
        resource=Resource.create({"service.name": "bongsu", "service.version": __version__}),
    )
    exporter = OTLPSpanExporter(endpoint=settings.traces_url, timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=QUEUED_SPANS))
    return provider


class Traced:
    """An ASGI application with a span for each HTTP request."""

    def __init__(self, app: ASGIApp, provider: "TracerProvider") -> None:
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind, Status, StatusCode

        self._app = app
        self._tracer = provider.get_tracer("bongsu", __version__)
        self._extract = extract
        self._kind = SpanKind.SERVER
        self._error = Status(StatusCode.ERROR)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        with self._tracer.start_as_current_span(
            method,
            context=self._extract(_carrier(scope["headers"])),
            kind=self._kind,
            attributes={"http.request.method": method, "url.scheme": scope.get("scheme", "http")},
        ) as span:

            async def sent(message: Message) -> None:
                if message["type"] == "http.response.start":
                    route = _route(scope)
                    span.update_name(f"{method} {route}")
                    span.set_attributes({"http.route": route, "http.response.status_code": message["status"]})
                    known = _header(message.get("headers", ()), b"x-request-id")
                    if known:
                        span.set_attribute("bongsu.request_id", known)
                    if message["status"] >= 500:
                        span.set_status(self._error)
                await send(message)

            await self._app(scope, receive, sent)


def _route(scope: Scope) -> str:
    """``/api/servers/{server_id}``; of samples, which come to no route, the path; of the rest nothing."""
    path: Any = getattr(scope.get("route"), "path_format", None) or getattr(scope.get("route"), "path", None)
    if isinstance(path, str):
        return path
    return scope["path"] if scope["path"].startswith(("/api/metrics", "/api/v1/", "/v1/")) else "/*"


def _carrier(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    wanted = (b"traceparent", b"tracestate")
    return {name.decode(): value.decode("latin-1") for name, value in headers if name in wanted}


def _header(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in headers if name == wanted), "")
