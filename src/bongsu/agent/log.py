"""The agent's log: one line per event, and none while all is well.

It goes to standard error, or to a file with rotation. Under journald, which adds the time and rotates, lines have the
priority prefix of sd-daemon(3). Lines are text or JSON. A lasting problem makes two lines, one when it begins and one
when it is resolved, even if the server is down for a day. The logging package would cost 0.3 MB.
"""

import json
import os
import sys
import time
from typing import Protocol, TextIO

from bongsu.agent.defaults import LOG_BYTES, LOG_FILES

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3}
# More open problems than this come from topics without end. Further ones are logged each time they occur.
MAX_OPEN_PROBLEMS = 1_000


class EventLog(Protocol):
    """What the parts of the agent need of the log."""

    def problem(self, topic: str, message: str) -> None:
        """A problem occurred. Logged once per topic until it is resolved."""

    def resolved(self, topic: str, message: str) -> None:
        """The problem is gone. Logged only if it was logged before."""

    def info(self, message: str) -> None: ...


class Log:
    """Several threads may use it, because it writes each line with a single call."""

    def __init__(
        self,
        *,
        level: str = "info",
        path: str = "",
        format: str = "text",
        max_bytes: int = LOG_BYTES,
        files: int = LOG_FILES,
        stream: TextIO | None = None,
        secrets: tuple[str, ...] = (),
    ) -> None:
        self._lowest_level = LEVELS[level]
        self._path = path
        self._json = format == "json"
        self._max_bytes = max_bytes
        self._files = files
        self._stream = stream or sys.stderr
        self._secrets = tuple(secret for secret in secrets if secret)
        self._journal = not path and bool(os.environ.get("JOURNAL_STREAM"))
        self._open_problems: set[str] = set()

    def problem(self, topic: str, message: str) -> None:
        if topic in self._open_problems:
            return
        if len(self._open_problems) < MAX_OPEN_PROBLEMS:
            self._open_problems.add(topic)
        self.write("warning", message)

    def resolved(self, topic: str, message: str) -> None:
        if topic in self._open_problems:
            self._open_problems.discard(topic)
            self.write("info", message)

    def info(self, message: str) -> None:
        self.write("info", message)

    def error(self, message: str) -> None:
        self.write("error", message)

    def write(self, level: str, message: str) -> None:
        if LEVELS[level] < self._lowest_level:
            return
        for secret in self._secrets:
            message = message.replace(secret, "***")
        message = " ".join(message.splitlines())
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
        if self._json:
            line = json.dumps({"time": stamp, "level": level, "message": message}, ensure_ascii=False)
        elif self._journal:
            line = message
        else:
            line = f"{stamp} {level} {message}"
        if self._journal:
            line = f"<{_PRIORITY[level]}>{line}"
        self._emit(line + "\n")

    def _emit(self, line: str) -> None:
        if self._path:
            try:
                self._rotate(len(line))
                with open(self._path, "a", encoding="utf-8") as file:
                    file.write(line)
            except OSError as error:  # a full disk must not stop the agent
                self._stream.write(f"{self._path} cannot be written: {error.strerror}. {line}")
            return
        try:
            self._stream.write(line)
            self._stream.flush()
        except (OSError, ValueError):  # nobody reads the pipe any more
            self._lowest_level = sys.maxsize

    def _rotate(self, line_length: int) -> None:
        try:
            size = os.path.getsize(self._path)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(os.path.abspath(self._path)), exist_ok=True)
            return
        if size + line_length <= self._max_bytes:
            return
        for number in range(self._files - 1, 0, -1):
            older = f"{self._path}.{number}"
            newer = f"{self._path}.{number - 1}" if number > 1 else self._path
            if os.path.exists(newer):
                os.replace(newer, older)
        if self._files == 1:
            os.unlink(self._path)
