"""Waiting for the API server."""

import itertools
import subprocess
import sys

import pytest

from bongsu.server import launch
from bongsu.server.launch import wait_until_ready
from bongsu.server.supervisor import Child


def a_child(program: str) -> Child:
    child = Child("API server", [])
    child.process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE)
    return child


def test_a_start_may_take_as_long_as_an_upgrade_of_the_database(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    minutes = itertools.count(step=60)
    answers = iter([None] * 5 + [{"status": "ok"}])
    monkeypatch.setattr(launch.time, "monotonic", lambda: next(minutes))
    monkeypatch.setattr(launch, "ask", lambda url, path: next(answers))
    child = a_child("input()")
    assert wait_until_ready("http://127.0.0.1:1", child)
    assert "still starting" in capsys.readouterr().out
    child.stop()


def test_a_server_that_ended_is_not_waited_for() -> None:
    child = a_child("raise SystemExit(1)")
    assert not wait_until_ready("http://127.0.0.1:1", child)
    child.stop()
