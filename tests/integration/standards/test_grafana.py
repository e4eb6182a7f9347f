"""The dashboards and the data source for Grafana: every query is asked as Grafana asks it, about a simulated fleet."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.fleet import Fleet, simulated_fleet
from tests.support.processes import wait_for
from tests.support.prometheus import now_ms
from tests.support.repository import REPOSITORY

GRAFANA = REPOSITORY / "deploy" / "grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
# Grafana replaces these before it asks.
VARIABLES = {"$__rate_interval": "1m", "$instance": ".+"}
# Of simulated servers nothing is wrong or hot.
MAY_BE_EMPTY = {
    "Full within a week, by the trend of a day",
    "Temperatures",
    "Waiting for resources (PSI)",
    "TCP connections",
}


def dashboard(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text()))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with simulated_fleet(tmp_path_factory.mktemp("grafana"), 3) as running:
        counted = "count(count by (instance) (rate(cpu_time_seconds_total[1m])))"
        wait_for(
            lambda: any(result["values"][-1][1] == "3" for result in ask(running.client, counted)),
            "two samples of each series",
        )
        yield running


def ask(client: httpx.Client, query: str, *, instant: bool = False) -> list[dict[str, Any]]:
    end_s = now_ms() / 1000
    form = {"query": query}
    form |= {"time": f"{end_s}"} if instant else {"start": f"{end_s - 300}", "end": f"{end_s}", "step": "15"}
    answer = client.post(f"/api/v1/{'query' if instant else 'query_range'}", data=form)
    assert answer.status_code == 200, (query, answer.text)
    return list(answer.json()["data"]["result"])


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_every_panel_has_an_answer(fleet: Fleet, file: Path) -> None:
    instance = fleet.client.get("/api/v1/label/instance/values", params={"match[]": "cpu_usage_ratio"}).json()["data"][
        0
    ]
    one_server = "$instance" in str(dashboard(file)) and file.stem == "server"
    for panel in dashboard(file)["panels"]:
        for target in panel["targets"]:
            query = target["expr"]
            for name, text in (VARIABLES | ({"$instance": instance} if one_server else {})).items():
                query = query.replace(name, text)
            result = ask(fleet.client, query, instant=target.get("instant", False))
            assert result or panel["title"] in MAY_BE_EMPTY, (panel["title"], query)


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_dashboards_fit_on_their_grid(file: Path) -> None:
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in dashboard(file)["panels"]]
    assert len(ids) == len(set(ids))
    for panel in dashboard(file)["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_data_source_is_the_one_that_dashboards_use() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/bongsu.yml").read_text())["datasources"]
    for file in DASHBOARDS:
        for panel in dashboard(file)["panels"]:
            assert panel["datasource"] == {"type": source["type"], "uid": source["uid"]}


def test_what_grafana_asks_when_a_data_source_is_saved(fleet: Fleet) -> None:
    health = fleet.client.post("/api/v1/query", data={"query": "1+1", "time": "1700000000"})
    assert health.json()["data"] == {"resultType": "scalar", "result": [1700000000, "2"]}
    built = fleet.client.get("/api/v1/status/buildinfo").json()["data"]
    assert "features" not in built
    for path in ("labels", "label/__name__/values", "metadata?limit=10", "rules", "alerts"):
        assert fleet.client.get(f"/api/v1/{path}").json()["status"] == "success", path
    form = {"match[]": "cpu_usage_ratio", "start": "0", "end": "1700000000"}
    assert len(fleet.client.post("/api/v1/series", data=form).json()["data"]) == 3
