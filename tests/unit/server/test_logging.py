"""What the log must not say."""

import logging

import httpx
import pytest

from bongsu.server.main import configure_logging


def test_no_text_within_a_message_forges_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    try:
        configure_logging()
        logging.getLogger("bongsu").warning("the clock of %s jumped", "web-1\n2026-01-01 ERROR forged")
    finally:
        root.handlers = handlers
        root.setLevel(level)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(r"the clock of web-1\n2026-01-01 ERROR forged jumped")


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
