"""POST /api/v1/write: what is stored of which server, and what is refused how."""

import asyncio
import math
import struct
from pathlib import Path
from typing import Any

import pytest

from bongsu.arrays import NOT_A_NUMBER, STALE
from bongsu.core.samples import HostFacts, Push
from bongsu.server.auth.principal import Scope
from bongsu.server.config import Limits, RateLimits
from bongsu.server.database.tables import foreign_series, frames, parts, servers
from bongsu.server.storage.assembler import SETTLE_MS, Assembler
from bongsu.wire import remote_write_pb2 as pb
from tests.support.app import RunningApp, api_token, running_app
from tests.support.jobs import count, database_of, run_jobs
from tests.support.pushes import a_frame, a_push
from tests.support.remote_write import VERSION_1, VERSION_2, Sample, request_1, request_2, snappy, write, writer_token

NOW = 1_750_000_000_000
LOAD = {"__name__": "node_load1", "instance": "web-1:9100", "job": "node"}
SENT = {"__name__": "node_network_transmit_bytes_total", "device": "eth0", "instance": "web-1:9100", "job": "node"}


async def assembled(app: RunningApp, folder: Path, **settings: Any) -> None:
    """The worker makes frames of what has arrived, and the API server sees them."""
    app.clock.advance(SETTLE_MS / 1000)
    await run_jobs(app.clock, folder, Assembler, **settings)
    await app.services.fleet.look()


async def history(app: RunningApp, metric: str) -> list[dict[str, Any]]:
    range_ms = {"start": NOW - 3_600_000, "end": NOW + 3_600_000}
    answer = await app.get("/api/metrics/history", metric=metric, aggregation="last", **range_ms)
    series: list[dict[str, Any]] = answer["series"]
    return series


def of(value: int) -> float:
    double: float = struct.unpack("<d", struct.pack("<Q", value))[0]
    return double


@pytest.mark.parametrize("version", ["1.0", "2.0"])
async def test_samples_become_series_of_the_server_that_their_labels_name(tmp_path: Path, version: str) -> None:
    samples: list[Sample] = [(LOAD, NOW, 1.5), (LOAD, NOW + 15_000, 2.5), (SENT, NOW, 0.0), (SENT, NOW + 15_000, 150.0)]
    async with running_app(tmp_path) as app:
        token = await writer_token(app)
        if version == "1.0":
            response = await write(app, request_1(samples), token)
        else:
            response = await write(app, request_2(samples), token, VERSION_2)
        assert (response.status_code, response.content) == (204, b"")
        assert response.headers["X-Prometheus-Remote-Write-Samples-Written"] == "4"
        await assembled(app, tmp_path)
        (server,) = (await app.get("/api/servers"))["servers"]
        assert (server["name"], server["state"], server["host"]["hostname"]) == ("web-1", "up", "web-1")
        (load,) = await history(app, "node_load1")
        assert load["labels"] == {"instance": "web-1:9100", "job": "node"}
        assert (load["kind"], load["times"], load["values"]) == ("gauge", [NOW, NOW + 15_000], [1.5, 2.5])
        (sent,) = await history(app, "node_network_transmit_bytes_total")
        assert (sent["kind"], sent["unit"]) == ("counter", "bytes")
        current = await app.get("/api/metrics/current")
        assert {metric["metric"] for metric in current["servers"][0]["series"]} == {LOAD["__name__"], SENT["__name__"]}


