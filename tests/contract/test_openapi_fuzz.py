"""schemathesis against the OpenAPI document: whatever comes in, no answer is a bug of ours (5xx)."""

from pathlib import Path

import httpx
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bongsu.wire.protobuf import CONTENT_TYPE
from tests.support.app import running_app
from tests.support.remote_write import writer_token

EXAMPLES = 12
REMOTE_WRITE, OTLP, PROMQL = "/api/v1/write", "/v1/metrics", "/api/v1/"
# Would end the session or the account that asks.
LEFT_OUT = {("DELETE", "/api/account/sessions")}


@schemathesis.serializer("application/x-protobuf")
def as_it_is(_context: object, value: object) -> bytes:
    return value if isinstance(value, bytes) else bytes(getattr(value, "data", str(value).encode()))


async def test_no_input_makes_a_bug(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        schema = schemathesis.openapi.from_dict(app.application.api.openapi())
        writer = await writer_token(app)
        cases = []
        for result in schema.get_all_operations():
            operation = result.ok()
            if (operation.method.upper(), operation.path) in LEFT_OUT:
                continue
            cases += examples(operation.as_strategy(), EXAMPLES)
        for case in cases:
            kwargs = case.as_transport_kwargs(base_url="http://127.0.0.1")
            kwargs.pop("cookies", None)
            if isinstance(kwargs.get("data"), bytes):
                kwargs["content"] = kwargs.pop("data")
            method, url = kwargs.pop("method"), kwargs.pop("url")
            headers = {"Authorization": app.client.headers["Authorization"]}
            if url.endswith((REMOTE_WRITE, OTLP)):
                headers = {"Authorization": f"Bearer {writer}"}
            if url.endswith(REMOTE_WRITE):
                headers |= {"Content-Encoding": "snappy"}
            kwargs["headers"] = dict(kwargs.get("headers") or {}) | headers
            try:
                response = await app.client.request(method, url, **kwargs)
            except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeEncodeError, TypeError):
                continue  # no client sends that
            assert response.status_code < 500 or response.status_code == 503, (method, url, kwargs, response.text)
            # Agents that send protobuf are answered in it, and OpenTelemetry has errors of its own.
            is_ours = response.headers.get("Content-Type") != CONTENT_TYPE and not url.endswith(OTLP)
            if PROMQL in url and response.json().get("status") == "error":  # as Prometheus tells errors
                assert {"status", "errorType", "error"} == set(response.json()), (method, url, response.text)
            elif response.status_code >= 400 and is_ours:
                assert {"code", "message", "field", "limit"} == set(response.json()["error"]), (
                    method,
                    url,
                    response.text,
                )


def examples(strategy: st.SearchStrategy, count: int) -> list:
    """Some of what a strategy makes."""
    found: list = []

    @settings(
        max_examples=count, database=None, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(strategy)
    def collect(case: object) -> None:
        found.append(case)

    collect()
    return found
