"""Alerts name the containers that may be their cause."""

from pathlib import Path
from typing import Any

from bongsu.core.samples import Container, ContainerEvent, ContainerList, Frame, pack
from bongsu.core.series import Kind, Layout, Series
from tests.support.alerting import a_webhook, watching
from tests.support.app import RunningApp, running_app
from tests.support.endpoints import endpoint
from tests.support.pushes import a_push

MINUTE = 60_000
OOM = Layout.of((Series("workload_oom_kills_total", (("workload", 'shop/"db'),), "", Kind.COUNTER),))
CPU = Layout.of((Series("cpu_usage_ratio", (), "ratio", Kind.GAUGE),))


def container(name: str, workload: str, **more: Any) -> Container:
    return Container(f"{name:0<12}", name, "busybox", workload, "docker", "running", **more)


async def push(app: RunningApp, layout: Layout, value: float, *lists: ContainerList) -> None:
    now_ms = app.clock.now_ms()
    sent = a_push([Frame(layout.id, now_ms, pack([value]))], layouts=(layout,))
    sent.container_lists = list(lists)
    assert (await app.push(sent)).status_code in (200, 204)


async def rule(app: RunningApp, condition: dict[str, Any]) -> None:
    body = {"name": "It", "condition": {"type": "threshold", "window": "10m"} | condition}
    (await app.client.post("/api/alerts/rules", json=body)).raise_for_status()


async def test_a_container_that_was_killed_and_is_gone_is_named(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await a_webhook(app, hook.url)
            await rule(app, {"metric": "workload_oom_kills_total", "function": "increase", "value": 0.5})
            await push(app, OOM, 0)
            await watcher.evaluate()
            app.clock.advance(60)
            now_ms = app.clock.now_ms()
            killed = container("db-7", 'shop/"db', exit_code=137, oom_kills=1, finished_ms=now_ms)._replace(
                state="exited"
            )
            alike, other = container("db-8", 'shop/"db'), container("web", "shop/web", cpu_ratio=3.0)
            event = ContainerEvent(now_ms, "oom_killed", killed.id, killed.name, killed.workload)
            await push(app, OOM, 1, ContainerList(now_ms, [alike, other, killed], [event]))
            app.clock.advance(60)
            await push(app, OOM, 1, ContainerList(app.clock.now_ms(), [alike, other]))
            await watcher.evaluate()
            (request,) = hook.received
            named = [one["name"] for one in request.json["containers"]]
            assert named == ["db-7 [exited (137), OOM x1]", "db-8"], "not the one of another workload"
            (alert,) = (await app.get("/api/alerts/active"))["alerts"]
            record = await app.get(f"/api/alerts/{alert['id']}")
            assert [(one["name"], one["oom_kills"]) for one in record["containers"]] == [("db-7", 1), ("db-8", 0)]
            assert record["containers_ms"] == app.clock.now_ms()


async def test_an_alert_of_the_host_names_the_busiest(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await a_webhook(app, hook.url)
            await rule(app, {"metric": "cpu_usage_ratio", "function": "last", "value": 0.9})
            busy, idle = container("web", "shop/web", cpu_ratio=3.0), container("db", "shop/db", cpu_ratio=0.1)
            await push(app, CPU, 0.95, ContainerList(app.clock.now_ms(), [idle, busy]))
            await watcher.evaluate()
            (request,) = hook.received
            assert [(one["name"], one["cpu"]) for one in request.json["containers"]] == [
                ("web", "300 %"),
                ("db", "10 %"),
            ]


async def test_a_list_of_long_ago_tells_nothing(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await a_webhook(app, hook.url)
            await rule(app, {"metric": "cpu_usage_ratio", "function": "last", "value": 0.9})
            await push(app, CPU, 0.1, ContainerList(app.clock.now_ms() - 6 * MINUTE, [container("web", "shop/web")]))
            app.clock.advance(1)
            await push(app, CPU, 0.95)
            await watcher.evaluate()
            (request,) = hook.received
            assert request.json["containers"] == []
