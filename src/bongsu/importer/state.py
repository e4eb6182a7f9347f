"""The state file: how far an import has come, so that the next run continues there.

A JSON object: ``source`` (what is imported, and where to), ``position`` (as the source counts it), ``counts`` and
``done``.
It is replaced as a whole after each acknowledged step. If the process is killed, the step after the last acknowledged
one is sent again, which stores nothing twice.
"""

import json
import os
from pathlib import Path
from typing import Any

from bongsu.core.errors import ConfigError
from bongsu.importer.totals import Totals

# A state file has a few hundred bytes; one that is larger is something else.
_MAX_BYTES = 1_048_576

Json = dict[str, Any]


class StateFile:
    """``position``: None at the beginning."""

    def __init__(self, path: Path, source: Json, *, restart: bool = False) -> None:
        """``source``: identifies what is imported.

        Raises:
            ConfigError: the file cannot be used, or belongs to another import.
        """
        self.path = path
        self.position: Json | None = None
        self.totals = Totals()
        self.done = False
        self._source = source
        if not restart:
            self._read()
        self.save(
            self.position, done=self.done
        )  # a file that cannot be written is known before the first sample is sent

    def save(self, position: Json | None, *, done: bool = False) -> None:
        """Raises ConfigError if it cannot be written."""
        self.position = position
        document: Json = {"source": self._source, "position": position, "counts": self.totals.to_json()}
        document["done"] = done
        temporary = self.path.with_name(self.path.name + ".new")
        try:
            temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
            os.replace(temporary, self.path)
        except OSError as error:
            raise ConfigError(
                f"The state file {self.path} cannot be written: {error.strerror}. --state names another place.",
                field="--state",
            ) from None

    def _read(self) -> None:
        try:
            with self.path.open("rb") as stream:
                text = stream.read(_MAX_BYTES)
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigError(
                f"The state file {self.path} cannot be read: {error.strerror}.", field="--state"
            ) from None
        try:
            document = json.loads(text)
            source, position, done = document["source"], document["position"], bool(document["done"])
            totals = Totals.from_json(document["counts"])
            if not isinstance(source, dict) or not isinstance(position, dict | None):
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ConfigError(
                f"{self.path} is not a state file of an import. Name another one with --state, or begin anew with "
                "--restart, which overwrites it.",
                field="--state",
            ) from None
        if source != self._source:
            keys = [key for key in sorted(source | self._source) if source.get(key) != self._source.get(key)]
            what = f"{keys[0]} was {str(source.get(keys[0]))[:200]!r}, is {str(self._source.get(keys[0]))[:200]!r}"
            raise ConfigError(
                f"The state file {self.path} belongs to another import ({what}). Name another file with --state, or "
                "begin anew with --restart.",
                field="--state",
            )
        self.position, self.totals, self.done = position, totals, done
