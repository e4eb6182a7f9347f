"""The history of a real Prometheus, brought into a real Bongsu."""

import json
import subprocess
from pathlib import Path

from tests.support.importing import destination
from tests.support.processes import wait_for
from tests.support.programs import need
from tests.support.prometheus import now_ms, prometheus

SECONDS = 8


def test_every_sample_arrives_also_after_a_kill(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with destination(tmp_path) as bongsu, prometheus(tmp_path, {}) as source:
        start_ms = now_ms()
        wait_for(lambda: now_ms() > start_ms + SECONDS * 1_000 and source.query("up", now_ms()), "some scrapes")
        end_ms = now_ms() - 1_000
        words = (
            *("prometheus", source.url, "--start", f"{start_ms / 1000:.3f}", "--end", f"{end_ms / 1000:.3f}"),
            *("--state", str(state), "--batch", "20"),
        )
        process = subprocess.Popen(bongsu.words(*words), env=bongsu.environment, stderr=subprocess.PIPE)

        def is_under_way() -> bool:
            assert process.poll() is None, process.communicate()
            return state.exists() and bool(json.loads(state.read_text())["position"])

        wait_for(is_under_way, "a part of the import")
        process.kill()
        process.communicate()
        before = json.loads(state.read_text())
        assert not before["done"]
        expected = source.samples(start_ms - 1, end_ms)
        assert len(expected) > 300
        count = sum(map(len, expected.values()))
        assert 0 < before["counts"]["stored"] < count

        done = bongsu.run(*words)
        assert done.returncode == 0, done.stderr
        assert "continues where" in done.stderr
        wait_for(lambda: bongsu.samples(start_ms - 1, end_ms) == expected, "the same samples")
        after = json.loads(state.read_text())
        assert after["done"]
        # Every sample once, also those of NaN, which are no samples for the comparison.
        assert after["counts"]["read"] == after["counts"]["stored"] >= count

        again = bongsu.run(*words)
        assert again.returncode == 0
        assert json.loads(state.read_text())["counts"] == after["counts"]


def test_promtools_dump_brings_the_same(tmp_path: Path) -> None:
    need("promtool")
    with destination(tmp_path) as bongsu, prometheus(tmp_path, {}) as source:
        start_ms = now_ms()
        wait_for(lambda: now_ms() > start_ms + SECONDS * 1_000 and source.query("up", now_ms()), "some scrapes")
        end_ms = now_ms() - 1_000
        expected = source.samples(start_ms, end_ms)
        source.process.terminate()
        source.process.wait(30)
        dump = tmp_path / "dump.txt"
        with dump.open("wb") as stream:
            subprocess.run(["promtool", "tsdb", "dump", str(tmp_path / "prometheus")], stdout=stream, check=True)
        done = bongsu.run("openmetrics", str(dump))
        assert done.returncode == 0, done.stderr
        # When Prometheus ends, it may have scraped once more.
        wait_for(lambda: bongsu.samples(start_ms, end_ms) == expected, "the same samples")
