"""What the log must not say."""

import datetime as dt
import json
import logging

import httpx
import pytest

from bongsu.core.errors import ConfigError
from bongsu.server.logs import configure_logging, request_id


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


def test_json_has_one_object_a_line_with_the_request_and_the_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BONGSU_LOG_FORMAT", "json")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    token = request_id.set("abc-1")
    try:
        configure_logging()
        try:
            raise ValueError("two\nlines")
        except ValueError:
            logging.getLogger("bongsu").exception("it %s", "failed\nforged")
        request_id.reset(token)
        logging.getLogger("bongsu").info("그 다음")
    finally:
        root.handlers = handlers
        root.setLevel(level)
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["level"], first["message"], first["request_id"]) == ("error", "it failed\nforged", "abc-1")
    assert first["error"].endswith("ValueError: two\nlines")
    assert (second["message"], "request_id" in second, "error" in second) == ("그 다음", False, False)
    assert dt.datetime.fromisoformat(second["time"]).tzinfo is not None


@pytest.mark.parametrize("variable", ["BONGSU_LOG_FORMAT", "BONGSU_LOG_LEVEL"])
def test_other_formats_and_levels_are_refused(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "loud")
    with pytest.raises(ConfigError, match=f"{variable}: must be .* 'loud'"):
        configure_logging()


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
