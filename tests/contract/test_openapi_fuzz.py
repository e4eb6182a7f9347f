"""schemathesis against the OpenAPI document: whatever comes in, no answer is a bug of ours (5xx)."""

from pathlib import Path

import httpx
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.app import running_app

EXAMPLES = 12
# Would end the session or the account that asks.
LEFT_OUT = {("DELETE", "/api/account/sessions")}


async def test_no_input_makes_a_bug(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        schema = schemathesis.openapi.from_dict(app.application.api.openapi())
        cases = []
        for result in schema.get_all_operations():
            operation = result.ok()
            if (operation.method.upper(), operation.path) in LEFT_OUT:
                continue
            cases += examples(operation.as_strategy(), EXAMPLES)
        for case in cases:
            kwargs = case.as_transport_kwargs(base_url="http://127.0.0.1")
            kwargs.pop("cookies", None)
            method, url = kwargs.pop("method"), kwargs.pop("url")
            kwargs["headers"] = dict(kwargs.get("headers") or {}) | {
                "Authorization": app.client.headers["Authorization"]
            }
            try:
                response = await app.client.request(method, url, **kwargs)
            except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeEncodeError, TypeError):
                continue  # no client sends that
            assert response.status_code < 500 or response.status_code == 503, (method, url, kwargs, response.text)
            if response.status_code >= 400:
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
