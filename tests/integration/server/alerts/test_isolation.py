"""One bad thing costs only itself: a layout, a frame, a rule, a silence, a channel, a server, a read."""

import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from bongsu.core.errors import Unavailable
from bongsu.core.samples import Frame, pack
from bongsu.core.series import Layout, Series
from bongsu.server.alerts import source
from bongsu.server.alerts.queries.alerts import active_alerts
from bongsu.server.database.tables import alert_channels, alert_rules, alert_silences, layouts
from bongsu.server.fleet.servers import add_server
from bongsu.server.storage.batches import Batch, store
from tests.support.alerting import Watcher, a_rule, a_webhook, make, send_cpu, watching
from tests.support.app import RunningApp, running_app
from tests.support.endpoints import endpoint
from tests.support.pushes import CPU, HOST, MEMORY, an_agent


async def add(app: RunningApp, name: str, layout: Layout, *frames: bytes) -> int:
    """A server whose frames were stored as they are. Each is 10 s later than the one before; the last is of now."""

    def write(connection: Connection) -> int:
        record = add_server(connection, an_agent(name), HOST, app.clock.now_ms())
        times = [app.clock.now_ms() - 10_000 * back for back in range(len(frames) - 1, -1, -1)]
        rows = [Frame(layout.id, time_ms, values) for time_ms, values in zip(times, frames, strict=True)]
        store(connection, [Batch(record.id, rows, [layout])])
        return record.id

    return await app.services.database.write(write)


async def firing(app: RunningApp) -> set[tuple[str, str]]:
    alerts = await app.services.database.read(active_alerts)
    return {(alert.server_name, alert.series) for alert in alerts if alert.state == "firing"}


async def problems(app: RunningApp) -> list[str]:
    return [problem["message"] for problem in (await app.get("/api/health"))["problems"]]


@pytest.mark.parametrize("order", [pytest.param(1, id="the victim first"), pytest.param(-1, id="the victim last")])
async def test_two_servers_with_one_layout_id_and_different_series(tmp_path: Path, order: int) -> None:
    """Agents choose the ids: the values of one server must not be taken for those of another."""
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        servers = [("victim", (CPU,), (0.95,)), ("short", (MEMORY, CPU), (7.0, 0.5)), ("other", (MEMORY,), (0.99,))]
        for name, series, values in servers[::order]:
            await add(app, name, Layout(1, series), pack(values))
        await a_rule(app)
        await watcher.evaluate()
        assert await firing(app) == {("victim", "cpu_usage_ratio")}


