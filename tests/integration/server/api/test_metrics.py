"""What GET answers: servers, current values, history."""

from pathlib import Path

import pytest
from openapi_spec_validator import validate

from bongsu.core.series import Kind, Layout, Series
from bongsu.server.config import Limits
from tests.support.app import running_app
from tests.support.pushes import CPU, MEMORY, RECEIVED, a_frame, a_push, a_ramp

NOW = 1_750_000_000_000


async def test_an_empty_server_answers_with_nothing(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        assert await app.get("/api/servers") == {"servers": [], "next": None}
        assert await app.get("/api/metrics/current") == {"time_ms": NOW, "servers": []}
        assert (await app.get("/api/metrics/history"))["series"] == []
        assert (await app.get("/api/health"))["status"] == "ok"


@pytest.mark.parametrize(
    ("age_seconds", "state"),
    [
        pytest.param(0, "up", id="fresh"),
        pytest.param(30, "up", id="three intervals of 10 s"),
        pytest.param(31, "late", id="just over three"),
        pytest.param(60, "late", id="a minute"),
        pytest.param(61, "down", id="just over a minute"),
    ],
)
async def test_the_state_of_a_server_follows_from_its_newest_frame(
    tmp_path: Path, age_seconds: int, state: str
) -> None:
    async with running_app(tmp_path) as app:
        await app.push(a_push([a_frame(NOW)]))
        app.clock.advance(age_seconds)
        (server,) = (await app.get("/api/servers"))["servers"]
        assert server["state"] == state
        assert server["last_seen_ms"] == NOW


async def test_a_server_with_a_long_interval_is_down_after_three_of_them(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await app.push(a_push([a_frame(NOW)], interval_ms=60_000))
        for seconds, state in ((180, "up"), (1, "down")):
            app.clock.advance(seconds)
            (server,) = (await app.get("/api/servers"))["servers"]
            assert server["state"] == state


@pytest.mark.parametrize("offset", [-200, 200], ids=["a clock that is behind", "a clock that is ahead"])
async def test_the_state_of_a_server_does_not_depend_on_its_clock(tmp_path: Path, offset: int) -> None:
    async with running_app(tmp_path) as app:
        for _ in range(2):
            app.clock.advance(60)
            await app.push(a_push([a_frame(app.clock.now_ms() + offset * 1000)]))
        for seconds, state in ((30, "up"), (30, "late"), (1, "down")):
            app.clock.advance(seconds)
            (server,) = (await app.get("/api/servers"))["servers"]
            assert server["state"] == state


async def test_servers_come_in_pages_and_by_name(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        for name in ("web-1", "db-1", "web-2"):
            await app.push(a_push([a_frame(NOW)], name=name))
        first = await app.get("/api/servers", limit=2)
        second = await app.get("/api/servers", limit=2, cursor=first["next"])
        assert [server["name"] for server in first["servers"] + second["servers"]] == ["web-1", "db-1", "web-2"]
        assert second["next"] is None
        assert [server["name"] for server in (await app.get("/api/servers", name="WEB"))["servers"]] == [
            "web-1",
            "web-2",
        ]


async def test_current_values_and_rates(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await app.push(a_push([a_frame(NOW - 10_000, (0.1, 1, 500)), a_frame(NOW, (0.2, 2, 2_500))]))
        (server,) = (await app.get("/api/metrics/current"))["servers"]
        by_metric = {series["metric"]: series for series in server["series"]}
        assert server["time_ms"] == NOW
        assert by_metric["cpu_usage_ratio"]["value"] == 0.2
        assert by_metric["cpu_usage_ratio"]["rate"] is None
        received = by_metric["network_receive_bytes_total"]
        assert received["rate"] == pytest.approx(200)  # 2,000 bytes in 10 s
        assert (received["type"], received["kind"], received["labels"]) == ("network", "counter", {"interface": "eth0"})


async def test_a_new_server_whose_clock_is_behind_is_current_at_once(tmp_path: Path) -> None:
    rare = Layout.of((Series("backup_seconds", (), "seconds", Kind.GAUGE),))
    async with running_app(tmp_path) as app:
        behind_ms = NOW - 3_600_000
        await app.push(a_push([a_frame(behind_ms)]))
        await app.push(a_push([a_frame(behind_ms + 1_000, (3.0,), rare)], layouts=[rare]))
        (server,) = (await app.get("/api/metrics/current"))["servers"]
        assert (server["time_ms"], len(server["series"])) == (behind_ms + 1_000, 4)
    async with running_app(tmp_path) as app:
        assert (await app.get("/api/metrics/current"))["servers"] == [server]


async def test_current_survives_a_restart_and_an_older_frame(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await app.push(a_push([a_frame(NOW, (0.2, 2, 2_500))]))
        await app.push(a_push([a_frame(NOW - 60_000, (0.9, 9, 0))]))
    async with running_app(tmp_path) as app:
        (server,) = (await app.get("/api/metrics/current", metric="cpu_usage_ratio"))["servers"]
        assert server["series"][0]["value"] == 0.2


async def test_a_series_that_left_is_not_current(tmp_path: Path) -> None:
    usb = Layout.of((CPU, Series("filesystem_used_bytes", (("mountpoint", "/media/usb"),), "bytes")))
    async with running_app(tmp_path) as app:
        await app.push(a_push([a_frame(NOW - 60_000, (0.1, 5), usb)], layouts=[usb]))
        await app.push(a_push([a_frame(NOW)]))
        (server,) = (await app.get("/api/metrics/current"))["servers"]
        assert {series["metric"] for series in server["series"]} == {CPU.metric, MEMORY.metric, RECEIVED.metric}
        history = await app.get("/api/metrics/history", metric="cpu_usage_ratio", end=NOW + 1)
        assert history["series"][0]["times"] == [NOW - 60_000, NOW], "one series over both layouts"


async def test_history_returns_exactly_what_was_sent(tmp_path: Path) -> None:
    frames = a_ramp(NOW - 600_000, 60)
    async with running_app(tmp_path) as app:
        await app.push(a_push(frames))
        answer = await app.get("/api/metrics/history", server=1, metric="memory_used_bytes", start="-10m")
        (series,) = answer["series"]
        assert answer["step_ms"] is None
        assert series["times"] == [frame.time_ms for frame in frames]
        assert series["values"] == [1024.0 * index for index in range(60)]
        assert (series["min"], series["max"]) == (None, None)


async def test_history_of_a_counter_is_its_rate_and_survives_a_reset(tmp_path: Path) -> None:
    values = [1_000, 3_000, 500, 1_500]  # +2,000, reset and +500, +1,000
    async with running_app(tmp_path) as app:
        await app.push(a_push([a_frame(NOW - 40_000 + i * 10_000, (0, 0, value)) for i, value in enumerate(values)]))
        rate = (await app.get("/api/metrics/history", type="network"))["series"][0]
        assert rate["values"] == [200, 50, 100]
        parameters = {"type": "network", "aggregation": "increase", "step": "1h"}
        total = (await app.get("/api/metrics/history", **parameters))["series"][0]
        assert total["values"] == [3_500]
        last = (await app.get("/api/metrics/history", type="network", aggregation="last"))["series"][0]
        assert last["values"] == values


async def test_a_rate_at_the_start_of_the_range_uses_the_sample_before_it(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await app.push(a_push([a_frame(NOW - 20_000, (0, 0, 0)), a_frame(NOW - 10_000, (0, 0, 700))]))
        (series,) = (await app.get("/api/metrics/history", type="network", start="-15s"))["series"]
        assert (series["times"], series["values"]) == ([NOW - 10_000], [70])


async def test_fewer_points_keep_the_peaks(tmp_path: Path) -> None:
    frames = [a_frame(NOW - 3_600_000 + i * 10_000, (1.0 if i == 100 else 0.1, 0, 0)) for i in range(360)]
    async with running_app(tmp_path) as app:
        await app.push(a_push(frames))
        answer = await app.get("/api/metrics/history", metric="cpu_usage_ratio", max_points=20)
        (series,) = answer["series"]
        assert answer["step_ms"] == 300_000
        assert len(series["times"]) <= 20
        assert all(time % 300_000 == 0 for time in series["times"])
        assert max(series["max"]) == 1.0
        assert min(series["min"]) == 0.1
        peak = series["max"].index(1.0)
        assert series["values"][peak] == pytest.approx((29 * 0.1 + 1.0) / 30)


async def test_a_young_server_is_shown_as_finely_as_its_samples_allow(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await app.push(a_push([a_frame(NOW - 60_000 + i * 1_000) for i in range(60)], interval_ms=1_000))
        day = await app.get("/api/metrics/history", metric="cpu_usage_ratio", start="-1d", max_points=60)
        assert day["step_ms"] is None
        assert len(day["series"][0]["times"]) == 60
        fewer = await app.get("/api/metrics/history", metric="cpu_usage_ratio", start="-1d", max_points=20)
        assert fewer["step_ms"] == 5_000, "one minute in at most 20 points, not one day"


async def test_pages_have_one_step(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await app.push(a_push(a_ramp(NOW - 3_600_000, 360)))
        await app.push(a_push(a_ramp(NOW - 60_000, 6), name="web-2"))
        first = await app.get("/api/metrics/history", metric="cpu_usage_ratio", max_points=60, limit=1)
        second = await app.get("/api/metrics/history", metric="cpu_usage_ratio", max_points=60, cursor=first["next"])
        assert second["step_ms"] == first["step_ms"]
        assert [series["server_id"] for series in second["series"]] == [2]


async def test_history_is_filtered_by_server_type_and_labels(tmp_path: Path) -> None:
    other = Layout.of((CPU, Series("network_receive_bytes_total", (("interface", "eth1"),), "bytes", Kind.COUNTER)))
    async with running_app(tmp_path) as app:
        await app.push(a_push(a_ramp(NOW - 30_000, 3)))
        await app.push(
            a_push([a_frame(NOW - i * 10_000, (0, 0), other) for i in range(3)], name="web-2", layouts=[other])
        )

        async def found(**parameters: object) -> set[tuple[int, str]]:
            answer = await app.get("/api/metrics/history", end=NOW + 1, **parameters)
            return {(series["server_id"], series["metric"]) for series in answer["series"]}

        assert await found(type="cpu") == {(1, "cpu_usage_ratio"), (2, "cpu_usage_ratio")}
        assert await found(type=["cpu", "memory"], server=1) == {(1, "cpu_usage_ratio"), (1, "memory_used_bytes")}
        assert await found(labels="interface=eth1") == {(2, "network_receive_bytes_total")}
        assert await found(metric="no_such_metric") == set()


async def test_history_comes_in_pages(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        for name in ("web-1", "web-2"):
            await app.push(a_push(a_ramp(NOW - 30_000, 3), name=name))
        found, cursor, pages = [], None, 0
        while pages == 0 or cursor:
            answer = await app.get("/api/metrics/history", limit=2, **({"cursor": cursor} if cursor else {}))
            found += [(series["server_id"], series["metric"]) for series in answer["series"]]
            cursor = answer["next"]
            pages += 1
        assert pages == 3
        assert len(found) == len(set(found)) == 6


@pytest.mark.parametrize(
    ("parameters", "status", "code", "field"),
    [
        pytest.param({"server": 7}, 404, "unknown_server", "server", id="unknown server"),
        pytest.param({"server": "x"}, 422, "invalid_input", "server.0", id="server is a word"),
        pytest.param({"start": "yesterday"}, 400, "invalid_input", "start", id="start is a word"),
        pytest.param({"start": "-6"}, 400, "invalid_input", "start", id="no unit"),
        pytest.param({"start": "1750000000"}, 400, "invalid_input", "start", id="seconds, not milliseconds"),
        pytest.param({"start": "now", "end": "-1h"}, 400, "invalid_input", "start", id="end before start"),
        pytest.param({"max_points": 1}, 422, "invalid_input", "max_points", id="one point"),
        pytest.param({"step": "1ms"}, 400, "invalid_input", "step", id="step too short"),
        pytest.param({"labels": "device"}, 400, "invalid_input", "labels", id="label without a value"),
        pytest.param({"cursor": "!"}, 400, "invalid_input", "cursor", id="cursor made up"),
        pytest.param({"aggregation": "mode"}, 422, "invalid_input", "aggregation", id="unknown aggregation"),
        pytest.param({"start": "-365d", "step": "1h"}, 400, "too_many_points", "max_points", id="too many points"),
    ],
)
async def test_bad_queries_name_the_field(
    tmp_path: Path, parameters: dict[str, object], status: int, code: str, field: str
) -> None:
    async with running_app(tmp_path, limits=Limits(points_per_query=10_000)) as app:
        await app.push(a_push(a_ramp(NOW - 30_000, 3)))
        response = await app.client.get("/api/metrics/history", params=parameters)
        error = response.json()["error"]
        assert (response.status_code, error["code"], error["field"]) == (status, code, field)
        assert error["message"]


@pytest.mark.parametrize("path", ["/api/nothing", "/api/metrics/nothing", "/_nuxt/missing.js", "/missing.png"])
async def test_what_is_not_there_is_a_404_in_the_one_shape(tmp_path: Path, path: str) -> None:
    async with running_app(tmp_path) as app:
        response = await app.client.get(path)
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "not_found"


async def test_the_documentation_needs_no_network(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        for page in ("/docs", "/redoc"):
            text = (await app.client.get(page)).text
            assert "http://" not in text.replace("http://127.0.0.1", "")
            assert "https://" not in text
        for file in ("swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js"):
            response = await app.client.get(f"/_docs/{file}")
            assert response.status_code == 200
            assert len(response.content) > 100_000
        assert (await app.client.get("/_docs/core.py")).status_code == 404
        document = await app.get("/api/openapi.json")
        validate(document)
        assert set(document["paths"]["/api/metrics"]) == {"post"}


async def test_other_host_names_are_refused_on_loopback(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        for host, status in (("evil.example", 403), ("localhost:8600", 200), ("[::1]:8600", 200), ("127.0.0.1", 200)):
            assert (await app.client.get("/api/health", headers={"Host": host})).status_code == status
    async with running_app(tmp_path, allowed_hosts=["monitor.example"]) as app:
        assert (await app.client.get("/api/health", headers={"Host": "monitor.example"})).status_code == 200
