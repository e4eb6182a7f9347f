"""What Docker 20.10 answered and told while containers failed, were restarted, killed, stopped and unhealthy."""

import json
from pathlib import Path
from typing import Any

import pytest

from bongsu.agent.collectors.containers import daemon as module
from bongsu.agent.collectors.containers.daemon import Daemon
from bongsu.agent.collectors.containers.details import of_inspection, of_list
from bongsu.agent.collectors.containers.unix_http import BadAnswer

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "docker_20_10.json").read_text())


def test_the_list() -> None:
    listed = {details.name: details for details in (of_list(entry, "docker") for entry in RECORDED["list"])}
    assert {name: (details.workload, details.state) for name, details in listed.items()} == {
        "health": ("tiny", "running"),
        "asked": ("tiny", "exited"),
        "loop": ("tiny", "exited"),
        "oom": ("tiny", "exited"),
        "cpu": ("shop/web", "running"),
    }


def test_the_details() -> None:
    busy, sick, hungry = (of_inspection(answer, "docker") for answer in RECORDED["inspections"])
    assert (busy.name, busy.workload, busy.state, busy.health, busy.finished_ms) == (
        "cpu",
        "shop/web",
        "running",
        "",
        0,
    )
    assert (sick.state, sick.health) == ("running", "unhealthy")
    assert (hungry.state, hungry.exit_code, hungry.oom_killed) == ("exited", 137, True)
    assert 0 < hungry.created_ms < hungry.started_ms < hungry.finished_ms


def test_the_events(monkeypatch: pytest.MonkeyPatch) -> None:
    restarts = 0

    def answer(path: str, target: str) -> Any:
        inspection = next((each for each in RECORDED["inspections"] if each["Id"] in target), None)
        if inspection is None:
            if loop["Id"] not in target:
                raise BadAnswer("answers 404 Not Found", 404)
            inspection = RECORDED["inspections"][0] | {"Id": loop["Id"], "Name": "/loop", "RestartCount": restarts}
        return inspection

    loop = next(entry for entry in RECORDED["list"] if entry["Names"] == ["/loop"])
    monkeypatch.setattr(module, "get_json", answer)
    daemon = Daemon("/run/docker.sock")
    daemon._latest_nano = 0
    for event in RECORDED["events"]:
        # the count has risen when the event comes
        restarts += event["Action"] == "die" and event["id"] == loop["Id"] and restarts < 3
        daemon._take_event(event)
        daemon._ask_for_changed()
    told: dict[str, list[str]] = {}
    for event in daemon.take().events:
        told.setdefault(event.details.name, []).append(f"{event.type} {event.exit_code}{'!' if event.failed else ''}")
    assert told["oom"] == ["started 0", "oom_killed 0", "exited 137!"]
    assert told["loop"] == ["started 0", "exited 3!", *["restarted 3", "exited 3!"] * 3]
    assert told["short"] == ["started 0", "exited 4!", "removed 0"]
    assert told["instant"] == ["started 0", "exited 5!", "removed 0"]
    assert told["asked"] == ["started 0", "exited 137"]
    assert told["cpu"] == ["started 0"]
