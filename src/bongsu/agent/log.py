"""What the agent tells people: one line per event, quiet while all is well.

To standard error: plain for a terminal, with the priority prefix of sd-daemon(3) under journald, which stamps and
rotates. To a file where there is no journald, with rotation. As text or JSON. Only ``once``/``over`` pairs are used
for states, so that a server that is away for a day makes two lines. The logging package does far more, for 0.3 MB.
"""

import json
import os
import sys
import time
from typing import TextIO

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3}
# Beyond this many different topics something is making them up; they are then said each time.
MAX_TOPICS = 1_000


class Log:
    """Implements ``Say``. May be used by several threads: a line is written with one call."""

    def __init__(
        self,
        *,
        level: str = "info",
        path: str = "",
        form: str = "text",
        max_bytes: int = 5 * 1024**2,
        files: int = 3,
        stream: TextIO | None = None,
        secrets: tuple[str, ...] = (),
    ) -> None:
        self._least = LEVELS[level]
        self._path = path
        self._json = form == "json"
        self._max_bytes = max_bytes
        self._files = files
        self._stream = stream or sys.stderr
        self._secrets = tuple(secret for secret in secrets if secret)
        self._journal = not path and bool(os.environ.get("JOURNAL_STREAM"))
        self._topics: set[str] = set()

    def once(self, topic: str, message: str) -> None:
        """A problem: said when it begins, and not again until it was over."""
        if topic in self._topics:
            return
        if len(self._topics) < MAX_TOPICS:
            self._topics.add(topic)
        self.write("warning", message)

    def over(self, topic: str, message: str) -> None:
        """A problem that was said with ``once`` is gone; nothing, if there was none."""
        if topic in self._topics:
            self._topics.discard(topic)
            self.write("info", message)

    def info(self, message: str) -> None:
        self.write("info", message)

    def error(self, message: str) -> None:
        self.write("error", message)

    def write(self, level: str, message: str) -> None:
        if LEVELS[level] < self._least:
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
            except OSError as error:  # a full disk must not end the agent
                self._stream.write(f"{self._path} cannot be written: {error.strerror}. {line}")
            return
        try:
            self._stream.write(line)
            self._stream.flush()
        except (OSError, ValueError):  # the reader of the pipe is gone, and with it everyone to tell
            self._least = sys.maxsize

    def _rotate(self, more: int) -> None:
        try:
            size = os.path.getsize(self._path)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(os.path.abspath(self._path)), exist_ok=True)
            return
        if size + more <= self._max_bytes:
            return
        for number in range(self._files - 1, 0, -1):
            older = f"{self._path}.{number}"
            newer = f"{self._path}.{number - 1}" if number > 1 else self._path
            if os.path.exists(newer):
                os.replace(newer, older)
        if self._files == 1:
            os.unlink(self._path)
