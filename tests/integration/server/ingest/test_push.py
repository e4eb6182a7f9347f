"""POST /api/metrics: what is stored, what is refused, and that a refusal names the field and the limit."""

import asyncio
import gzip
import json
from pathlib import Path

import pytest

from bongsu.core.samples import AgentIdentity, Frame, HostFacts, ProcessList, Push, pack
from bongsu.core.series import Layout, Series
from bongsu.server.config import Limits
from bongsu.server.database.tables import frames
from bongsu.server.fleet.registry import ServerState
from bongsu.server.storage.archive import RAW
from bongsu.server.storage.floors import MARGIN_MS, floor_at, raise_floor
from bongsu.server.storage.layouts import store_layout
from bongsu.wire import json_form, protobuf
from tests.support.app import running_app
from tests.support.jobs import count, database_of
from tests.support.pushes import CPU, LAYOUT, MEMORY, a_frame, a_push, an_agent

NOW = 1_750_000_000_000


async def test_a_frame_is_stored_once_however_often_it_is_sent(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        first = protobuf.decode_result((await app.push(a_push([a_frame(NOW)]))).content)
        again = protobuf.decode_result((await app.push(a_push([a_frame(NOW), a_frame(NOW + 1)]))).content)
        assert (first.accepted, first.duplicates) == (1, 0)
        assert (again.accepted, again.duplicates) == (1, 1)
        assert await app.stored_frames() == 2


async def test_a_retry_beside_new_frames_of_others_is_counted_for_the_right_request(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await app.push(a_push([a_frame(NOW)]))
        answers = await asyncio.gather(
            app.push(a_push([a_frame(NOW)])),
            app.push(a_push([a_frame(NOW)], name="web-2")),
            app.push(a_push([a_frame(NOW)], name="web-3")),
        )
        results = [protobuf.decode_result(answer.content) for answer in answers]
        assert [(result.accepted, result.duplicates) for result in results] == [(0, 1), (1, 0), (1, 0)]


async def test_an_error_after_the_commit_does_not_end_ingest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    async with running_app(tmp_path) as app:
        assert (await app.push(a_push([a_frame(NOW)]))).status_code == 200
        with monkeypatch.context() as patch:
            patch.setattr(ServerState, "saw", fail)
            assert (await app.push(a_push([a_frame(NOW + 1)]))).status_code == 200
        assert (await app.push(a_push([a_frame(NOW + 2)]))).status_code == 200
        assert await count(database_of(app), frames) == 3


async def test_layouts_are_remembered_over_a_restart(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await app.push(a_push([a_frame(NOW)]))
    async with running_app(tmp_path) as app:
        response = await app.push(a_push([a_frame(NOW + 1)], layouts=[]))
        assert response.status_code == 200


async def test_an_unknown_layout_is_asked_for_and_then_taken(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        refused = await app.push(a_push([a_frame(NOW)], layouts=[]))
        result = protobuf.decode_result(refused.content)
        assert refused.status_code == 409
        assert result.unknown_layouts == [LAYOUT.id]
        assert result.error is not None
        assert result.error.code == "unknown_layout"
        assert result.error.field == "frames[0].layout_id"
        assert (await app.get("/api/servers"))["servers"] == []
        assert (await app.push(a_push([a_frame(NOW)]))).status_code == 200


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
async def test_json_and_gzip_are_taken_as_well(tmp_path: Path, packed: bool) -> None:
    body = json_form.encode_push(a_push([a_frame(NOW)]))
    headers = {"Content-Encoding": "gzip"} if packed else {}
    async with running_app(tmp_path) as app:
        response = await app.post(gzip.compress(body) if packed else body, "application/json; charset=utf-8", **headers)
        assert response.json() == {"accepted": 1, "duplicates": 0, "server_time_ms": NOW}


BIG = Layout.of(tuple(Series(f"m{index}") for index in range(11)))
LABELS = tuple((f"l{index:02}", "x") for index in range(17))


@pytest.mark.parametrize(
    ("push", "status", "code", "field", "limit"),
    [
        pytest.param(a_push([a_frame(NOW, [1.0])]), 400, "wrong_frame_length", "frames[0].values", 3, id="too short"),
        pytest.param(
            a_push([Frame(LAYOUT.id, NOW, b"1234567")]),
            400,
            "wrong_frame_length",
            "frames[0].values",
            3,
            id="not doubles",
        ),
        pytest.param(
            a_push([a_frame(NOW), a_frame(NOW + 300_001)]), 400, "time_ahead", "frames[1].time_ms", 300, id="future"
        ),
        pytest.param(a_push([a_frame(0)]), 400, "invalid_time", "frames[0].time_ms", None, id="no time"),
        pytest.param(a_push([a_frame(-5)]), 400, "invalid_time", "frames[0].time_ms", None, id="before the epoch"),
        pytest.param(a_push([a_frame(NOW + i) for i in range(11)]), 413, "too_large", "frames", 10, id="many frames"),
        pytest.param(a_push(layouts=[LAYOUT] * 17), 413, "too_large", "layouts", 16, id="many layouts"),
        pytest.param(a_push(layouts=[BIG]), 413, "too_large", "layouts[0].series", 10, id="many series"),
        pytest.param(a_push(layouts=[Layout(1, ())]), 413, "too_large", "layouts[0].series", 10, id="no series"),
        pytest.param(
            a_push(layouts=[Layout(0, (CPU,))]), 400, "invalid_input", "layouts[0].id", 2.0**63, id="layout 0"
        ),
        pytest.param(
            a_push(layouts=[Layout(2**63, (CPU,))]), 400, "invalid_input", "layouts[0].id", 2.0**63, id="layout 2^63"
        ),
        pytest.param(
            a_push(layouts=[LAYOUT, Layout(LAYOUT.id, (CPU,))]),
            409,
            "layout_conflict",
            "layouts[1].id",
            None,
            id="same id",
        ),
        pytest.param(
            a_push(layouts=[Layout(1, (CPU, CPU))]),
            400,
            "duplicate_series",
            "layouts[0].series[1]",
            None,
            id="series twice",
        ),
        pytest.param(
            a_push(layouts=[Layout(1, (Series("9lives"),))]),
            400,
            "invalid_input",
            "layouts[0].series[0].metric",
            128,
            id="metric name",
        ),
        pytest.param(
            a_push(layouts=[Layout(1, (Series("m", LABELS),))]),
            413,
            "too_large",
            "layouts[0].series[0].labels",
            16,
            id="many labels",
        ),
        pytest.param(
            a_push(layouts=[Layout(1, (Series("m", (("a-b", "x"),)),))]),
            400,
            "invalid_input",
            "layouts[0].series[0].labels",
            64,
            id="label name",
        ),
        pytest.param(
            a_push(layouts=[Layout(1, (Series("m", (("path", "가" * 86),)),))]),  # 258 bytes in UTF-8
            400,
            "invalid_input",
            "layouts[0].series[0].labels.path",
            256,
            id="label value",
        ),
        pytest.param(Push(AgentIdentity("short", "x")), 400, "invalid_input", "agent.agent_id", 64, id="agent id"),
        pytest.param(Push(AgentIdentity("agent-00001", " ")), 400, "invalid_input", "agent.name", None, id="no name"),
        pytest.param(
            Push(AgentIdentity("agent-00001", "a\0b")), 400, "invalid_input", "agent.name", None, id="NUL in a name"
        ),
        pytest.param(
            Push(AgentIdentity("agent-00001", "web-1\nAcknowledge: https://evil")),
            400,
            "invalid_input",
            "agent.name",
            None,
            id="a line break in a name",
        ),
        pytest.param(
            Push(AgentIdentity("agent-00001", "x", tags={"role": "a\u2028b"})),
            400,
            "invalid_input",
            "agent.tags.role",
            None,
            id="a line separator in a tag",
        ),
        *(
            pytest.param(
                Push(an_agent(), HostFacts(**{name: "x\x1b[31m"})),
                400,
                "invalid_input",
                f"host.{name}",
                None,
                id=f"an escape sequence in {name}",
            )
            for name in ("hostname", "os", "kernel", "architecture", "cpu_model")
        ),
        pytest.param(
            a_push(layouts=[Layout(1, (Series("m", (("path", "/a\nb"),)),))]),
            400,
            "invalid_input",
            "layouts[0].series[0].labels.path",
            256,
            id="a line break in a label value",
        ),
        pytest.param(
            Push(an_agent(), HostFacts(kernel="x" * 256)), 400, "invalid_input", "host.kernel", 255, id="long host fact"
        ),
        pytest.param(
            Push(an_agent(), HostFacts(cpu_count=2**31)),
            400,
            "invalid_input",
            "host.cpu_count",
            2**31 - 1,
            id="2^31 cores",
        ),
    ],
)
async def test_what_is_refused_names_field_and_limit_and_stores_nothing(
    tmp_path: Path, push: Push, status: int, code: str, field: str, limit: float | None
) -> None:
    async with running_app(tmp_path, limits=Limits(frames_per_request=10, series_per_layout=10)) as app:
        response = await app.push(push)
        error = protobuf.decode_result(response.content).error
        assert error is not None
        assert (response.status_code, error.code, error.field) == (status, code, field)
        assert error.limit == (None if limit is None else pytest.approx(limit))
        assert (await app.get("/api/servers"))["servers"] == []
        health = await app.get("/api/health")
        assert health["ingest"]["rejected_total"] == {code: 1}
        assert (await app.push(a_push([a_frame(NOW)]))).status_code == 200


BOMB = gzip.compress(b"\0" * 50_000_000)


@pytest.mark.parametrize(
    ("body", "content_type", "encoding", "status", "code"),
    [
        pytest.param(b"\xff\xffgarbage", "application/x-protobuf", "", 400, "malformed_body", id="not protobuf"),
        pytest.param(b"{", "application/json", "", 400, "malformed_body", id="not JSON"),
        pytest.param(b"a=b", "text/plain", "", 415, "unsupported_encoding", id="text"),
        pytest.param(b"", "application/x-protobuf", "br", 415, "unsupported_encoding", id="brotli"),
        pytest.param(b"xyz", "application/x-protobuf", "gzip", 415, "malformed_body", id="not gzip"),
        pytest.param(BOMB[:1000], "application/x-protobuf", "gzip", 415, "malformed_body", id="gzip cut off"),
        pytest.param(b"\0" * 5_000_000, "application/x-protobuf", "", 413, "body_too_large", id="5 MB"),
        pytest.param(BOMB, "application/x-protobuf", "gzip", 413, "body_too_large", id="50 MB in 49 KB"),
        pytest.param(b"", "application/x-protobuf", "", 400, "invalid_input", id="empty: no agent"),
    ],
)
async def test_bodies_that_cannot_be_read(
    tmp_path: Path, body: bytes, content_type: str, encoding: str, status: int, code: str
) -> None:
    async with running_app(tmp_path) as app:
        response = await app.post(body, content_type, **({"Content-Encoding": encoding} if encoding else {}))
        assert response.status_code == status
        if content_type == "application/x-protobuf":
            error = protobuf.decode_result(response.content).error
            assert error is not None
            assert error.code == code
            assert error.message
        else:
            assert set(response.json()["error"]) == {"code", "message", "field", "limit"}
            assert response.json()["error"]["code"] == code
        assert (await app.get("/api/servers"))["servers"] == []


async def test_a_full_queue_tells_agents_to_wait(tmp_path: Path) -> None:
    layout = Layout.of(tuple(Series(f"m{index}") for index in range(5_000)))
    frames = [Frame(layout.id, NOW + index, pack([0.0] * 5_000)) for index in range(27)]
    async with running_app(tmp_path, limits=Limits(queue_bytes=1 << 20)) as app:
        response = await app.push(a_push(frames, layouts=[layout]))
        error = protobuf.decode_result(response.content).error
        assert error is not None
        assert (response.status_code, error.code) == (503, "queue_full")
        assert int(response.headers["Retry-After"]) > 0
        assert (await app.get("/api/health"))["ingest"]["queued_bytes"] == 0


async def test_what_an_agent_says_of_itself_is_kept_up_to_date(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await app.push(a_push([a_frame(NOW)]))
        changed = a_push([a_frame(NOW + 1)])
        changed.agent.name = "새 이름"
        await app.push(changed)
        await app.push(Push(AgentIdentity("agent-web-1", "새 이름", "9.9", 5_000), None, [], [a_frame(NOW + 2)]))
    async with running_app(tmp_path) as app:
        (server,) = (await app.get("/api/servers"))["servers"]
        assert (server["name"], server["agent_version"], server["interval_ms"]) == ("새 이름", "9.9", 5_000)
        assert server["host"]["os"] == "Debian 12"


async def test_values_that_are_not_numbers_are_null_in_json(tmp_path: Path) -> None:
    document = json.loads(json_form.encode_push(a_push([a_frame(NOW)])))
    document["frames"][0]["values"] = [None, "Infinity", "-Infinity"]
    async with running_app(tmp_path) as app:
        assert (await app.post(json.dumps(document).encode(), "application/json")).status_code == 200
        current = await app.get("/api/metrics/current")
        assert [series["value"] for series in current["servers"][0]["series"]] == [None, None, None]
        # No value of the CPU, an infinite one of memory, and growth needs two values.
        history = await app.get("/api/metrics/history", end=NOW + 1)
        assert [(series["metric"], series["values"]) for series in history["series"]] == [("memory_used_bytes", [None])]


async def test_labels_without_end_lose_their_names_and_everything_else_goes_on(tmp_path: Path) -> None:
    """A label with a value for everything, such as a request's number: each push brings new series."""
    async with running_app(tmp_path, limits=Limits(series_per_server=1_000)) as app:
        for turn in range(20):
            series = [Series("requests_total", (("id", str(turn * 500 + number)),)) for number in range(500)]
            # The steady series come with them, in one layout.
            layout = Layout.of((*LAYOUT.series, *series))
            now_ms = app.clock.now_ms()
            push = a_push([a_frame(now_ms, [float(turn)] * len(layout.series), layout)], layouts=[layout])
            assert (await app.post(json_form.encode_push(push), "application/json")).status_code == 200
            app.clock.advance(5)
        # 500 series of the first layout and 497 of the second have names, and nothing of the steady series is missing.
        metrics = (await app.get("/api/metrics/catalog"))["metrics"]
        assert {one["metric"]: one["series"] for one in metrics}["requests_total"] == 997
        steady = await app.get("/api/metrics/history", metric="cpu_usage_ratio")
        assert steady["series"][0]["values"] == [float(turn) for turn in range(20)]
        (problem,) = (await app.get("/api/health"))["problems"]
        assert problem["code"] == "too_many_series"
        assert problem["message"].startswith("web-1 sends more than 1,000 series: ")
        assert problem["parameters"].items() >= {"server": "web-1", "limit": 1_000}.items()
        # The same layout once more changes nothing.
        assert (await app.post(json_form.encode_push(push), "application/json")).status_code == 200
    # What has no name has none after a restart either, and the agent need not know.
    async with running_app(tmp_path, limits=Limits(series_per_server=1_000), clock=app.clock) as app:
        frame = a_frame(app.clock.now_ms(), [7.0] * len(layout.series), layout)
        assert (await app.push(a_push([frame], layouts=[]))).status_code == 200
        assert [problem["code"] for problem in (await app.get("/api/health"))["problems"]] == ["too_many_series"]
        # What was not sent for the retention of raw samples counts no more: others get names in its place.
        app.clock.advance(8 * 86_400)
        frame = a_frame(app.clock.now_ms(), [8.0] * len(layout.series), layout)
        assert (await app.push(a_push([frame], layouts=[layout]))).status_code == 200
        now = await app.get("/api/metrics/current", metric="requests_total")
        assert len(now["servers"][0]["series"]) == 500
        codes = [problem["code"] for problem in (await app.get("/api/health"))["problems"]]
        assert "too_many_series" not in codes


@pytest.mark.parametrize("interval_ms", [1, 999, 3_600_001, 86_400_000])
async def test_an_interval_that_makes_no_sense_is_refused(interval_ms: int, tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        answer = await app.push(a_push([a_frame(NOW)], interval_ms=interval_ms))
        error = protobuf.decode_result(answer.content).error
        assert error is not None
        assert (answer.status_code, error.code, error.field) == (400, "invalid_input", "agent.interval_ms")
        assert error.limit == (3_600_000 if interval_ms > 3_600_000 else 1_000)
        assert (await app.push(a_push([a_frame(NOW)], interval_ms=1_000))).status_code == 200
        again = await app.push(a_push([a_frame(NOW + 1)], interval_ms=interval_ms))
        assert again.status_code == 400, "also of a known server"


async def test_frames_below_the_floor_of_raw_samples_are_refused_with_a_reason(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        floor_ms = floor_at(RAW, 7 * 86_400_000, NOW + MARGIN_MS)
        assert (await app.push(a_push([a_frame(floor_ms)]))).status_code == 200
        for time_ms in (floor_ms - 1, 1):
            answer = await app.push(a_push([a_frame(NOW), a_frame(time_ms)]))
            error = protobuf.decode_result(answer.content).error
            assert error is not None
            assert (answer.status_code, error.code, error.field) == (400, "too_old", "frames[1].time_ms")
            assert error.limit == floor_ms
        answer = await app.push(Push(an_agent(), process_lists=[ProcessList(floor_ms - 1)]))
        error = protobuf.decode_result(answer.content).error
        assert error is not None
        assert (error.code, error.field) == ("too_old", "process_lists[0].time_ms")
        # The budget of the database may raise the floor further.
        await database_of(app).write(lambda connection: raise_floor(connection, RAW, NOW - 1_000))
        follow = asyncio.create_task(app.services.ingest.follow_floor())
        async with asyncio.timeout(30):
            while app.services.ingest.raw_floor_ms < NOW - 1_000:
                await asyncio.sleep(0.01)
        follow.cancel()
        answer = await app.push(a_push([a_frame(NOW - 2_000)]))
        error = protobuf.decode_result(answer.content).error
        assert error is not None
        assert error.code == "too_old"


async def test_a_push_that_cannot_be_stored_does_not_take_others_with_it(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        now_ms = app.clock.now_ms()
        assert (await app.push(a_push([a_frame(now_ms)], layouts=[LAYOUT]))).status_code == 200
        # Another API server has stored a layout of this server that this one has not heard of.
        theirs, ours = Layout(4711, (CPU,)), Layout(4711, (CPU, MEMORY))
        database = database_of(app)
        await database.write(lambda connection: store_layout(connection, 1, theirs))
        pushes = [a_push([a_frame(now_ms + 1_000, (1, 2), ours)], layouts=[ours])]
        pushes += [a_push([a_frame(now_ms)], name=f"web-{number}") for number in range(2, 20)]
        for push in pushes:
            await app.agent_token(push.agent.agent_id)
            if push is not pushes[0]:
                await app.push(a_push(name=push.agent.name))
        answers = await asyncio.gather(*(app.push(push) for push in pushes))
        assert [answer.status_code for answer in answers] == [409] + [200] * 18
        assert protobuf.decode_result(answers[0].content).error.code == "layout_conflict"
        assert await count(database, frames) == 19
