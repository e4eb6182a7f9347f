"""The log: one line for each event to standard error; systemd and containers add what they need.

As text, or as JSON for collectors (Loki, Elasticsearch, Cloud Logging). What is logged while a request is handled
carries the id of the request, which its answer has in X-Request-Id.
"""

import datetime as dt
import json
import logging
import os
import sys
from contextvars import ContextVar
from itertools import count
from secrets import token_hex

from bongsu.core.errors import ConfigError
from bongsu.core.text import visible

FORMATS = ("text", "json")

# The id of the request that is being handled; empty outside of requests.
request_id: ContextVar[str] = ContextVar("request_id", default="")

_PROCESS, _numbers = token_hex(4), count(1)


def new_request_id() -> str:
    """An id that no other request of this or another process has."""
    return f"{_PROCESS}-{next(_numbers):x}"


class _Text(logging.Formatter):
    """Texts of others within a message make no lines of their own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        record.message = visible(record.message)
        known = request_id.get()
        return super().formatMessage(record) + (f" (request {known})" if known else "")


class _Json(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and where there are some: request_id, error."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        if known := request_id.get():
            entry["request_id"] = known
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure_logging() -> None:
    """Raises ConfigError: BONGSU_LOG_LEVEL is not a level, or BONGSU_LOG_FORMAT not a format."""
    level, form = os.environ.get("BONGSU_LOG_LEVEL", "INFO"), os.environ.get("BONGSU_LOG_FORMAT", FORMATS[0])
    if level.upper() not in logging.getLevelNamesMapping():
        raise ConfigError(f"BONGSU_LOG_LEVEL: must be debug, info, warning or error (it is {level!r}).")
    if form not in FORMATS:
        raise ConfigError(f"BONGSU_LOG_FORMAT: must be text or json (it is {form!r}).")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    # httpx logs the address of every request, and addresses of webhooks are secrets.
    for name in ("uvicorn.error", "alembic", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
