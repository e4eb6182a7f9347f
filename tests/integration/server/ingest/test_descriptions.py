"""What senders tell about metrics: types, help texts and units, as /api/v1/metadata shows them."""

import json
from pathlib import Path
from typing import Any

import pytest

from bongsu.core.descriptions import Description
from bongsu.server.ingest import descriptions
from bongsu.server.ingest.descriptions import HELP_CHARACTERS, REPLACE_MS
from bongsu.server.storage.assembler import SETTLE_MS, Assembler
from bongsu.wire import remote_write_pb2 as pb
from tests.support.app import RunningApp, running_app
from tests.support.jobs import run_jobs
from tests.support.remote_write import VERSION_2, request_1, request_2, snappy, write, writer_token

NOW = 1_750_000_000_000


async def assembled(app: RunningApp, folder: Path) -> None:
    app.clock.advance(SETTLE_MS / 1000)
    await run_jobs(app.clock, folder, Assembler)
    await app.services.fleet.look()


def sample(metric: str, value: float = 1.0, **labels: str) -> tuple[dict[str, str], int, float]:
    return {"__name__": metric, "instance": "web-1:9100", **labels}, NOW, value


async def told(app: RunningApp) -> dict[str, Any]:
    found: dict[str, Any] = (await app.get("/api/v1/metadata"))["data"]
    return found


@pytest.mark.parametrize("version", ["1.0", "2.0"])
async def test_remote_write(tmp_path: Path, version: str) -> None:
    buckets = [sample("latency_seconds_bucket", le="1"), sample("latency_seconds_count"), sample("latency_seconds_sum")]
    async with running_app(tmp_path) as app:
        token = await writer_token(app)
        if version == "1.0":
            known = {
                "latency_seconds": Description("histogram", "How long it took.", "seconds"),
                "absent": Description("gauge", "Of no series.", ""),
            }
            await write(app, request_1([*buckets, sample("load1")]), token)
            response = await write(app, request_1([], known), token)
        else:
            kind = pb.Metadata.METRIC_TYPE_HISTOGRAM
            response = await write(app, request_2(buckets, kind, "How long it took.", "seconds"), token, VERSION_2)
            await write(app, request_2([sample("load1")]), token, VERSION_2)
        assert response.status_code == 204
        await assembled(app, tmp_path)
        assert await told(app) == {
            "latency_seconds": [{"type": "histogram", "help": "How long it took.", "unit": "seconds"}],
            "load1": [{"type": "gauge", "help": "", "unit": ""}],
        }
    async with running_app(tmp_path) as app:  # another process
        assert (await told(app))["latency_seconds"][0]["help"] == "How long it took."


async def test_opentelemetry(tmp_path: Path) -> None:
    point = {"timeUnixNano": str(NOW * 1_000_000), "asDouble": 1.5}
    metric = {"name": "queue.wait", "unit": "s", "description": "Time in the queue.", "gauge": {"dataPoints": [point]}}
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
    async with running_app(tmp_path) as app:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {await writer_token(app)}"}
        response = await app.client.post("/v1/metrics", content=json.dumps(body), headers=headers)
        assert (response.status_code, response.json()) == (200, {})
        await assembled(app, tmp_path)
        assert await told(app) == {
            "queue_wait_seconds": [{"type": "gauge", "help": "Time in the queue.", "unit": "seconds"}]
        }


async def test_two_senders_that_disagree_do_not_write_all_the_time(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        token = await writer_token(app)

        async def tell(text: str) -> str:
            await write(app, request_1([sample("load1")], {"load1": Description("gauge", text, "")}), token)
            await assembled(app, tmp_path)
            return str((await told(app))["load1"][0]["help"])

        assert await tell("One.") == "One."
        assert await tell("Another.") == "One."
        app.clock.advance(REPLACE_MS / 1000)
        assert await tell("Another.") == "Another."


async def test_garbage_is_cut_or_left_out(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        known = {
            "load1": Description("gauge", "A\nlong\x1b " + "text" * HELP_CHARACTERS, "s" * 1_000),
            "no metric": Description("gauge", "Nothing.", ""),
            "": Description("gauge", "Nothing.", ""),
        }
        response = await write(app, request_1([sample("load1")], known), await writer_token(app))
        assert response.status_code == 204
        await assembled(app, tmp_path)
        found = await told(app)
        assert list(found) == ["load1"]
        assert found["load1"][0]["help"].startswith(r"A long\x1b text")
        assert (len(found["load1"][0]["help"]), len(found["load1"][0]["unit"])) == (HELP_CHARACTERS, 64)
        wrong = pb.Request(symbols=[""], timeseries=[pb.TimeSeries2(metadata=pb.Metadata(type=1, help_ref=7))])  # type: ignore[arg-type]
        response = await write(app, snappy(wrong.SerializeToString()), await writer_token(app), VERSION_2)
        assert (response.status_code, response.json()["error"]["field"]) == (400, "timeseries.metadata")


async def test_too_many_replace_those_of_no_series_and_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptions, "MOST", 3)
    async with running_app(tmp_path) as app:
        token = await writer_token(app)
        gone = {f"gone{index}": Description("gauge", "Of no series.", "") for index in range(2)}
        await write(app, request_1([sample("load1")], gone | {"load1": Description("gauge", "Load.", "")}), token)
        await assembled(app, tmp_path)
        more = {f"more{index}": Description("gauge", "More.", "") for index in range(5)}
        assert (await write(app, request_1([], more), token)).status_code == 204
        assert app.services.foreign.descriptions.dropped == 3
        assert list(await told(app)) == ["load1"]
        metrics = (await app.client.get("/metrics")).text
        assert "bongsu_ingest_descriptions_dropped_total 3" in metrics
