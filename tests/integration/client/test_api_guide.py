"""docs/api.md: all examples of a language, one after the other, against a real API server with a simulated fleet."""

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleet import Fleet, simulated_fleet
from tests.support.processes import ADMIN
from tests.support.programs import need
from tests.support.repository import REPOSITORY
from tests.support.typescript import check_and_run

GUIDE = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
SERVERS, TASKS = 6, 10


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with simulated_fleet(tmp_path_factory.mktemp("guide"), SERVERS) as running:
        yield running


def program(language: str, fleet: Fleet) -> str:
    """The examples of a language, for this fleet."""
    examples = re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    assert len(examples) == TASKS
    text = "\n".join(examples).replace("http://127.0.0.1:8600", fleet.url).replace("kim@example.com", ADMIN)
    # As the dashboard shows it under *Add server*.
    made = fleet.client.post("/api/enrolment-tokens", json={"name": "script"}).raise_for_status()
    text = text.replace("bongsu_enrol_...", made.json()["token"])
    return text.replace("my-script-1", f"my-script-{language}")


def tells_the_same(said: str, fleet: Fleet) -> None:
    """What the program printed is true, and what it made is there."""
    listed = fleet.client.get("/api/servers").raise_for_status().json()["servers"]
    # That of the script came later.
    servers = [server for server in listed if server["name"] != "my script"]
    assert len(servers) == SERVERS
    for server in servers:
        assert f"{server['id']} {server['name']} up\n" in said
    dashboards = fleet.client.get("/api/dashboards").raise_for_status().json()["dashboards"]
    assert "Web servers" in {item["title"] for item in dashboards}
    silences = fleet.client.get("/api/alerts/silences").raise_for_status().json()["silences"]
    assert "maintenance" in {item["silence"]["kind"] for item in silences}
    rules = fleet.client.get("/api/alerts/rules").raise_for_status().json()["rules"]
    assert "CPU of the web servers" not in {item["rule"]["name"] for item in rules}
    tokens = fleet.client.get("/api/tokens").raise_for_status().json()["tokens"]
    assert {("report", "operator")} == {(item["name"], item["scope"]) for item in tokens}
    (pushed,) = (server for server in listed if server["name"] == "my script")
    query = {"server": pushed["id"], "metric": "queue_length"}
    current = fleet.client.get("/api/metrics/current", params=query).raise_for_status().json()["servers"]
    assert [series["value"] for series in current[0]["series"]] == [3]
    fleet.client.delete(f"/api/servers/{pushed['id']}").raise_for_status()


def test_the_examples_with_curl_run(fleet: Fleet, tmp_path: Path) -> None:
    need("curl")
    need("jq")
    script = program("sh", fleet)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    tells_the_same(done.stdout, fleet)
    assert len((tmp_path / "cpu.csv").read_text().splitlines()) > SERVERS
    assert '"accepted":1' in done.stdout.replace(" ", "")


def test_the_examples_in_python_run(fleet: Fleet) -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        names: dict[str, Any] = {}
        exec(program("python", fleet), names)
        names["bongsu"].close()
    tells_the_same(said.getvalue(), fleet)
    # Of the live stream: a series and its value.
    assert "Series(metric='cpu_usage_ratio'" in said.getvalue()


def test_the_examples_in_typescript_are_typed_and_run(fleet: Fleet, project: Path) -> None:
    tells_the_same(check_and_run(project, "guide", program("ts", fleet)), fleet)
