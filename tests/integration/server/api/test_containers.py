"""Container lists: what was pushed is what one finds at a time, of one server and of all, with what happened."""

import gzip
from pathlib import Path

import pytest

from bongsu.core.samples import Container, ContainerEvent, ContainerList, Push
from bongsu.core.series import Kind, Layout, Series
from bongsu.server.config import Limits
from bongsu.server.fleet.events import AGENT_EVENTS_PER_HOUR
from bongsu.wire import json_form, protobuf
from tests.support.app import RunningApp, api_token, running_app
from tests.support.people import add_person
from tests.support.pushes import a_frame, a_push, an_agent

NOW = 1_750_000_000_000
MINUTE = 60_000
DATABASE = Container(
    "0123456789ab",
    "shop-db-1",
    "postgres:16",
    "shop/db",
    "docker",
    "running",
    "healthy",
    restarts=1,
    ports="127.0.0.1:5432->5432/tcp",
    cpu_ratio=0.5,
    memory_bytes=1 << 30,
    memory_limit_bytes=2 << 30,
    processes=9,
    created_ms=NOW - 86_400_000,
    started_ms=NOW - 3_600_000,
)
JOB = Container(
    "ba9876543210", "작업 \"x'", "busybox", "busybox", "podman", "exited", exit_code=137, oom_kills=1, finished_ms=NOW
)


def killed(time_ms: int) -> ContainerEvent:
    return ContainerEvent(time_ms, "oom_killed", JOB.id, JOB.name, JOB.workload)


def listed(*lists: ContainerList, name: str = "web-1") -> Push:
    push = a_push((), name=name, layouts=())
    push.container_lists = list(lists)
    return push


async def times(app: RunningApp, at: object) -> tuple[int | None, int | None, int | None]:
    answer = await app.get("/api/servers/1/containers", at=at)
    return answer["before_ms"], answer["time_ms"], answer["after_ms"]


