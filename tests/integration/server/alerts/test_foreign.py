"""Rules watch foreign series as they watch those of agents, also series that come later."""

from pathlib import Path
from typing import Any

from bongsu.server.alerts.source import REFRESH_MS
from bongsu.server.storage.assembler import SETTLE_MS, Assembler
from tests.support.alerting import watching
from tests.support.app import RunningApp, running_app
from tests.support.jobs import run_jobs
from tests.support.remote_write import Sample, request_1, write, writer_token

STEP_MS = 15_000
RULE: dict[str, Any] = {
    "name": "Queue",
    "condition": {"type": "threshold", "metric": "queue:length", "function": "last", "window": "1m", "value": 100},
}


def labels(queue: str) -> dict[str, str]:
    return {"__name__": "queue:length", "instance": "mq-1:9419", "job": "mq", "queue": queue}


async def scrape(app: RunningApp, folder: Path, lengths: dict[str, float]) -> None:
    """One scrape, and what the worker makes of it."""
    app.clock.advance((STEP_MS - SETTLE_MS) / 1000)
    samples: list[Sample] = [(labels(queue), app.clock.now_ms(), length) for queue, length in lengths.items()]
    assert (await write(app, request_1(samples), await writer_token(app))).status_code == 204
    app.clock.advance(SETTLE_MS / 1000)
    await run_jobs(app.clock, folder, Assembler)


async def firing(app: RunningApp) -> list[tuple[str, str]]:
    answer = await app.get("/api/alerts/active", state="firing")
    return [(alert["server_name"], alert["series"]) for alert in answer["alerts"] if alert["rule_name"] == "Queue"]


async def test_a_rule_fires_for_a_series_and_for_one_that_comes_later(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app, watching(app, tmp_path) as watcher:
        assert (await app.client.post("/api/alerts/rules", json=RULE)).is_success
        for length in (1.0, 500.0, 500.0):
            await scrape(app, tmp_path, {"mail": length, "bills": 1.0})
            await watcher.evaluate()
        assert await firing(app) == [("mq-1", str_of("mail"))]
        # A new series in the same layout is watched as soon as the layouts are looked at again.
        for _ in range(REFRESH_MS // STEP_MS + 2):
            await scrape(app, tmp_path, {"mail": 1.0, "bills": 1.0, "late": 700.0})
            await watcher.evaluate()
        assert await firing(app) == [("mq-1", str_of("late"))]


def str_of(queue: str) -> str:
    return f'queue:length{{instance="mq-1:9419",job="mq",queue="{queue}"}}'
