"""What an import shows while it runs and at its end."""

import io

import pytest

from bongsu.importer import progress
from bongsu.importer.progress import Progress
from bongsu.importer.totals import Totals


class Half:
    """A source that stands in the middle."""

    fraction = 0.5
    place = "line 7"

    def batches(self, position: object) -> object:
        raise AssertionError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_lines_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    stream, totals = io.StringIO(), Totals()
    shown = Progress(totals, stream)
    shown.start(Half())  # type: ignore[arg-type]
    totals.read, totals.stored = 3_000, 2_990
    totals.refuse("too_old", 10, "The sample is older.")
    for _ in range(15):
        now[0] += 1
        shown.update(Half())  # type: ignore[arg-type]
    shown.close()
    assert stream.getvalue() == "50.0%  line 7  2,990 stored  300 samples/s  10 refused\n"


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    shown = Progress(Totals(), stream)
    shown.start(Half())  # type: ignore[arg-type]
    shown.update(Half())  # type: ignore[arg-type]
    shown.say("line 1 is left out: [bold]")
    shown.close()
    assert "50%" in stream.getvalue()
    assert "line 1 is left out: [bold]" in stream.getvalue()


def test_the_summary_of_a_continued_import() -> None:
    totals = Totals(read=500, stored=499, lines=600, bad_lines=2, left_out=3)
    shown = Progress(totals, io.StringIO())
    totals.refuse("too_old", 1, "The sample is older.")
    assert shown.summary().splitlines() == [
        "500 samples read, 499 stored, 1 refused; this run: 0s, 0 samples/s",
        "600 lines, 2 of them left out as malformed; 3 texts left out",
        "refused: too_old 1. First: The sample is older.",
    ]
