"""The history of a real VictoriaMetrics, brought into a real Bongsu."""

from pathlib import Path

import httpx

from tests.support.importing import destination
from tests.support.processes import free_port, wait_for
from tests.support.programs import need
from tests.support.prometheus import Samples, now_ms, program, series_text

HOUR_MS = 3_600_000


def test_its_raw_samples_arrive(tmp_path: Path) -> None:
    need("victoria-metrics")
    address = f"127.0.0.1:{free_port()}"
    words = ("victoria-metrics", f"-storageDataPath={tmp_path / 'vm'}", f"-httpListenAddr={address}")
    start_ms = (now_ms() - 3 * HOUR_MS) // 1_000 * 1_000
    lines, expected = [], Samples()
    for n in range(30):
        labels = {"__name__": f"m{n % 7}", "instance": f"h{n % 3}:9100", "n": f'{n} "\\'}
        for index in range(500):  # irregular, to the millisecond
            time_ms, value = start_ms + index * 20_000 + n * 37 + index % 11, index * n / 8
            text = labels["n"].replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'{labels["__name__"]}{{instance="{labels["instance"]}",n="{text}"}} {value} {time_ms}')
            expected.setdefault(series_text(labels), {})[time_ms] = value
    with destination(tmp_path) as bongsu, program(*words, url=f"http://{address}/health"):
        httpx.post(f"http://{address}/api/v1/import/prometheus", content="\n".join(lines)).raise_for_status()
        httpx.get(f"http://{address}/internal/force_flush").raise_for_status()
        state = str(tmp_path / "state.json")
        words = ("prometheus", f"http://{address}", "--start", "4h", "--state", state, "--match", '{n!=""}')
        done = bongsu.run(*words)
        assert done.returncode == 0, done.stderr
        assert "15,000 samples read, 15,000 stored" in done.stdout
        wait_for(lambda: bongsu.samples(start_ms - 1, now_ms()) == expected, "the same samples")

        # Once it has ended, it brings what has come since.
        time_ms = now_ms()
        httpx.post(f"http://{address}/api/v1/import/prometheus", content=f'late{{instance="h",n="1"}} 5 {time_ms}')
        httpx.get(f"http://{address}/internal/force_flush").raise_for_status()
        done = bongsu.run(*words)
        assert done.returncode == 0, done.stderr
        assert "15,001 samples read, 15,001 stored" in done.stdout
