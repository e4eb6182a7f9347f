"""Prometheus, VictoriaMetrics and InfluxDB, which benchmarks compare with: each on the server's core, with an empty
folder."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from benchmarks.ingest import SERVER_CORE, free_port

PROMETHEUS, VICTORIA_METRICS, INFLUXDB = "prometheus", "victoria-metrics", "influxd"

_INFLUXDB_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
"""


@contextlib.contextmanager
def empty_folder() -> Iterator[Path]:
    """A folder that is deleted afterwards; below BONGSU_BENCH_DIR if that is set."""
    with tempfile.TemporaryDirectory(prefix="bongsu-bench-", dir=os.environ.get("BONGSU_BENCH_DIR")) as folder:
        yield Path(folder)


@contextlib.contextmanager
def _running(*words: str, port: int, ready: str = "/metrics") -> Iterator[tuple[int, int]]:
    process = subprocess.Popen(
        words,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}{ready}").is_success:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{words[0]} did not start")
            time.sleep(0.1)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextlib.contextmanager
def running_victoria_metrics() -> Iterator[tuple[int, int]]:
    """Yields its port and process id."""
    with empty_folder() as folder:
        port = free_port()
        listen = f"-httpListenAddr=127.0.0.1:{port}"
        with _running(VICTORIA_METRICS, f"-storageDataPath={folder}", listen, port=port) as peer:
            yield peer


@contextlib.contextmanager
def running_prometheus(program: str = PROMETHEUS) -> Iterator[tuple[int, int]]:
    """Prometheus as a receiver of samples of the last hours. Yields its port and process id."""
    with empty_folder() as folder:
        port = free_port()
        config = folder / "prometheus.yml"
        config.write_text("storage: {tsdb: {out_of_order_time_window: 6h}}\n")
        words = (program, f"--config.file={config}", f"--storage.tsdb.path={folder}/data")
        more = ("--web.enable-remote-write-receiver", f"--web.listen-address=127.0.0.1:{port}")
        with _running(*words, *more, port=port) as peer:
            yield peer


@contextlib.contextmanager
def running_influxdb() -> Iterator[tuple[int, int]]:
    """InfluxDB 1 with a database ``bench``; it syncs each write to disk. Yields its port and process id."""
    with empty_folder() as folder:
        port = free_port()
        config = folder / "influxdb.conf"
        config.write_text(_INFLUXDB_CONFIG.format(folder=folder, port=port, rpc=free_port()))
        with _running(INFLUXDB, "-config", str(config), port=port, ready="/ping") as peer:
            url = f"http://127.0.0.1:{port}/query"
            httpx.post(url, params={"q": "CREATE DATABASE bench"}).raise_for_status()
            yield peer