async def test_a_request_that_is_sent_again_stores_nothing_new(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        token, database = await writer_token(app), database_of(app)
        body = request_1([(LOAD, NOW, 1.5), (SENT, NOW, 3.0)])
        for _ in range(2):
            assert (await write(app, body, token)).status_code == 204
            assert await count(database, parts) == 1
        await assembled(app, tmp_path)
        assert (await count(database, parts), await count(database, frames)) == (0, 1)
        assert (await write(app, body, token)).status_code == 204
        await assembled(app, tmp_path)
        assert (await count(database, parts), await count(database, frames)) == (0, 1)
        assert (await history(app, "node_load1"))[0]["values"] == [1.5]


async def test_requests_that_bring_the_same_new_series_at_once_confuse_nothing(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        token = await writer_token(app)
        labels = [{**LOAD, "cpu": str(number)} for number in range(6)]
        bodies = [
            request_1([(each, NOW + 1_000 * index, float(number)) for number, each in enumerate(labels[: index + 3])])
            for index in range(4)
        ]
        responses = await asyncio.gather(*(write(app, body, token) for body in bodies))
        assert [response.status_code for response in responses] == [204] * 4
        await assembled(app, tmp_path)
        for series in await history(app, "node_load1"):
            assert set(series["values"]) == {float(series["labels"]["cpu"])}
        assert len(await history(app, "node_load1")) == 6


async def test_requests_that_bring_many_new_servers_at_once_add_each_once(tmp_path: Path) -> None:
    async with running_app(tmp_path, limits=Limits(foreign_servers=25)) as app:
        token = await writer_token(app)

        def body(first: int) -> bytes:
            hosts = [f"host-{number}" for number in range(first, first + 4)]
            return request_1([({**LOAD, "instance": f"{host}:9100"}, NOW, float(host[5:])) for host in hosts])

        responses = await asyncio.gather(*(write(app, body(2 * request), token) for request in range(16)))
        assert {response.status_code for response in responses} == {204, 400}
        await assembled(app, tmp_path)
        stored = (await app.get("/api/servers"))["servers"]
        assert len(stored) == len({server["name"] for server in stored}) == 25
        names = {server["id"]: server["name"] for server in stored}
        found = await history(app, "node_load1")
        assert len(found) == 25
        for series in found:
            assert f"host-{series['values'][0]:.0f}" == names[series["server_id"]]


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await write(app, request_1([(LOAD, NOW, 1.0)]), await writer_token(app))
        clock = app.clock
    async with running_app(tmp_path, clock=clock) as app:
        await write(app, request_1([(LOAD, NOW + 10_000, 2.0), (SENT, NOW + 10_000, 7.0)]), await writer_token(app))
        await assembled(app, tmp_path)
        assert (await history(app, "node_load1"))[0]["values"] == [1.0, 2.0]
        assert len(await history(app, "node_network_transmit_bytes_total")) == 1
        assert len((await app.get("/api/servers"))["servers"]) == 1


async def test_what_cannot_be_stored_is_refused_alone_and_told(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        samples: list[Sample] = [
            (LOAD, NOW, 1.0),
            (SENT, NOW + 400_000, 1.0),
            (LOAD, NOW - 30 * 86_400_000, 1.0),
            ({**LOAD, "__name__": "no-name"}, NOW, 1.0),
            ({**LOAD, "path": "x" * 3_000}, NOW, 1.0),
            ({**LOAD, **{f"l{index}": "x" for index in range(64)}}, NOW, 1.0),
        ]
        response = await write(app, request_1(samples), await writer_token(app))
        assert response.status_code == 400
        assert response.headers["X-Prometheus-Remote-Write-Samples-Written"] == "1"
        error = response.json()["error"]
        assert error["code"] in error["message"]
        assert error["message"].startswith("5 of 6 samples were not stored")
        assert error["field"]
        health = await app.get("/api/health")
        assert health["ingest"]["samples_refused_total"] == {
            "too_old": 1,
            "time_ahead": 1,
            "invalid_metric": 1,
            "invalid_label": 1,
            "too_many_labels": 1,
        }
        await assembled(app, tmp_path)
        assert (await history(app, "node_load1"))[0]["values"] == [1.0]


async def test_nan_is_a_value_and_a_stale_marker_stays_one(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        body = request_1([(LOAD, NOW, math.nan), (SENT, NOW, of(STALE))])
        assert (await write(app, body, await writer_token(app))).status_code == 204
        await assembled(app, tmp_path)
        stored = await database_of(app).read(
            lambda connection: connection.scalar(frames.select().with_only_columns(frames.c["values"]))
        )
        assert {NOT_A_NUMBER, STALE} <= set(struct.unpack(f"<{len(stored) // 8}Q", stored))
        assert await history(app, "node_load1") == []


@pytest.mark.parametrize("scope", [Scope.viewer, Scope.admin, "nobody"])
async def test_only_a_writer_may_write(tmp_path: Path, scope: str) -> None:
    async with running_app(tmp_path) as app:
        user = min(app.services.auth.directory.users)
        token = "no token" if scope == "nobody" else await api_token(app.services, user, scope)
        response = await write(app, request_1([(LOAD, NOW, 1.0)]), token)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert await count(database_of(app), servers) == 0


async def test_a_writer_may_read_nothing(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        token = await writer_token(app)
        response = await app.client.get("/api/servers", headers={"Authorization": f"Bearer {token}"})
        assert (response.status_code, response.json()["error"]["code"]) == (401, "writer_only")


async def test_a_writer_with_tags_writes_of_its_servers_only_and_new_ones_get_them(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        seoul, busan = await writer_token(app, {"site": "seoul"}), await writer_token(app, {"site": "busan"})
        assert (await write(app, request_1([(LOAD, NOW, 1.0)]), seoul)).status_code == 204
        (server,) = (await app.get("/api/servers"))["servers"]
        assert server["own_tags"] == {"site": "seoul"}
        other = {**LOAD, "instance": "web-2:9100"}
        response = await write(app, request_1([(LOAD, NOW, 2.0), (other, NOW, 2.0)]), busan)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "wrong_server")
        assert response.headers["X-Prometheus-Remote-Write-Samples-Written"] == "1"


async def test_a_server_that_gets_other_tags_is_out_of_reach_at_once(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        token = await writer_token(app, {"site": "seoul"})
        assert (await write(app, request_1([(LOAD, NOW, 1.0)]), token)).status_code == 204
        assert (await app.client.put("/api/servers/1/tags", json={"tags": {"site": "busan"}})).is_success
        response = await write(app, request_1([(LOAD, NOW + 1, 1.0)]), token)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "wrong_server")


@pytest.mark.parametrize("path", ["/api/v1/write", "/v1/metrics"])
async def test_whoever_guesses_tokens_is_slowed_down(tmp_path: Path, path: str) -> None:
    async with running_app(tmp_path, rate_limits=RateLimits(address="2/minute")) as app:
        headers = {"Authorization": "Bearer guess", "Content-Type": VERSION_1}
        statuses = [(await app.client.post(path, content=b"", headers=headers)).status_code for _ in range(3)]
        assert statuses == [401, 401, 429]


async def test_samples_join_the_server_whose_agent_runs_on_their_host(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        push: Push = a_push([a_frame(NOW)])
        push.host = HostFacts(hostname="web-1")
        assert (await app.push(push)).status_code == 200
        await write(app, request_1([(LOAD, NOW, 1.0)]), await writer_token(app))
        await assembled(app, tmp_path)
        (server,) = (await app.get("/api/servers"))["servers"]
        assert server["agent_version"]
        (load,) = await history(app, "node_load1")
        assert load["server_id"] == server["id"]


async def test_a_retired_server_refuses_and_a_deleted_one_is_added_again(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        token = await writer_token(app)
        await write(app, request_1([(LOAD, NOW, 1.0)]), token)
        assert (await app.client.post("/api/servers/1/retire")).is_success
        response = await write(app, request_1([(LOAD, NOW + 1, 1.0)]), token)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "server_retired")
        assert (await app.client.delete("/api/servers/1")).status_code == 204
        responses = [await write(app, request_1([(LOAD, NOW + 2, 1.0)]), token) for _ in range(2)]
        assert responses[-1].status_code == 204
        assert all(response.status_code in (204, 503) for response in responses)
        (server,) = (await app.get("/api/servers"))["servers"]
        assert (server["id"], server["name"]) == (2, "web-1")


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        pytest.param(Limits(foreign_servers=1), "too_many_servers", id="servers"),
        pytest.param(Limits(foreign_series_per_server=1), "too_many_series", id="series of a server"),
        pytest.param(Limits(series_per_writer=1), "too_many_series", id="series of a token"),
    ],
)
async def test_limits_refuse_what_is_new(tmp_path: Path, limits: Limits, code: str) -> None:
    async with running_app(tmp_path, limits=limits) as app:
        token = await writer_token(app)
        assert (await write(app, request_1([(LOAD, NOW, 1.0)]), token)).status_code == 204
        more = [LOAD, {**LOAD, "mode": "x"}, {**LOAD, "instance": "web-2:9100"}]
        response = await write(app, request_1([(labels, NOW + 1, 1.0) for labels in more]), token)
        assert response.status_code == 400
        assert response.json()["error"]["code"] == code
        assert int(response.headers["X-Prometheus-Remote-Write-Samples-Written"]) >= 1
        assert await count(database_of(app), foreign_series) == int(
            response.headers["X-Prometheus-Remote-Write-Samples-Written"]
        )


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        pytest.param({"Content-Encoding": "gzip"}, 415, "unsupported_encoding", id="gzip"),
        pytest.param({"Content-Type": "application/json"}, 415, "unsupported_encoding", id="JSON"),
        pytest.param(
            {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v3.Request"},
            415,
            "unsupported_encoding",
            id="a later version",
        ),
        pytest.param({"Content-Type": VERSION_2}, 400, "malformed_body", id="another version than it says"),
    ],
)
async def test_other_forms_are_refused(tmp_path: Path, headers: dict[str, str], status: int, code: str) -> None:
    async with running_app(tmp_path) as app:
        body = snappy(pb.WriteRequest(timeseries=[b"\xff\xff"]).SerializeToString() + b"\x2a\x01\xff")
        response = await write(app, body, await writer_token(app), **headers)
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)
        assert response.headers["X-Prometheus-Remote-Write-Samples-Written"] == "0"


async def test_a_bomb_is_refused_before_it_bursts(tmp_path: Path) -> None:
    async with running_app(tmp_path, limits=Limits(write_bytes=1_000_000)) as app:
        token = await writer_token(app)
        for body in (snappy(bytes(2_000_000)), b"\xff\xff\xff\xff\x0f" + bytes(100)):
            response = await write(app, body, token)
            assert (response.status_code, response.json()["error"]["limit"]) == (413, 1_000_000)


async def test_native_histograms_are_refused_and_the_samples_beside_them_stored(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        histogram = pb.TimeSeries(histograms=[b""])
        for name, value in {"__name__": "h", "instance": "web-1:9100"}.items():
            histogram.labels.add(name=name, value=value)
        load = pb.TimeSeries(samples=[pb.Sample(timestamp=NOW, value=1.0)])
        for name, value in sorted(LOAD.items()):
            load.labels.add(name=name, value=value)
        body = pb.WriteRequest(timeseries=[histogram.SerializeToString(), load.SerializeToString()])
        response = await write(app, snappy(body.SerializeToString()), await writer_token(app))
        assert (response.status_code, response.json()["error"]["code"]) == (400, "histograms")
        assert response.headers["X-Prometheus-Remote-Write-Samples-Written"] == "1"


async def test_a_token_that_writes_too_often_is_asked_to_wait(tmp_path: Path) -> None:
    async with running_app(tmp_path, rate_limits=RateLimits(writer_per_second=0.1)) as app:
        token = await writer_token(app)
        responses = [await write(app, request_1([(LOAD, NOW + i, 1.0)]), token) for i in range(2)]
        assert [response.status_code for response in responses] == [204, 429]
        assert int(responses[1].headers["Retry-After"]) >= 1


async def test_how_often_samples_come_decides_when_the_server_is_late(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        token = await writer_token(app)
        await write(app, request_1([(LOAD, NOW - 60_000 * back, 1.0) for back in range(5)]), token)
        await assembled(app, tmp_path)
        await app.services.foreign.store_intervals()
        (server,) = (await app.get("/api/servers"))["servers"]
        assert server["interval_ms"] == 60_000
        app.clock.advance(150)
        assert (await app.get("/api/servers"))["servers"][0]["state"] == "up"
        app.clock.advance(60)
        assert (await app.get("/api/servers"))["servers"][0]["state"] == "down"
