"""Traces of requests: a real API server sends spans to a receiver, with the routes and ids of requests and no secrets."""

import builtins
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from bongsu.core.errors import ConfigError
from bongsu.server.config import Settings
from bongsu.server.edge.statement_spans import StatementSpans
from bongsu.server.edge.traces import with_traces
from tests.support.app import running_app
from tests.support.endpoints import Endpoint, endpoint
from tests.support.processes import answers, bongsu, drained, free_port, logged_in, wait_for

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def spans(receiver: Endpoint) -> dict[str, Span]:
    """By name."""
    found = {}
    for request in receiver.received:
        for resource in ExportTraceServiceRequest.FromString(request.body).resource_spans:
            for scope in resource.scope_spans:
                found |= {span.name: span for span in scope.spans}
    return found


def attributes(span: Span) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_requests_are_traced_with_their_routes(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with endpoint() as receiver:
        traces = {"BONGSU_TRACES_URL": f"{receiver.url}/v1/traces", "BONGSU_TRACES_RATIO": "0"}
        arguments = ("server", "--role", "api", "--port", str(port), "--data-dir", str(tmp_path))
        with bongsu(*arguments, **traces) as process:
            lines = drained(process)
            wait_for(lambda: answers(url), "the API server")
            # Who sends a trace has decided that it is kept, whatever the ratio.
            traced = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            with logged_in(url) as client:
                answer = client.get("/api/servers/7/processes?secret=1", headers=traced)
                assert answer.status_code == 404
                client.get("/api/servers")  # not traced
            httpx.get(f"{url}/whatever", headers=traced)
            httpx.post(f"{url}/api/metrics", headers=traced)
            process.terminate()
            assert process.wait(60) == -signal.SIGTERM, lines
        found = spans(receiver)
    assert found.keys() == {"GET /api/servers/{server_id}/processes", "GET /{path}", "POST /api/metrics"}
    span = found["GET /api/servers/{server_id}/processes"]
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(span) == {
        "http.request.method": "GET",
        "url.scheme": "http",
        "http.route": "/api/servers/{server_id}/processes",
        "http.response.status_code": 404,
        "bongsu.request_id": answer.headers["x-request-id"],
    }
    assert span.end_time_unix_nano > span.start_time_unix_nano
    assert attributes(found["POST /api/metrics"])["http.response.status_code"] == 415


def test_a_receiver_that_is_away_costs_nothing(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    traces = {"BONGSU_TRACES_URL": f"http://127.0.0.1:{free_port()}/v1/traces", "BONGSU_TRACES_RATIO": "1"}
    with bongsu("server", "--role", "api", "--port", str(port), "--data-dir", str(tmp_path), **traces) as process:
        lines = drained(process)
        wait_for(lambda: answers(url), "the API server")
        assert httpx.get(f"{url}/api/health").json()["status"] == "ok"
        process.terminate()
        assert process.wait(60) == -signal.SIGTERM, lines


def test_without_the_sdk_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *arguments: Any, **more: Any) -> Any:
        if name.startswith("opentelemetry.sdk"):
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", missing)

    async def app(*_: object) -> None:
        """Never called."""

    with pytest.raises(ConfigError, match=r"pip install 'bongsu\[traces\]'"):
        with_traces(app, nullcontext(), Settings(traces_url="http://127.0.0.1:4318/v1/traces"))
    assert with_traces(app, nullcontext(), Settings())[0] is app


@contextmanager
def exported() -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    """Spans of this process, while statements are listened to."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    statements = StatementSpans(provider)
    statements.start()
    try:
        yield provider, exporter
    finally:
        statements.stop()
        provider.shutdown()


async def test_statements_of_a_request_have_spans_without_values(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        with exported() as (provider, exporter):
            with provider.get_tracer("test").start_as_current_span("request") as request:
                made = await app.client.post("/api/enrolment-tokens", json={"name": "secret-name"})
                assert made.status_code == 201, made.text
            of_request = exporter.get_finished_spans()
            exporter.clear()
            await app.get("/api/enrolment-tokens")
            assert exporter.get_finished_spans() == (), "nobody traces this one"
        transactions = {span.context.span_id: span for span in of_request if span.name == "TRANSACTION"}
        assert transactions
        for span in transactions.values():
            assert span.parent is not None
            assert span.parent.span_id == request.get_span_context().span_id
        (insert,) = [span for span in of_request if span.name == "INSERT enrolment_tokens"]
        assert insert.parent is not None
        assert insert.parent.span_id in transactions
        assert dict(insert.attributes or {}) == {
            "db.system.name": app.services.database.dialect,
            "db.operation.name": "INSERT",
            "db.collection.name": "enrolment_tokens",
            "db.query.summary": "INSERT enrolment_tokens",
        }
        assert insert.kind is SpanKind.CLIENT
        assert "secret-name" not in "".join(span.to_json() for span in of_request)


async def test_a_statement_that_fails_tells_its_error_without_its_text(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:

        def fail(connection: Connection) -> None:
            connection.execute(text("SELECT 'secret' FROM nowhere"))

        with exported() as (provider, exporter), provider.get_tracer("test").start_as_current_span("request"):
            with pytest.raises(DBAPIError):
                await app.services.database.read(fail)
            (span,) = [span for span in exporter.get_finished_spans() if span.name == "SELECT nowhere"]
            assert span.status.status_code is StatusCode.ERROR
            names = {"sqlite": "OperationalError", "postgresql": "ProgrammingError"}
            assert (span.attributes or {})["error.type"] == names[app.services.database.dialect]
            assert "secret" not in span.to_json()
            assert [span.name for span in exporter.get_finished_spans()].count("TRANSACTION") == 1, "it has ended too"


async def test_history_has_the_span_of_its_transaction(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        with exported() as (provider, exporter), provider.get_tracer("test").start_as_current_span("request"):
            answer = await app.client.get("/api/metrics/history", params={"metric": "cpu_usage_ratio"})
            assert answer.status_code == 200, answer.text
            assert "TRANSACTION" in [span.name for span in exporter.get_finished_spans()]
