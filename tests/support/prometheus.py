"""Real counterparts from Debian's packages: Prometheus, and an exporter that it scrapes."""

import contextlib
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.support.processes import free_port, wait_for
from tests.support.programs import need

# Metric and labels, as text -> time in ms -> value.
Samples = dict[str, dict[int, float]]


def series_text(labels: dict[str, str]) -> str:
    """A series as text; two series with equal labels have equal texts."""
    metric = labels.get("__name__", "")
    return metric + str(sorted((name, value) for name, value in labels.items() if name != "__name__"))


@dataclass
class Prometheus:
    """A running Prometheus."""

    url: str
    process: "subprocess.Popen[bytes]"

    def query(self, query: str, at_ms: int) -> list[dict[str, Any]]:
        """The result of an instant query."""
        parameters = {"query": query, "time": f"{at_ms / 1000:.3f}"}
        answer = httpx.post(f"{self.url}/api/v1/query", data=parameters, timeout=30)
        assert answer.status_code == 200, answer.text
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    def samples(self, start_ms: int, end_ms: int) -> Samples:
        """Its samples with ``start_ms < time <= end_ms``, without NaN."""
        rows = self.query(f'{{__name__=~".+"}}[{end_ms - start_ms}ms]', end_ms)
        found = {
            series_text(row["metric"]): {
                round(time_s * 1000): float(value) for time_s, value in row["values"] if value != "NaN"
            }
            for row in rows
        }
        return {series: samples for series, samples in found.items() if samples}


@contextlib.contextmanager
def program(*words: str, url: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs a program, and waits until ``url`` answers."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:

        def is_ready() -> bool:
            assert process.poll() is None, f"{words[0]} ended"
            with contextlib.suppress(httpx.HTTPError):
                return httpx.get(url).status_code == 200
            return False

        wait_for(is_ready, words[0])
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def node_exporter() -> Iterator[str]:
    """Runs an exporter of host metrics. Yields its address, ``127.0.0.1:PORT``."""
    need("prometheus-node-exporter")
    address = f"127.0.0.1:{free_port()}"
    with program("prometheus-node-exporter", f"--web.listen-address={address}", url=f"http://{address}/metrics"):
        yield address


@contextlib.contextmanager
def prometheus(
    folder: Path,
    targets: dict[str, str],
    remote_write: dict[str, Any] | None = None,
    jobs: Sequence[dict[str, Any]] = (),
    *,
    receives: bool = False,
) -> Iterator[Prometheus]:
    """Runs a Prometheus that scrapes itself, ``targets`` (job -> address) and other ``jobs`` every second.
    ``receives``: it scrapes nothing, and takes in what is written to it."""
    need("prometheus")
    address = f"127.0.0.1:{free_port()}"
    targets = {} if receives else {"prometheus": address, **targets}
    config: dict[str, Any] = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in targets.items()
        ]
        + list(jobs),
    }
    if remote_write is not None:
        config["remote_write"] = [remote_write]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    words = (
        "prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={address}",
        *(["--web.enable-remote-write-receiver"] if receives else []),
    )
    with program(*words, url=f"http://{address}/-/ready") as process:
        yield Prometheus(f"http://{address}", process)


def now_ms() -> int:
    """The time."""
    return round(time.time() * 1000)
