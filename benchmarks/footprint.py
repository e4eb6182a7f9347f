"""What Bongsu costs a small machine that it watches: ``bongsu up`` with one agent and nobody looking.

Start to ready: from the start of the process until /api/health answers, and the CPU time that all processes have taken
by then; of ``--starts`` starts the median. The first start, which compiles all Python code (the standard library's too)
and makes the database, is given on its own.

Memory is the proportional set size (PSS): pages that several processes share are divided among them, so that the sum is
what the machine would have back without Bongsu. Libraries that other programs on the machine have loaded too count less
for that; ``without_others_mb`` is what the sum would be if there were none. Memory is read ``--settle`` seconds after
the last start; CPU time during the ``--seconds`` after that. Linux only.
"""

import contextlib
import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from benchmarks.ingest import cpu_seconds
from benchmarks.report import parser, report
from bongsu.server.launch import free_port

# The first start compiles everything.
PATIENCE_SECONDS = 120
STOP_SECONDS = 30
PROCESSES = 4


def answers(port: int) -> bool:
    """Whether the API server is ready."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/api/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def started(folder: Path) -> Iterator[tuple[psutil.Process, float, float]]:
    """Runs ``bongsu up``; yields its process, the seconds until it was ready, and the CPU time of all its processes."""
    port = free_port("127.0.0.1")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BONGSU_")}
    environment |= {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    words = [sys.executable, "-m", "bongsu.cli", "up", "--port", str(port), "--data-dir", str(folder / "data")]
    began = time.perf_counter()
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL)
    try:
        while not answers(port):
            if process.poll() is not None or time.perf_counter() - began > PATIENCE_SECONDS:
                raise SystemExit("bongsu up does not become ready")
            time.sleep(0.005)
        ready = time.perf_counter() - began
        parent = psutil.Process(process.pid)
        yield parent, ready, spent_seconds(parent)
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def spent_seconds(parent: psutil.Process) -> float:
    """CPU time of a process and of its children, also of those that have ended."""
    ended = parent.cpu_times()
    spent = ended.children_user + ended.children_system
    return float(spent) + sum(cpu_seconds(each.pid) for each in (parent, *parent.children(recursive=True)))


def parts(parent: psutil.Process) -> dict[str, int]:
    """Name -> process id of all processes of ``bongsu up``."""
    names = {"bongsu api": "api_server", "bongsu worker": "worker"}
    children = {child.pid: names.get(child.name(), "agent") for child in parent.children()}
    return {"parent": parent.pid} | {name: pid for pid, name in children.items()}


def all_parts(parent: psutil.Process) -> dict[str, int]:
    """The same, once all of them run."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(found := parts(parent)) < PROCESSES:
        if time.monotonic() > deadline:
            raise SystemExit(f"only {', '.join(found)} run")
        time.sleep(0.1)
    return found


def pss_mb(pid: int) -> float:
    """Proportional set size of a process."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1]) / 1024


def without_others_mb(pids: Iterable[int]) -> float:
    """Memory of processes if no other process had any of their files in memory: what is in memory of each file, by the
    process that has most of it, and all that belongs to no file."""
    private, files = 0.0, Counter[str]()
    for pid in pids:
        of_process = Counter[str]()
        for mapping in psutil.Process(pid).memory_maps():
            of_process[mapping.path] += mapping.rss - mapping.anonymous
        files |= of_process
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        private += int(next(line for line in rollup.splitlines() if line.startswith("Pss_Anon:")).split()[1]) / 1024
    return private + files.total() / 1024 / 1024


def measure(starts: int, settle: float, seconds: float) -> dict[str, float]:
    """All figures of one run on an empty data directory."""
    with tempfile.TemporaryDirectory(prefix="bongsu-bench-", dir=os.environ.get("BONGSU_BENCH_DIR")) as name:
        folder = Path(name)
        with started(folder) as (parent, first, _):
            all_parts(parent)  # or what the worker and the agent compile would be compiled by the next start
        took, spent = [], []
        for _ in range(starts - 1):
            with started(folder) as (parent, ready, cpu):
                took.append(ready)
                spent.append(cpu)
                all_parts(parent)
        with started(folder) as (parent, ready, cpu):
            took.append(ready)
            spent.append(cpu)
            pids = all_parts(parent)
            time.sleep(settle)
            memory = {name: pss_mb(pid) for name, pid in pids.items()}
            without_others = without_others_mb(pids.values())
            before, began = {name: cpu_seconds(pid) for name, pid in pids.items()}, time.perf_counter()
            time.sleep(seconds)
            elapsed = time.perf_counter() - began
            percent = {name: (cpu_seconds(pid) - before[name]) / elapsed * 100 for name, pid in pids.items()}
    results = {"first_start_seconds": first, "start_seconds": statistics.median(took)}
    results["start_cpu_seconds"] = statistics.median(spent)
    results |= {f"{name}_pss_mb": value for name, value in memory.items()} | {"pss_mb": sum(memory.values())}
    results["without_others_mb"] = without_others
    results |= {f"{name}_idle_cpu_percent": value for name, value in percent.items()}
    return results | {"idle_cpu_percent": sum(percent.values())}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--starts", type=int, default=5, help="after the first one")
    arguments.add_argument("--settle", type=float, default=60)
    arguments.add_argument("--seconds", type=float, default=120)
    options = arguments.parse_args()
    report("footprint", measure(options.starts, options.settle, options.seconds), as_json=options.json)


if __name__ == "__main__":
    main()
