"""More than the API server can take: it asks agents to wait, answers what it can, and loses nothing."""

import contextlib
import gzip
import resource
import sqlite3
import threading
from pathlib import Path

import httpx

from bongsu.core.series import Layout, Series
from bongsu.wire import protobuf
from tests.support.load import START_MS, Load
from tests.support.processes import (
    answers,
    api_server,
    bongsu,
    drained,
    enrolled,
    free_port,
    logged_in,
    part_of,
    wait_for,
)
from tests.support.pushes import a_frame, a_push, an_agent

AGENTS = 40
# Above what may wait for the disk (1 MiB, the least that can be set) in one request, and in a few.
WIDE = Layout.of(tuple(Series(f"m{number}") for number in range(2_000)))
WIDE_FRAMES = 20


def push_wide(url: str, token: str, name: str, seen: list[tuple[int, str]], numbers: range) -> None:
    """Sends one large request until it is stored. ``seen``: gets status and code of each answer."""
    frames = [a_frame(START_MS + number * 1_000, [1.0] * len(WIDE.series), WIDE) for number in numbers]
    content = protobuf.encode_push(a_push(frames, name=name, layouts=[WIDE]))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": protobuf.CONTENT_TYPE}

    def stored() -> bool:
        answer = httpx.post(f"{url}/api/metrics", content=content, headers=headers, timeout=60)
        error = protobuf.decode_result(answer.content).error
        seen.append((answer.status_code, error.code if error else ""))
        assert answer.status_code == 200 or int(answer.headers["Retry-After"]) > 0
        return answer.status_code == 200

    wait_for(stored, "a large request to be stored")


def test_ten_times_the_load_is_delayed_and_nothing_is_lost(tmp_path: Path) -> None:
    """Ten times of what an agent may send in a second; and, while the disk takes its time, of what may wait for it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = ("server", "--role", "api", "--port", str(port), "--data-dir", str(tmp_path))
    limits = {"BONGSU_RATE_LIMITS__AGENT_PER_SECOND": "1", "BONGSU_LIMITS__QUEUE_BYTES": str(1 << 20)}
    with bongsu(*server, **limits) as process:
        drained(process)
        wait_for(lambda: answers(url), "the API server")
        load = Load(url, AGENTS, timeout_seconds=60)
        tokens = enrolled(url, *(an_agent(f"wide-{number}").agent_id for number in range(10)))
        seen: list[tuple[int, str]] = []
        with load.sending(), logged_in(url) as client:
            load.goes_on()
            load.is_refused("too_many_requests")
            for number, token in enumerate(tokens.values()):
                push_wide(url, token, f"wide-{number}", [], range(1))
            wide = [
                threading.Thread(target=push_wide, args=(url, token, f"wide-{number}", seen, range(1, WIDE_FRAMES)))
                for number, token in enumerate(tokens.values())
            ]
            with contextlib.closing(sqlite3.connect(tmp_path / "bongsu.db", timeout=60, isolation_level=None)) as slow:
                slow.execute("BEGIN IMMEDIATE")
                for thread in wide:
                    thread.start()
                wait_for(lambda: (503, "queue_full") in seen, "a full queue")
                slow.execute("ROLLBACK")
            for thread in wide:
                thread.join(90)
                assert not thread.is_alive()
            # It ends in the normal state.
            load.goes_on()
            health = client.get("/api/health").raise_for_status().json()
            assert health["status"] == "ok"
            assert sorted(seen)[: len(wide)] == [(200, "")] * len(wide), "each is stored in the end"
            for metric in ("m0", "m1999"):
                asked = {
                    "metric": metric,
                    "start": START_MS,
                    "end": START_MS + 60_000,
                    "step": "1s",
                    "resolution": "raw",
                }
                series = client.get("/api/metrics/history", params=asked).raise_for_status().json()["series"]
                assert [len(one["times"]) for one in series] == [WIDE_FRAMES] * len(wide)
        assert load.surprises == []
        load.check_stored(url)


def test_fifty_thousand_series_of_one_agent_are_refused_by_name_and_cost_nobody_else(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with api_server(tmp_path, port) as process:
        drained(process)
        load = Load(url, 4)
        token = enrolled(url, an_agent("wide").agent_id)[an_agent("wide").agent_id]
        headers = {"Authorization": f"Bearer {token}", "Content-Type": protobuf.CONTENT_TYPE}

        def push(*layouts: Layout) -> httpx.Response:
            frames = [a_frame(START_MS, [1.0] * len(layout.series), layout) for layout in layouts]
            content = protobuf.encode_push(a_push(frames, name="wide", layouts=layouts))
            return httpx.post(f"{url}/api/metrics", content=content, headers=headers, timeout=60)

        def layout(first: int, count: int) -> Layout:
            return Layout.of(
                tuple(Series("requests_total", (("id", str(number)),)) for number in range(first, first + count))
            )

        with load.sending(), logged_in(url) as client:
            load.goes_on()
            refused = push(layout(0, 50_000))
            error = protobuf.decode_result(refused.content).error
            assert error is not None
            assert (refused.status_code, error.field, error.limit) == (413, "layouts[0].series", 5_000)
            assert "50000 series" in error.message.replace(",", "")
            # In layouts that are small enough, the first 20,000 have names.
            for first in range(0, 50_000, 5_000):
                assert push(layout(first, 5_000)).status_code == 200
                load.goes_on()
            (problem,) = client.get("/api/health").raise_for_status().json()["problems"]
            assert problem["code"] == "too_many_series"
            assert problem["parameters"].items() >= {"server": "wide", "limit": 20_000, "count": 30_000}.items()
        assert (load.surprises, load.refusals) == ([], {})
        load.check_stored(url)


def test_without_memory_a_request_fails_or_the_process_starts_again(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with bongsu("server", "--port", str(port), "--data-dir", str(tmp_path)) as process:
        drained(process)
        wait_for(lambda: answers(url), "the API server")
        load = Load(url, 4, timeout_seconds=5)
        body = gzip.compress(b"[" * (4 << 20))
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        headers["Authorization"] = f"Bearer {load.agents[0].token}"
        failed: list[str] = []

        def ask_for_much() -> None:
            try:
                answer = httpx.post(f"{url}/api/metrics", content=body, headers=headers, timeout=5)
                if answer.status_code == 500:
                    failed.append("500")
            except httpx.HTTPError as error:
                failed.append(type(error).__name__)

        with load.sending():
            for spare_mib in (1, 16):
                load.goes_on()
                api = part_of(process, "api")
                limit = api.memory_info().vms + (spare_mib << 20)
                resource.prlimit(api.pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
                before = len(failed)
                while len(failed) < before + 3:
                    threads = [threading.Thread(target=ask_for_much) for _ in range(6)]
                    for thread in threads:
                        thread.start()
                    for thread in threads:
                        thread.join()
                with contextlib.suppress(ProcessLookupError):  # else another has taken its place
                    resource.prlimit(api.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                load.goes_on()
        wait_for(lambda: answers(url), "the API server")
        load.check_stored(url)
