"""An agent scrapes a real node_exporter, textfiles and targets that misbehave, and sends to a real API server."""

import contextlib
import itertools
import socket
import sqlite3
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bongsu.core.samples import STALE
from tests.support.agent_fakes import RawServer, read_request
from tests.support.processes import answers, bongsu, free_port, logged_in, wait_for
from tests.support.prometheus import node_exporter, now_ms

History = Callable[..., dict[str, dict[int, float | None]]]


@pytest.fixture(scope="module")
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of the API server."""
    return tmp_path_factory.mktemp("bongsu")


@pytest.fixture(scope="module")
def server(server_folder: Path) -> Iterator[str]:
    """The URL of an API server with its worker."""
    port = free_port()
    with bongsu("server", "--port", str(port), "--data-dir", str(server_folder)) as process:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: answers(url) or process.poll() is not None, "the API server")
        assert process.poll() is None, process.communicate()[0]
        yield url


@pytest.fixture
def agent(server: str, tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Starts an agent with these lines of configuration."""
    with logged_in(server) as client:
        token = client.post("/api/enrolment-tokens", json={"name": "scrape", "uses": 0}).raise_for_status()
    stack: list[Any] = []

    def start(config: str) -> Any:
        file = tmp_path / "agent.yml"
        file.write_text(f"server: {server}\nname: {tmp_path.name}\ninterval: 1s\n{config}")
        running = bongsu(
            "agent",
            "run",
            *("--config", str(file), "--data-dir", str(tmp_path / "agent")),
            BONGSU_AGENT_ENROLMENT_TOKEN=token.json()["token"],
            SCRAPE_SECRET="s3cret",
        )
        process = running.__enter__()
        stack.append(running)
        return process

    yield start
    for running in stack:
        running.__exit__(None, None, None)


@pytest.fixture
def history(server: str, tmp_path: Path) -> Iterator[History]:
    """The raw values of a metric of this test's agent: labels as text -> time -> value."""
    start_ms = now_ms()
    with logged_in(server) as client:

        def read(metric: str) -> dict[str, dict[int, float | None]]:
            query: dict[str, Any] = {"start": start_ms - 2_000, "end": now_ms() + 1_000, "resolution": "raw"}
            query |= {"metric": metric, "aggregation": "last", "name": tmp_path.name, "limit": 1_000}
            answer = client.get("/api/metrics/history", params=query).raise_for_status().json()
            return {
                ",".join(f"{name}={value}" for name, value in sorted(series["labels"].items())): dict(
                    zip(series["times"], series["values"], strict=True)
                )
                for series in answer["series"]
            }

        yield read


def promql(server: str, query: str) -> list[dict[str, str]]:
    """The labels of what an instant query answers."""
    with logged_in(server) as client:
        answer = client.get("/api/v1/query", params={"query": query}).raise_for_status().json()
    return [row["metric"] for row in answer["data"]["result"]]


def newest(series: dict[int, float | None]) -> float | None:
    return series[max(series)] if series else None


def test_the_metrics_of_an_exporter_arrive(agent, history: History, server: str, server_folder: Path) -> None:
    with node_exporter() as exporter:
        config = f"scrape:\n- url: http://{exporter}/metrics\n  job: node\n  labels: {{rack: r1}}\n"
        config += "  relabel:\n  - {action: drop, regex: go_.*}\n  - {action: labeldrop, regex: machine}\n"
        process = agent(config)
        of_target = f"instance={exporter},job=node,rack=r1"
        wait_for(lambda: process.poll() is not None or len(history("up").get(of_target, {})) > 2, "scrapes")
        assert process.poll() is None, process.communicate()[0]
        assert newest(history("up")[of_target]) == 1
        page = httpx.get(f"http://{exporter}/metrics").text
        boot_time = next(line.split()[1] for line in page.splitlines() if line.startswith("node_boot_time_seconds "))
        assert newest(history("node_boot_time_seconds")[of_target]) == float(boot_time)
        assert all(time_ms % 1_000 == 0 for time_ms in list(history("node_boot_time_seconds")[of_target])[1:])
        (uname,) = history("node_uname_info")
        assert "machine=" not in uname
        assert "nodename=" in uname
        assert not history("go_goroutines")
        scraped = newest(history("scrape_samples_scraped")[of_target])
        kept = newest(history("scrape_samples_post_metric_relabeling")[of_target])
        assert scraped is not None
        assert kept is not None
        assert scraped > kept > 200
        assert 0 < (newest(history("scrape_duration_seconds")[of_target]) or 0) < 1
        # every scrape is there, beside the samples of the host
        times = history("up")[of_target]
        assert set(list(history("cpu_usage_ratio")[""])[2:-1]) <= set(times)
        (found,) = promql(server, f'node_boot_time_seconds{{instance="{exporter}"}}')
        assert (found["job"], found["rack"]) == ("node", "r1")
    # and the exporter is gone
    wait_for(lambda: newest(history("up")[of_target]) == 0, "up to be 0")
    down_ms = min(time_ms for time_ms, value in history("up")[of_target].items() if value == 0)
    assert max(history("node_boot_time_seconds")[of_target]) < down_ms
    # The series end with a stale marker; after it the same layouts go on without values.
    database = sqlite3.connect(f"file:{server_folder / 'bongsu.db'}?mode=ro", uri=True)
    with contextlib.closing(database):
        rows = database.execute('SELECT time_ms, "values" FROM frames WHERE time_ms >= ?', (down_ms,)).fetchall()
    bits = {time_ms: set[int]() for time_ms, _ in rows}
    for time_ms, values in rows:
        bits[time_ms].update(array("q", values))
    assert STALE in bits[down_ms]
    assert all(STALE not in found for time_ms, found in bits.items() if time_ms != down_ms)
    assert promql(server, f'up{{instance="{exporter}"}} == 0')
    assert not promql(server, f'node_boot_time_seconds{{instance="{exporter}"}}')
    assert max(history("cpu_usage_ratio")[""]) >= down_ms


