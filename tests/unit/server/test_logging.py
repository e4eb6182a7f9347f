"""What the log must not say."""

import logging

import httpx
import pytest

from bongsu.server.main import configure_logging


async def test_addresses_of_requests_are_not_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BONGSU_LOG_LEVEL", "DEBUG")
    levels = {name: logging.getLogger(name).level for name in ("", "uvicorn.error", "alembic", "httpx", "httpcore")}
    try:
        configure_logging()
        async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as http:
            await http.post("https://hooks.example/s3cret")
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
    assert "s3cret" not in caplog.text
