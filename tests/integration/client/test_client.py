"""The Python clients against a real API server with a simulated fleet."""

import asyncio
import re
from collections.abc import Iterator

import pytest

from bongsu.client import ApiError, AsyncClient, Client, History
from tests.support.fleet import Fleet, simulated_fleet
from tests.support.processes import wait_for
from tests.support.repository import REPOSITORY

EXAMPLES = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "client.md").read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with simulated_fleet(tmp_path_factory.mktemp("client"), 3) as running:
        yield running


@pytest.fixture
def token(fleet: Fleet) -> str:
    made = fleet.client.post("/api/tokens", json={"name": f"client {id(object())}", "scope": "viewer"})
    text: str = made.raise_for_status().json()["token"]
    return text


def test_all_that_can_be_read(fleet: Fleet, token: str) -> None:
    with Client(fleet.url, token) as bongsu:
        servers = bongsu.servers()
        assert len(servers) == 3
        one = servers[0]["id"]
        assert {entry["metric"] for entry in bongsu.catalog(type="cpu")} >= {"cpu_usage_ratio"}

        def history() -> History:
            return bongsu.history("cpu_usage_ratio", server=one)

        wait_for(lambda: bool(history().series), "samples")
        (series,) = history().series
        assert (series.server_id, series.metric, series.unit) == (one, "cpu_usage_ratio", "ratio")
        assert len(series.times) == len(series.values) > 0
        frame = bongsu.history("cpu_usage_ratio", step="1m").to_pandas()
        assert set(frame["server_id"]) == {server["id"] for server in servers}
        combined = bongsu.history("cpu_usage_ratio", across="avg", step="1m").series
        assert [each.server_id for each in combined] == [None]
        assert {entry["server_id"] for entry in bongsu.current(metric="cpu_usage_ratio")} == set(frame["server_id"])
        assert len(bongsu.query("count(cpu_usage_ratio)").series[0].values) == 1
        assert bongsu.query_range("cpu_usage_ratio", series.times[0], series.times[-1], "15s").series
        assert bongsu.processes(one)["processes"] is not None
        assert isinstance(bongsu.events(), list)
        assert isinstance(bongsu.alerts(), list)
        assert isinstance(bongsu.alert_history(), list)
        assert bongsu.request("GET", "/api/about")["version"]


def test_many_servers_come_in_pages_and_as_one_answer(fleet: Fleet, token: str) -> None:
    with Client(fleet.url, token) as bongsu:
        wait_for(lambda: len(bongsu.history("cpu_usage_ratio").series) == 3, "samples of all")
        assert len(bongsu.history("cpu_usage_ratio", limit=1).series) == 3


def test_the_examples_of_the_document_run(
    fleet: Fleet, token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BONGSU_URL", fleet.url)
    monkeypatch.setenv("BONGSU_TOKEN", token)
    with Client() as bongsu:
        wait_for(lambda: bool(bongsu.history("filesystem_usage_ratio", start="-7d", step="1h").series), "samples")
        for example in EXAMPLES:
            exec(example.replace("http://127.0.0.1:8600", fleet.url), {"token": token, "bongsu": bongsu})
    assert "3 servers, " in capsys.readouterr().out
    assert len(EXAMPLES) == 3


def test_errors_say_what_is_wrong(fleet: Fleet, token: str) -> None:
    with Client(fleet.url, token) as bongsu, pytest.raises(ApiError) as error:
        bongsu.history("cpu_usage_ratio", start="yesterday")
    assert (error.value.status, error.value.field) == (400, "start")
    with Client(fleet.url, "bongsu_api_wrong") as stranger, pytest.raises(ApiError) as error:
        stranger.servers()
    assert error.value.status == 401


def test_on_an_event_loop(fleet: Fleet, token: str) -> None:
    async def run() -> tuple[int, int]:
        async with AsyncClient(fleet.url, token) as bongsu:
            servers, catalog = await asyncio.gather(bongsu.servers(), bongsu.catalog())
            return len(servers), len(catalog)

    servers, metrics = asyncio.run(run())
    assert servers == 3
    assert metrics > 0