def test_a_target_that_hangs_delays_nothing(agent, history: History, tmp_path: Path) -> None:
    def hang(connection: socket.socket) -> None:
        read_request(connection)
        time.sleep(600)

    seen: list[dict[str, str]] = []

    def answer(connection: socket.socket) -> None:
        while (request := read_request(connection)) is not None:
            seen.append(request[1])
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nquick 1")

    slow = [RawServer(hang) for _ in range(3)]
    quick = RawServer(answer)
    try:
        targets = [(f"slow-{number}", target.port) for number, target in enumerate(slow)] + [("quick", quick.port)]
        config = "scrape:\n" + "".join(
            f"- {{job: {job}, url: 'http://127.0.0.1:{port}', instance: it, token_env: SCRAPE_SECRET}}\n"
            for job, port in targets
        )
        process = agent(config)
        wait_for(lambda: len(history("up").get("instance=it,job=quick", {})) >= 5, "scrapes of the quick target")
        found = history("up")
        assert set(found["instance=it,job=quick"].values()) == {1}
        for number in range(3):
            assert set(found[f"instance=it,job=slow-{number}"].values()) == {0}
        quick_times = sorted(history("quick")["instance=it,job=quick"])
        assert max(later - earlier for earlier, later in itertools.pairwise(quick_times[1:])) == 1_000
        host_times = sorted(history("cpu_usage_ratio")[""])
        assert max(later - earlier for earlier, later in itertools.pairwise(host_times[1:])) == 1_000
        assert quick.connections == 1
        assert {headers["authorization"] for headers in seen} == {"Bearer s3cret"}
        (failed,) = [text for text in history("agent_failed_scrapes_total") if "slow-0" in text]
        assert failed == "target=slow-0 it"
        process.terminate()
        output = process.communicate(timeout=60)[0]
        assert output.count("Target slow-0 it: No response in time.") == 1
        assert "s3cret" not in output
        assert process.returncode == 0
    finally:
        for raw in (*slow, quick):
            raw.close()


def test_a_large_target_arrives_in_several_requests(agent, history: History) -> None:
    page = "".join(f'queue:length{{queue="{number}"}} {number}\n' for number in range(9_900)).encode()

    def answer(connection: socket.socket) -> None:
        while read_request(connection) is not None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page) + page)

    target = RawServer(answer)
    try:
        process = agent(
            f"scrape: [{{job: large, url: 'http://127.0.0.1:{target.port}', instance: it, interval: 2s}}]\n"
        )
        # the history answers 1,000 series at a time, in their order
        labels = [f"instance=it,job=large,queue={number}" for number in range(9_900)]
        wait_for(lambda: len(history("scrape_samples_scraped").get("instance=it,job=large", {})) >= 3, "scrapes")
        found = history("queue:length")
        assert len(found) == 1_000
        for text, values in found.items():
            assert set(values.values()) == {float(text.rpartition("=")[2])}
            assert text in labels
        assert newest(history("agent_rejected_frames_total")[""]) == 0
        assert newest(history("agent_failed_scrapes_total")["target=large it"]) == 0
        process.terminate()
        output = process.communicate(timeout=60)[0]
        assert "rejects" not in output
    finally:
        target.close()


def test_textfiles(agent, history: History, tmp_path: Path) -> None:
    folder = tmp_path / "textfiles"
    folder.mkdir()
    (folder / "backup.prom").write_text("# TYPE backup_runs counter\nbackup_runs 3\nbackup_size_bytes NaN\n")
    (folder / "broken.prom").write_text("fine 1\nnot a metric\n")
    (folder / "half.prom.tmp").write_text("half 1\n")
    process = agent(f"textfiles: [{folder}]\n")
    wait_for(lambda: process.poll() is not None or history("backup_runs").get(""), "a textfile")
    assert newest(history("backup_runs")[""]) == 3
    assert not history("backup_size_bytes").get("")  # NaN is stored, and drawn as no value
    assert not history("fine")
    assert not history("half")
    assert newest(history("node_textfile_scrape_error")[""]) == 1
    file = f"file={folder / 'backup.prom'}"
    assert newest(history("node_textfile_mtime_seconds")[file]) == pytest.approx(
        (folder / "backup.prom").stat().st_mtime
    )
    (folder / "new").write_text("backup_runs 4\n")
    (folder / "new").rename(folder / "backup.prom")
    (folder / "broken.prom").unlink()
    wait_for(lambda: newest(history("backup_runs")[""]) == 4, "the new file")
    wait_for(lambda: newest(history("node_textfile_scrape_error")[""]) == 0, "no error")
    process.terminate()
    output = process.communicate(timeout=60)[0]
    assert output.count("broken.prom: 'not a metric': 'a' is not a number.") == 1
