"""The agent's log."""

import io
import json
from pathlib import Path

import pytest

from bongsu.agent.log import Log


def test_a_problem_is_logged_when_it_begins_and_when_it_is_resolved() -> None:
    stream = io.StringIO()
    log = Log(stream=stream)
    for _ in range(3):
        log.problem("server", "away")
    log.resolved("server", "back")
    log.resolved("server", "back")
    log.problem("server", "away again")
    assert [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()] == [
        "warning away",
        "info back",
        "warning away again",
    ]


def test_levels_and_json() -> None:
    stream = io.StringIO()
    log = Log(stream=stream, level="warning", format="json")
    log.info("quiet")
    log.error("loud\nand long")
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert (entry["level"], entry["message"]) == ("error", "loud and long")
    assert entry["time"].endswith("Z")


def test_secrets_are_never_logged() -> None:
    stream = io.StringIO()
    Log(stream=stream, secrets=("s3cret", "")).error("refused: Bearer s3cret")
    assert "s3cret" not in stream.getvalue()
    assert "Bearer ***" in stream.getvalue()


def test_lines_for_journald_have_a_priority_and_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    stream = io.StringIO()
    Log(stream=stream).problem("x", "careful")
    assert stream.getvalue() == "<4>careful\n"


def test_a_log_file_is_rotated(tmp_path: Path) -> None:
    path = tmp_path / "log" / "agent.log"
    log = Log(path=str(path), max_bytes=200, files=3)
    for number in range(30):
        log.info(f"message {number}")
    names = sorted(file.name for file in path.parent.iterdir())
    assert names == ["agent.log", "agent.log.1", "agent.log.2"]
    assert all(file.stat().st_size <= 200 for file in path.parent.iterdir())
    assert "message 29" in path.read_text()


def test_a_log_file_that_cannot_be_written_does_not_stop_the_agent(tmp_path: Path) -> None:
    stream = io.StringIO()
    Log(path=str(tmp_path), stream=stream).info("hello")
    assert "cannot be written" in stream.getvalue()
    assert "hello" in stream.getvalue()


def test_a_closed_pipe_does_not_stop_the_agent() -> None:
    stream = io.StringIO()
    stream.close()
    log = Log(stream=stream)
    log.info("hello")
    log.info("again")