async def test_what_ran_at_a_time(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        push = listed(ContainerList(NOW - MINUTE, [DATABASE, JOB]), ContainerList(NOW, [DATABASE]))
        assert (await app.push(push)).status_code in (200, 204)
        answer = await app.get("/api/servers/1/containers", at=NOW - 1)
        assert [Container(**one) for one in answer["containers"]] == [DATABASE, JOB]
        assert await times(app, NOW - MINUTE - 1) == (None, None, NOW - MINUTE)
        assert await times(app, NOW - 1) == (None, NOW - MINUTE, NOW)
        assert await times(app, "now") == (NOW - MINUTE, NOW, None)
        tiers = {tier["name"]: tier["rows"] for tier in (await app.get("/api/storage"))["tiers"]}
        assert tiers["containers"] == 2


async def test_json_and_frames_beside_the_lists(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        push = a_push([a_frame(NOW)])
        push.container_lists = [ContainerList(NOW, [DATABASE], [killed(NOW - 1)], 2)]
        body = gzip.compress(json_form.encode_push(push))
        response = await app.post(body, "application/json", **{"Content-Encoding": "gzip"})
        assert response.status_code == 200, response.text
        answer = await app.get("/api/servers/1/containers")
        assert [Container(**one) for one in answer["containers"]] == [DATABASE]


async def test_a_retry_stores_nothing_twice(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        for _ in range(2):
            await app.push(listed(ContainerList(NOW, [DATABASE], [killed(NOW)])))
        assert len((await app.get("/api/servers/1/containers/events", end=NOW + 1))["events"]) == 1


async def test_the_containers_of_all_servers(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await app.push(listed(ContainerList(NOW - MINUTE, [JOB]), ContainerList(NOW, [DATABASE])))
        await app.push(listed(ContainerList(NOW - MINUTE, [DATABASE, JOB]), name="web-2"))
        await app.push(listed(ContainerList(NOW - 6 * MINUTE, [DATABASE]), name="web-3"))
        servers = (await app.get("/api/containers"))["servers"]
        found = {one["server_id"]: [container["name"] for container in one["containers"]] for one in servers}
        assert found == {1: [DATABASE.name], 2: [DATABASE.name, JOB.name]}, "of web-3, nothing of now is known"
        assert [one["server_id"] for one in (await app.get("/api/containers", name="web-2"))["servers"]] == [2]


WEB = Container(
    "0b6-00000001", "shop/web-1/app", "web:1", "shop/web", "kubernetes", "running", "healthy",
    memory_limit_bytes=128 << 20, namespace="shop", pod="web-1", workload_kind="Deployment", pod_phase="Running",
    reason="", cpu_request_cores=0.25, cpu_limit_cores=1.5, memory_request_bytes=64 << 20,
)  # fmt: skip
BACKUP = WEB._replace(
    id="0b6-00000002", name="shop/backup-1/app", workload="shop/backup", pod="backup-1", workload_kind="CronJob"
)
PROXY = WEB._replace(id="0b6-00000003", name="sys/proxy-1/app", workload="sys/proxy", namespace="sys", pod="proxy-1")


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        pytest.param({}, [DATABASE, WEB, BACKUP, PROXY], id="all"),
        pytest.param({"runtime": "kubernetes"}, [WEB, BACKUP, PROXY], id="by runtime"),
        pytest.param({"namespace": "shop"}, [WEB, BACKUP], id="by namespace"),
        pytest.param({"namespace": "shop", "workload": "shop/backup"}, [BACKUP], id="by workload"),
        pytest.param({"workload": "shop/db"}, [DATABASE], id="of Docker"),
        pytest.param({"pod": "proxy-1"}, [PROXY], id="by pod"),
        pytest.param({"namespace": "other"}, [], id="none"),
    ],
)
async def test_containers_of_kubernetes(tmp_path: Path, wanted: dict[str, str], names: list[Container]) -> None:
    async with running_app(tmp_path) as app:
        await app.push(listed(ContainerList(NOW, [DATABASE, WEB, BACKUP, PROXY])))
        answer = await app.get("/api/servers/1/containers", **wanted)
        assert [Container(**one) for one in answer["containers"]] == names
        [fleet] = (await app.get("/api/containers", **wanted))["servers"]
        assert [Container(**one) for one in fleet["containers"]] == names


async def test_a_server_is_a_node_while_a_kubelet_tells_its_agent(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await app.push(a_push([a_frame(NOW - 10 * MINUTE)]))
        assert [one["kubernetes"] for one in (await app.get("/api/servers"))["servers"]] == [False]
        of_node = Layout.of((Series("kubernetes_kubelet_errors_total", (), "", Kind.COUNTER),))
        await app.push(a_push([a_frame(NOW - 10 * MINUTE + 1, [0.0], layout=of_node)], layouts=(of_node,)))
        assert [one["kubernetes"] for one in (await app.get("/api/servers"))["servers"]] == [True]
        await app.push(a_push([a_frame(NOW)]))
        assert [one["kubernetes"] for one in (await app.get("/api/servers"))["servers"]] == [False]


async def test_what_happened(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        events = [killed(NOW - 30_000), ContainerEvent(NOW - 20_000, "started", DATABASE.id, DATABASE.name)]
        await app.push(listed(ContainerList(NOW - MINUTE, [DATABASE], [killed(NOW - MINUTE)])))
        await app.push(listed(ContainerList(NOW, [DATABASE], events)))
        path = "/api/servers/1/containers/events"
        answer = await app.get(path)
        assert [ContainerEvent(**one) for one in answer["events"]] == [*reversed(events), killed(NOW - MINUTE)]
        assert not answer["more"]
        # Of a list that was taken after the end.
        assert [one["time_ms"] for one in (await app.get(path, end=NOW - 30_000))["events"]] == [NOW - MINUTE]
        assert [one["type"] for one in (await app.get(path, container=DATABASE.name))["events"]] == ["started"]
        first = await app.get(path, limit=1)
        assert [one["type"] for one in first["events"]] == ["started"]
        assert first["more"]


async def events_of(app: RunningApp) -> list[tuple[str, str, str, int]]:
    found = (await app.get("/api/events", start=NOW - 3_600_000))["events"]
    return [
        (one["type"], one["before"], one["after"], one["time_ms"]) for one in found if one["type"] != "server_added"
    ]


async def test_what_should_be_seen_is_an_event_of_the_server(tmp_path: Path) -> None:
    def of_job(type_: str, time_ms: int, exit_code: int = 0) -> ContainerEvent:
        return ContainerEvent(time_ms, type_, JOB.id, JOB.name, JOB.workload, exit_code)

    async with running_app(tmp_path) as app:
        first = [
            of_job("started", NOW - 50_000),
            of_job("exited", NOW - 40_000),
            of_job("exited", NOW - 39_000, 143),
            of_job("exited", NOW - 38_000, 2),
            of_job("restarted", NOW - 37_000, 2),
            of_job("restarted", NOW - 36_000, 2),
            killed(NOW + 1_000),
            of_job("unhealthy", NOW - 30_000),
        ]
        expected = [
            ("container_oom_killed", JOB.name, "", NOW),
            ("container_unhealthy", JOB.name, "", NOW - 30_000),
            ("container_restarted", JOB.name, "2", NOW - 37_000),
            ("container_failed", JOB.name, "2", NOW - 38_000),
        ]
        push = listed(ContainerList(NOW, [], first))
        for _ in range(2):
            await app.push(push)
            assert await events_of(app) == expected, "each once, also if the list is sent again"
        app.clock.advance(601)
        await app.push(listed(ContainerList(NOW + 601_000, [], [of_job("restarted", NOW + 601_000, 3)])))
        assert (await events_of(app))[0] == ("container_restarted", JOB.name, "3", NOW + 601_000)


async def test_events_of_an_agent_that_has_thousands_are_bounded(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        many = [ContainerEvent(NOW, "exited", f"{number:012}", f"job-{number}", "job", 1) for number in range(1_000)]
        await app.push(listed(ContainerList(NOW, [], many, events_dropped=234)))
        assert len(await events_of(app)) <= AGENT_EVENTS_PER_HOUR
        answer = await app.get("/api/servers/1/containers/events", end=NOW + 1, limit=2_000)
        assert (len(answer["events"]), answer["dropped"]) == (1_000, 234)


async def test_an_agent_cannot_put_events_into_the_past_without_end(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        for round_ in range(4):
            many = [
                ContainerEvent(NOW - 86_400_000 + number, "exited", f"{number:012}", f"job-{round_}-{number}", "job", 1)
                for number in range(AGENT_EVENTS_PER_HOUR)
            ]
            newest = ContainerEvent(NOW, "exited", "a", f"newest-{round_}", "job", 1)
            await app.push(listed(ContainerList(NOW + round_, [], [newest, *many])))
        events = [one for one in (await app.get("/api/events", start="-50y", limit=1_000))["events"] if one["before"]]
        assert len(events) <= AGENT_EVENTS_PER_HOUR
        assert min(one["time_ms"] for one in events) >= NOW - 600_000


async def test_a_person_sees_the_containers_of_own_servers_only(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await app.push(listed(ContainerList(NOW, [DATABASE])))
        person = await add_person(app, "viewer")
        token = await api_token(app.services, person.id, "viewer", {"site": "seoul"})
        app.client.headers["Authorization"] = f"Bearer {token}"
        assert (await app.get("/api/containers"))["servers"] == []
        for path in ("containers", "containers/events"):
            assert (await app.client.get(f"/api/servers/1/{path}")).status_code == 404


@pytest.mark.parametrize(
    ("lists", "status", "code", "field", "limit"),
    [
        pytest.param([ContainerList(NOW)] * 4, 413, "too_large", "container_lists", 3, id="many lists"),
        pytest.param(
            [ContainerList(NOW, [JOB] * 6)], 413, "too_large", "container_lists[0].containers", 5, id="many containers"
        ),
        pytest.param(
            [ContainerList(NOW, [], [killed(NOW)] * 6)], 413, "too_large", "container_lists[0].events", 5, id="events"
        ),
        pytest.param(
            [ContainerList(NOW), ContainerList(NOW + 300_001)],
            400,
            "time_ahead",
            "container_lists[1].time_ms",
            300,
            id="future",
        ),
        pytest.param([ContainerList(0)], 400, "invalid_time", "container_lists[0].time_ms", None, id="no time"),
        pytest.param(
            [ContainerList(NOW, [JOB._replace(image="x" * 65)])],
            400,
            "invalid_input",
            "container_lists[0].containers[0].image",
            64,
            id="long image",
        ),
        pytest.param(
            [ContainerList(NOW, [JOB._replace(cpu_ratio=float("nan"))])],
            400,
            "invalid_input",
            "container_lists[0].containers[0].cpu_ratio",
            None,
            id="no number",
        ),
        pytest.param(
            [ContainerList(NOW, [], [killed(NOW)._replace(type="x" * 65)])],
            400,
            "invalid_input",
            "container_lists[0].events[0].type",
            64,
            id="long type",
        ),
    ],
)
async def test_what_cannot_be_stored(
    tmp_path: Path, lists: list[ContainerList], status: int, code: str, field: str, limit: float | None
) -> None:
    limits = Limits(container_lists_per_request=3, containers_per_list=5, process_name_bytes=64)
    async with running_app(tmp_path, limits=limits) as app:
        answer = await app.push(listed(*lists))
        assert answer.status_code == status
        error = protobuf.decode_result(answer.content).error
        assert error is not None
        assert (error.code, error.field, error.limit) == (code, field, limit)
        assert (await app.push(Push(an_agent(), container_lists=[ContainerList(NOW, [JOB])]))).status_code in (200, 204)
