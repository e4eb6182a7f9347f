"""Bongsu as the destination of an import."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.processes import Part, answers, free_port, logged_in, running, wait_for
from tests.support.prometheus import Samples, series_text

# An answer has raw samples of a short time only.
_SLICE_MS = 900_000


@dataclass
class Destination:
    """A running Bongsu, and a token to write to it."""

    url: str
    token: str
    part: Part

    def words(self, *words: str) -> list[str]:
        """The command of an import."""
        return [sys.executable, "-m", "bongsu.cli", "import", *words, "--url", self.url]

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"BONGSU_IMPORT_TOKEN": self.token}

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Imports to the end."""
        return subprocess.run(self.words(*words), env=self.environment, capture_output=True, text=True, timeout=120)

    def samples(self, start_ms: int, end_ms: int) -> Samples:
        """What is stored with ``start_ms < time <= end_ms``."""
        found: Samples = {}
        with logged_in(self.url) as client:
            for first_ms in range(start_ms, end_ms, _SLICE_MS):
                for series, samples in stored(client, first_ms, min(first_ms + _SLICE_MS, end_ms)).items():
                    found.setdefault(series, {}).update(samples)
        return found


@contextlib.contextmanager
def destination(folder: Path, **environment: str) -> Iterator[Destination]:
    """Runs a Bongsu with a token of the scope writer."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    part = Part(["server", "--port", str(port), "--data-dir", str(folder / "bongsu")], environment)
    with running({"bongsu": part}):
        wait_for(lambda: part.runs() and answers(url), "Bongsu")
        with logged_in(url) as client:
            new = {"name": "import", "scope": "writer"}
            token = client.post("/api/tokens", json=new).raise_for_status().json()["token"]
        yield Destination(url, token, part)


def stored(client: httpx.Client, start_ms: int, end_ms: int) -> Samples:
    """The samples that Bongsu has with ``start_ms < time <= end_ms``."""
    found: Samples = {}
    query: dict[str, Any] = {"start": start_ms + 1, "end": end_ms + 1, "resolution": "raw", "aggregation": "last"}
    query |= {"limit": 1_000, "max_points": 1_000}
    while True:
        answer = client.get("/api/metrics/history", params=query).raise_for_status().json()
        assert answer["step_ms"] is None
        for series in answer["series"]:
            text = series_text({"__name__": series["metric"], **series["labels"]})
            found[text] = dict(zip(series["times"], series["values"], strict=True))
        if answer["next"] is None:
            return found
        query["cursor"] = answer["next"]
