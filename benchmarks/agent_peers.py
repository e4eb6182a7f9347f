"""What other collectors cost on this machine: node_exporter, netdata and glances, each measured as the agent is.

Each looks at the machine every 10 s with its own defaults: node_exporter when it is scraped, netdata and glances by
themselves. netdata also stores what it finds and serves pages, glances writes a file.
"""

import contextlib
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil

from benchmarks.ingest import free_port

NODE_EXPORTER, NETDATA, GLANCES = "prometheus-node-exporter", "netdata", "glances"
INTERVAL_SECONDS = 10
# The first rounds cost more than later ones.
SETTLE_SECONDS = 25

_NETDATA_CONFIG = """
[global]
    run as user = root
[directories]
    cache = {folder}/cache
    lib = {folder}/lib
    log = {folder}/log
    home = {folder}
[db]
    update every = {interval}
[web]
    bind to = 127.0.0.1:{port}
"""


def cost(pid: int) -> tuple[float, float, float]:
    """Seconds of CPU so far, resident and proportional memory in MB, of a process and those that it started."""
    cpu = resident = proportional = 0.0
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            times = process.cpu_times()
            # In ns, unlike the ticks of 10 ms; of processes that have ended there are only ticks.
            tasks = Path(f"/proc/{process.pid}/task").iterdir()
            cpu += sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
            cpu += times.children_user + times.children_system
            memory = process.memory_full_info()
            resident, proportional = resident + memory.rss / 1e6, proportional + memory.pss / 1e6
    return cpu, resident, proportional


def measured(pid: int, seconds: float) -> dict[str, float]:
    """Share of a core in percent over this time, and memory at its end. Raises RuntimeError: the process has ended."""
    before, began = cost(pid)[0], time.monotonic()
    time.sleep(seconds)
    cpu, resident, proportional = cost(pid)
    if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
        raise RuntimeError(f"process {pid} has ended")
    share = (cpu - before) / (time.monotonic() - began) * 100
    return {"cpu_percent": round(share, 4), "rss_mb": round(resident, 2), "pss_mb": round(proportional, 2)}


@contextlib.contextmanager
def _running(*words: str) -> Iterator[int]:
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _scraped(url: str) -> Iterator[None]:
    stop = threading.Event()

    def scrape() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):  # not up yet
                urllib.request.urlopen(url, timeout=5).read()
                stop.wait(INTERVAL_SECONDS)
                continue
            stop.wait(0.2)

    scraper = threading.Thread(target=scrape)
    scraper.start()
    try:
        yield
    finally:
        stop.set()
        scraper.join()


@contextlib.contextmanager
def _node_exporter(_folder: Path) -> Iterator[int]:
    address = f"127.0.0.1:{free_port()}"
    with _running(NODE_EXPORTER, f"--web.listen-address={address}") as pid, _scraped(f"http://{address}/metrics"):
        yield pid


@contextlib.contextmanager
def _netdata(folder: Path) -> Iterator[int]:
    for name in ("cache", "lib", "log"):
        (folder / name).mkdir(parents=True)
    config = folder / "netdata.conf"
    config.write_text(_NETDATA_CONFIG.format(folder=folder, interval=INTERVAL_SECONDS, port=free_port()))
    with _running(NETDATA, "-D", "-c", str(config), "-P", str(folder / "pid")) as pid:
        yield pid


@contextlib.contextmanager
def _glances(folder: Path) -> Iterator[int]:
    folder.mkdir()
    export = ("--export", "json", "--export-json-file", str(folder / "glances.json"))
    with _running(GLANCES, "--quiet", *export, "-t", str(INTERVAL_SECONDS)) as pid:
        yield pid


_PEERS: dict[str, tuple[str, Callable[[Path], contextlib.AbstractContextManager[int]]]] = {
    "node_exporter": (NODE_EXPORTER, _node_exporter),
    "netdata": (NETDATA, _netdata),
    "glances": (GLANCES, _glances),
}


@contextlib.contextmanager
def running_peers(folder: Path) -> Iterator[dict[str, int]]:
    """Starts those that are installed. Yields name -> process id, once they have settled."""
    with ExitStack() as stack:
        pids = {
            name: stack.enter_context(start(folder / name))
            for name, (program, start) in _PEERS.items()
            if shutil.which(program)
        }
        time.sleep(SETTLE_SECONDS if pids else 0)
        yield pids
