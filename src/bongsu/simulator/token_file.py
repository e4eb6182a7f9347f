"""The tokens of simulated servers, kept in ``servers.jsonl`` in the data directory, which only its owner can read.

A line for each enrolment; the last one of a server counts. The file holds any number of fleets: a fleet is known by the
API server, the seed and the prefix of its names, so that a second run continues as the same servers. One simulator at
a time uses it.
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

from bongsu.core.errors import ConfigError

FILE = "servers.jsonl"


class Credential(NamedTuple):
    """An agent's id, and the token that is valid for it."""

    agent_id: str
    token: str


class TokenFile:
    """Holds the file open, and on Unix locked, until it is closed."""

    def __init__(self, data_dir: Path, fleet: str) -> None:
        """Raises ConfigError if the file cannot be used."""
        self._fleet = fleet
        self.path = data_dir / FILE
        try:
            data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self._stream = os.fdopen(descriptor, "r+", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"--data-dir: {self.path} cannot be used: {error.strerror}.", field="data_dir") from None
        self._lock()
        self._known: dict[int, Credential] = {}
        self._read()

    def get(self, index: int) -> Credential | None:
        """What is known of the server at this place of the fleet."""
        return self._known.get(index)

    def store(self, index: int, credential: Credential) -> None:
        """Raises OSError if it cannot be written."""
        line = {"fleet": self._fleet, "index": index, "agent_id": credential.agent_id, "token": credential.token}
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()
        self._known[index] = credential

    def close(self) -> None:
        self._stream.close()

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._stream.close()
            raise ConfigError(
                f"Another simulator already uses {self.path.parent}. Give this one its own --data-dir.",
                field="data_dir",
            ) from None

    def _read(self) -> None:
        text = self._stream.read()
        for line in text.splitlines():
            try:
                entry = json.loads(line)
                if entry["fleet"] == self._fleet:
                    self._known[int(entry["index"])] = Credential(str(entry["agent_id"]), str(entry["token"]))
            except (ValueError, KeyError, TypeError):  # the process ended while it wrote the line
                continue
        if text and not text.endswith("\n"):
            self._stream.write("\n")
