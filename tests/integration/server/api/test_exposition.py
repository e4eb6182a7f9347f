"""Bongsu and its servers can be scraped: what is told, in which format, to whom."""

import subprocess
from pathlib import Path

import pytest

from bongsu.core.exposition import OPEN_METRICS
from bongsu.core.series import Kind, Layout, Series
from tests.support.app import RunningApp, api_token, running_app
from tests.support.programs import need
from tests.support.pushes import a_frame, a_push

ODD = Layout.of(
    (
        Series("disk_read_bytes_total", (("device", 'a"b\\c'),), "bytes", Kind.COUNTER),
        Series("reads_sum", (), "", Kind.COUNTER),
        Series("temperature_celsius", (), "celsius"),
    )
)


def checked(text: str) -> None:
    """What Prometheus' own tool says of a text; the last lines of its advice on names are not about its format."""
    need("promtool")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    assert "error while linting" not in done.stderr, done.stderr


async def scrape(app: RunningApp, path: str, accept: str = "") -> str:
    response = await app.client.get(path, headers={"Accept": accept})
    assert response.status_code == 200, response.text
    assert "Accept" in response.headers["Vary"].split(", ")
    if not accept:
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        checked(response.text)
    return response.text


async def test_bongsu_tells_what_it_does(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await app.push(a_push([a_frame(app.clock.now_ms())]))
        await app.client.post("/api/metrics", content=b"x", headers={"Content-Type": "application/x-protobuf"})
        await app.get("/api/metrics/history", start="-1h")
        lines = (await scrape(app, "/metrics")).splitlines()
        for line in (
            'bongsu_servers{state="up"} 1',
            "bongsu_ingest_frames_total 1",
            "bongsu_ingest_samples_total 3",
            'bongsu_ingest_rejected_total{code="invalid_token"} 1',
            "bongsu_history_query_seconds_count 1",
            'bongsu_storage_waiting_seconds{for="sealing"} 0',
            "bongsu_live_clients 0",
        ):
            assert line in lines
        assert any(line.startswith("bongsu_build_info{version=") for line in lines)
        assert (await scrape(app, "/metrics", "application/openmetrics-text")).endswith("# EOF\n")


async def test_a_browser_gets_the_page_of_the_same_name(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        response = await app.client.get("/metrics", headers={"Accept": "text/html,*/*"})
        assert response.headers["Content-Type"].startswith("text/html")


async def test_the_newest_values_of_a_server_have_their_time(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        now = app.clock.now_ms()
        await app.push(a_push([a_frame(now, (10.0, 2.0, float("nan")), ODD)], layouts=[ODD]))
        text = await scrape(app, "/api/servers/1/metrics")
        assert f'disk_read_bytes_total{{device="a\\"b\\\\c"}} 10 {now}' in text.splitlines()
        assert "# TYPE reads_sum untyped" in text
        assert "temperature_celsius" not in text, "no value is no sample"
        assert "bongsu_server_up 1" in text
        found = await app.client.get("/api/servers/1/metrics", headers={"Accept": "application/openmetrics-text"})
        assert found.headers["Content-Type"] == OPEN_METRICS
        assert f"reads_sum 2 {now / 1000:.3f}" in found.text
        app.clock.advance(3_600)
        assert [line for line in (await scrape(app, "/api/servers/1/metrics")).splitlines() if line[0] != "#"] == [
            "bongsu_server_up 0"
        ]


@pytest.mark.parametrize("path", ["/api/servers/2/metrics", "/api/servers/99/metrics"])
async def test_servers_that_are_not_theirs_do_not_exist(tmp_path: Path, path: str) -> None:
    async with running_app(tmp_path) as app:
        for name in ("web-1", "web-2"):
            await app.push(a_push([a_frame(app.clock.now_ms())], name=name))
        await app.client.put("/api/servers/1/tags", json={"tags": {"team": "a"}})
        token = await api_token(app.services, 1, "viewer", {"team": "a"})
        app.client.headers["Authorization"] = f"Bearer {token}"
        assert (await app.client.get(path)).status_code == 404
        (target,) = await app.get("/api/targets")
        assert target == {
            "targets": ["127.0.0.1"],
            "labels": {"__metrics_path__": "/api/servers/1/metrics", "instance": "web-1", "tag_team": "a"},
        }
        assert 'bongsu_servers{state="up"} 1' in (await scrape(app, "/metrics"))