async def test_a_frame_of_a_wrong_length_costs_only_itself(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        layout = Layout(1, (CPU, MEMORY))
        await add(app, "broken", layout, pack((0.5,)))
        await add(app, "sound", layout, pack((0.95, 1.0)))
        await a_rule(app)
        await watcher.evaluate()
        assert await firing(app) == {("sound", "cpu_usage_ratio")}
        assert any("wrong length" in message for message in await problems(app))


async def test_a_layout_that_cannot_be_read_costs_only_its_server(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        broken = await add(app, "broken", Layout(1, (CPU,)), pack((0.95,)))
        await add(app, "sound", Layout(2, (CPU,)), pack((0.95,)))
        await a_rule(app)
        await app.services.database.write(
            lambda connection: connection.execute(
                update(layouts).where(layouts.c.server_id == broken).values(series=b"no zlib")
            )
        )
        await watcher.evaluate()
        assert await firing(app) == {("sound", "cpu_usage_ratio")}
        assert any("its layout 1 cannot be read" in message for message in await problems(app))


async def test_rules_silences_and_channels_that_cannot_be_read_are_left_out_and_shown(tmp_path: Path) -> None:
    with endpoint() as hook:
        async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
            await send_cpu(app, 0.95)
            rule, channel = await a_rule(app, name="Bad"), await a_webhook(app, hook.url, name="bad")
            await a_rule(app)
            await a_webhook(app, hook.url)
            silence = {"weekly": {"days": ["sun"], "start": "00:00", "duration": "24h", "timezone": "Mars/Olympus"}}

            def spoil(connection: Connection) -> None:
                connection.execute(
                    update(alert_rules).where(alert_rules.c.id == rule["id"]).values(document='{"name": 1}')
                )
                connection.execute(
                    update(alert_channels)
                    .where(alert_channels.c.id == channel["id"])
                    .values(document='{"name": "bad"}')
                )
                values = {"document": json.dumps(silence), "created_by": "", "created_ms": 0}
                connection.execute(insert(alert_silences).values(values))

            await app.services.database.write(spoil)
            await watcher.evaluate()
            assert [request.json["title"] for request in hook.received] == ["[ALERT] CPU: web-1"]
            health = await app.get("/api/health")
            assert health["status"] == "degraded"
            assert {(entry["kind"], entry["id"]) for entry in health["alerts"]["skipped"]} == {
                ("rule", rule["id"]),
                ("channel", channel["id"]),
                ("silence", 1),
            }
            assert len((await app.get("/api/alerts/rules"))["rules"]) == 1
            assert len((await app.get("/api/alerts/channels"))["channels"]) == 1
            assert (await app.get("/api/alerts/silences"))["silences"] == []
            for path in (f"rules/{rule['id']}", f"channels/{channel['id']}", "silences/1"):
                assert (await app.client.delete(f"/api/alerts/{path}")).status_code in (200, 204)
            app.clock.advance(10)
            await watcher.evaluate()
            assert (await app.get("/api/health"))["alerts"]["skipped"] == []


async def test_the_alerts_of_a_rule_that_cannot_be_read_do_not_end(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        await send_cpu(app, 0.95)
        rule = await a_rule(app)
        await watcher.evaluate()

        async def write(document: str, version: int) -> None:
            values = {"document": document, "updated_ms": app.clock.now_ms() + version}
            await app.services.database.write(
                lambda connection: connection.execute(
                    update(alert_rules).where(alert_rules.c.id == rule["id"]).values(values)
                )
            )

        document = await app.services.database.read(
            lambda connection: connection.scalar(select(alert_rules.c.document))
        )
        await write("{}", 1)
        app.clock.advance(10)
        await watcher.evaluate()
        assert await firing(app) == {("web-1", "cpu_usage_ratio")}
        await write(document, 2)
        app.clock.advance(10)
        await send_cpu(app, 0.5)
        await watcher.evaluate()
        assert await firing(app) == set()


@pytest.mark.parametrize("failing", ["refresh", "take_new", "fill"])
async def test_a_read_that_fails_once_stops_nothing(
    tmp_path: Path, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        await send_cpu(app, 0.5)
        await watcher.evaluate()
        await a_rule(app)

        async def fails(*_: Any, **__: Any) -> None:
            raise OSError("the database is away")

        with monkeypatch.context() as patch:
            patch.setattr(watcher.cycle._source, failing, fails)
            with pytest.raises(OSError, match="away"):
                await watcher.evaluate()
        app.clock.advance(10)
        await send_cpu(app, 0.95)
        await watcher.evaluate()
        assert await firing(app) == {("web-1", "cpu_usage_ratio")}


async def rename(app: RunningApp, table: str, to: str) -> None:
    await app.services.database.write(
        lambda connection: connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {to}")
    )


async def test_a_history_that_cannot_be_read_for_a_moment_delays_no_alert_further(tmp_path: Path) -> None:
    """The windows are filled as soon as the database answers again, not with what arrives from then on."""
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        await send_cpu(app, 0.95, behind=10)
        await send_cpu(app, 0.95)
        await a_rule(app)
        await rename(app, "tiers", "elsewhere")
        await watcher.evaluate()
        assert await firing(app) == set()
        assert any("its history cannot be read" in message for message in await problems(app))
        await rename(app, "elsewhere", "tiers")
        app.clock.advance(10)
        await watcher.evaluate()
        assert await firing(app) == {("web-1", "cpu_usage_ratio")}
        assert not any("cannot be read" in message for message in await problems(app))


async def test_a_history_that_can_never_be_read_does_not_keep_its_server_out_of_the_alerts(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        await send_cpu(app, 0.5)
        await a_rule(app)
        await rename(app, "tiers", "elsewhere")
        for _ in range(source.FILL_ATTEMPTS):
            assert await firing(app) == set()
            app.clock.advance(10)
            await send_cpu(app, 0.95)
            await watcher.evaluate()
        assert await firing(app) == {("web-1", "cpu_usage_ratio")}, "its windows fill with what arrives"


async def test_a_history_that_takes_long_keeps_no_other_server_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        for name in ("slow", "web-1"):
            await send_cpu(app, 0.95, name=name)
        await a_rule(app)
        monkeypatch.setattr(source, "FILL_SECONDS", 0.0)
        run = source.HistoryReader.run

        async def hangs(self: Any, query: Any, *more: Any) -> Any:
            if query.selection.server_ids == (1,):
                raise Unavailable("The query takes too long.", code="query_timeout")
            return await run(self, query, *more)

        monkeypatch.setattr(source.HistoryReader, "run", hangs)
        # Each cycle has the time for one server.
        seconds = itertools.cycle((0.0, 0.0, 1.0))
        monkeypatch.setattr(source, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
        for _ in range(2):
            await watcher.evaluate()
        assert await firing(app) == {("web-1", "cpu_usage_ratio")}


async def test_a_rule_that_cannot_be_evaluated_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bongsu.alerts import cycle

    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        await send_cpu(app, 0.95)
        bad = await a_rule(app, name="Bad")
        await a_rule(app)
        measure = cycle.measure

        def fails(fleet: Any, rule_id: int, now_ms: int) -> Any:
            if rule_id == bad["id"]:
                raise ZeroDivisionError
            return measure(fleet, rule_id, now_ms)

        monkeypatch.setattr(cycle, "measure", fails)
        await watcher.evaluate()
        assert await firing(app) == {("web-1", "cpu_usage_ratio")}
        assert len(await app.services.database.read(active_alerts)) == 1
        assert any(f"rule {bad['id']}" in message for message in await problems(app))


async def churn(app: RunningApp, watcher: Watcher, count: int) -> None:
    """A server that makes a new layout, with a new series, in each cycle."""
    for index in range(count):
        app.clock.advance(10)
        mount = Series("filesystem_usage_ratio", (("mountpoint", f"/run/{index}"),), "ratio")
        await add(app, "churning", Layout.of((CPU, mount)), pack((0.5, 0.1)))
        await watcher.evaluate()


async def test_a_server_with_a_new_layout_in_every_cycle_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MOST_LAYOUTS", 4)
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        await add(app, "churning", Layout.of((CPU,)), pack((0.5,)))
        condition = {"type": "threshold", "metric": "filesystem_usage_ratio", "value": 0.9}
        await add(app, "mount", Layout.of((Series("filesystem_usage_ratio", (), "ratio"),)), pack((0.5,)))
        await make(app, "rules", {"name": "Disk", "condition": condition})
        await churn(app, watcher, 12)
        (watch,) = watcher.cycle.fleet.watches.values()
        assert len(watch.keys) == 1 + 4
        (ring,) = {segment.ring for segment in watch.segments}
        assert ring.count <= 1 + 4 + 1, "the tracks of forgotten series are used again"
