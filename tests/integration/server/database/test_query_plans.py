"""What people and machines ask all the time reads large tables by an index, never whole."""

import re
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import event

from bongsu.core.units import HOUR_MS
from bongsu.server.database.database import SqliteDatabase
from bongsu.server.storage.archive import SPAN_MS
from tests.support.app import RunningApp, running_app
from tests.support.clock import FakeClock
from tests.support.jobs import database_of, run_jobs
from tests.support.pushes import a_push, a_ramp

START = 1_750_000_000_000 // SPAN_MS * SPAN_MS
# Those with a row for each frame, block, list, event or notification.
LARGE = (
    *("frames", "blocks", "rollups", "parts", "foreign_series", "process_lists", "container_lists", "intervals"),
    *("events", "alerts", "alert_decisions", "alert_notifications", "alert_notification_alerts", "audit_log"),
)
# Indexes of a few rows: of the alerts that are open.
PARTIAL = ("USING INDEX ix_alerts_active",)
READS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/api/metrics/history", {"metric": "cpu_usage_ratio", "start": "-1h"}),
    ("/api/metrics/history", {"metric": "cpu_usage_ratio", "start": "-1d", "max_points": 100, "across": "avg"}),
    ("/api/metrics/history", {"start": "-30d", "max_points": 50}),
    ("/api/metrics/current", {}),
    ("/api/metrics/catalog", {}),
    ("/api/metrics/completeness", {"start": "-1d"}),
    ("/api/v1/query_range", {"query": "rate(network_receive_bytes_total[5m])", "start": 0, "end": 0, "step": "60"}),
    ("/api/v1/query", {"query": "up"}),
    ("/api/servers", {}),
    ("/api/servers/1/processes", {}),
    ("/api/events", {}),
    ("/api/alerts/active", {}),
    ("/api/alerts/history", {}),
    ("/api/alerts/notifications", {}),
    ("/api/audit", {}),
    ("/api/health", {}),
)


def traced(app: RunningApp) -> list[str]:
    """The statements that its readers run from now on, with their values."""
    database = database_of(app)
    assert isinstance(database, SqliteDatabase)
    statements: list[str] = []

    def trace(connection: sqlite3.Connection, *_: object) -> None:
        connection.set_trace_callback(statements.append)

    event.listen(database._reader, "connect", trace)
    for idle in database._idle:
        trace(idle.connection.driver_connection)
    return statements


async def test_no_large_table_is_read_whole(tmp_path: Path, database_url: str) -> None:
    if not database_url.startswith("sqlite"):
        return
    clock = FakeClock(START + 2 * HOUR_MS)
    async with running_app(tmp_path, clock=clock) as app:
        for name in ("web-1", "web-2"):
            assert (await app.push(a_push(a_ramp(START, 700), name=name))).status_code == 200
        clock.advance(3 * HOUR_MS / 1000)
        await run_jobs(clock, tmp_path)
        assert (await app.push(a_push(a_ramp(clock.now_ms() - 50_000, 5)))).status_code == 200
        statements = traced(app)
        for path, parameters in READS:
            if "end" in parameters:
                parameters = parameters | {"start": clock.now_ms() / 1000 - 3_600, "end": clock.now_ms() / 1000}
            answer = await app.client.get(path, params=parameters)
            assert answer.status_code == 200, (path, answer.text)
        with sqlite3.connect(tmp_path / "bongsu.db") as connection:
            found = {scan for statement in set(statements) for scan in scans(connection, statement)}
            for bad in ("SELECT count(*) FROM frames", "SELECT * FROM events ORDER BY server_name LIMIT 5"):
                assert scans(connection, bad)
    assert len(set(statements)) > 20
    assert not found, "\n\n".join(sorted(found))


def scans(connection: sqlite3.Connection, statement: str) -> list[str]:
    """The large tables that a statement reads whole, and itself."""
    if not statement.lstrip().upper().startswith("SELECT"):
        return []
    aliases = dict(re.findall(r'\b(?:FROM|JOIN)\s+"?(\w+)"?\s+AS\s+"?(\w+)"?', statement, re.IGNORECASE))
    large = {*LARGE, *(alias for table, alias in aliases.items() if table in LARGE)}
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    if "LIMIT" in statement.upper() and not any("TEMP B-TREE" in step for step in plan):
        return []  # it ends after the first rows
    whole = [step for step in plan if step.startswith("SCAN") and step.split()[1] in large]
    return [f"{step}: {statement}" for step in whole if not step.endswith(PARTIAL)]
