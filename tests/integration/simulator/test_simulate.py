"""``bongsu simulate`` as a process, against a real API server."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.processes import PATIENCE_SECONDS, api_server, bongsu, free_port, logged_in, wait_for

SERVERS = 20


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def client(tmp_path: Path, port: int, url: str) -> Iterator[httpx.Client]:
    """An API server, and an admin at it."""
    with api_server(tmp_path / "server", port), logged_in(url) as client:
        yield client


def enrolment_token(client: httpx.Client, uses: int = 0) -> str:
    """For so many servers; 0: any number."""
    answer = client.post("/api/enrolment-tokens", json={"name": "fleet", "uses": uses})
    return str(answer.raise_for_status().json()["token"])


def arguments(url: str, data_dir: Path, token: str = "", servers: int = SERVERS) -> list[str]:
    """A fleet that samples every second."""
    enrolment = ["--enrolment-token", token] if token else []
    fleet = ["--servers", str(servers), "--interval", "1s", "--url", url, "--data-dir", str(data_dir)]
    return ["simulate", *fleet, *enrolment]


def frames_of(client: httpx.Client) -> int:
    return int(client.get("/api/health").raise_for_status().json()["ingest"]["frames_total"])


def servers_of(client: httpx.Client) -> dict[str, Any]:
    """By name."""
    servers = client.get("/api/servers").raise_for_status().json()["servers"]
    return {server["name"]: server for server in servers}


def wait_for_fleet(client: httpx.Client, process: "subprocess.Popen[str]", frames: int) -> None:
    """Until all servers are known, and so many frames are stored; or until the simulator ends."""
    wait_for(
        lambda: (len(servers_of(client)) == SERVERS and frames_of(client) >= frames) or process.poll() is not None,
        f"{SERVERS} servers and {frames} frames",
    )


def history_of(client: httpx.Client, metric: str, server_id: int) -> list[Any]:
    """The series of a metric, raw."""
    query = {"metric": metric, "server": server_id, "start": "-1h", "resolution": "raw", "max_points": 10_000}
    return list(client.get("/api/metrics/history", params=query).raise_for_status().json()["series"])


def interrupt(process: "subprocess.Popen[str]") -> str:
    """Ctrl-C. Returns all output."""
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=PATIENCE_SECONDS)[0]


def frames_in(summary: str, what: str) -> int:
    """``1,200`` of ``1,200 stored``."""
    words = summary.replace(",", "").split()
    return int(words[words.index(what) - 1])


def acknowledged_in(summary: str) -> int:
    """Frames that are on disk; those whose answer came too late were sent again, and are duplicates."""
    return frames_in(summary, "stored") + frames_in(summary, "duplicates")


def test_a_fleet_enrols_and_all_of_it_is_stored(client: httpx.Client, url: str, tmp_path: Path) -> None:
    token = enrolment_token(client)
    with bongsu(*arguments(url, tmp_path / "fleet", token), "--history", "10m") as process:
        wait_for_fleet(client, process, SERVERS * 602)

        def is_live(server: dict[str, Any]) -> bool:
            (series,) = history_of(client, "cpu_usage_ratio", server["id"])
            return len(series["values"]) > 600

        wait_for(
            lambda: all(map(is_live, servers_of(client).values())) or process.poll() is not None, "frames after history"
        )
        output = interrupt(process)
    assert process.returncode == 0, output
    assert acknowledged_in(output) == frames_of(client)
    assert frames_in(output, "rejected") == frames_in(output, "lost") == 0

    servers = servers_of(client)
    assert len(servers) == SERVERS
    assert servers["db-02"]["tags"].keys() == {"env", "role", "site"}
    assert servers["db-02"]["tags"]["role"] == "db"
    assert servers["web-07"]["host"]["hostname"] == "web-07"
    assert servers["web-07"]["interval_ms"] == 1_000

    server_id = servers["db-02"]["id"]
    (usage,) = history_of(client, "cpu_usage_ratio", server_id)
    assert len(usage["values"]) > 600
    assert all(0 <= value <= 1 for value in usage["values"])
    (received,) = history_of(client, "network_receive_bytes_total", server_id)
    assert all(value >= 0 for value in received["values"] if value is not None)
    listed = client.get(f"/api/servers/{server_id}/processes").raise_for_status().json()["processes"]
    assert {"postgres", "systemd"} <= {process["name"] for process in listed}


def test_a_second_run_continues_as_the_same_servers(client: httpx.Client, url: str, tmp_path: Path) -> None:
    token = enrolment_token(client, uses=SERVERS)
    with bongsu(*arguments(url, tmp_path / "fleet", token)) as process:
        wait_for_fleet(client, process, 2 * SERVERS)
        assert "0 lost" in interrupt(process)
    before = {name: server["id"] for name, server in servers_of(client).items()}
    stored = frames_of(client)
    with bongsu(*arguments(url, tmp_path / "fleet")) as process:
        wait_for_fleet(client, process, stored + 2 * SERVERS)
        output = interrupt(process)
    assert process.returncode == 0, output
    assert {name: server["id"] for name, server in servers_of(client).items()} == before
    (booted,) = history_of(client, "system_uptime_seconds", before["web-01"])
    assert booted["values"] == sorted(booted["values"])


def test_nothing_is_lost_while_the_api_server_restarts(tmp_path: Path, port: int, url: str) -> None:
    with api_server(tmp_path / "server", port) as server, logged_in(url) as client:
        token = enrolment_token(client)
        with bongsu(*arguments(url, tmp_path / "fleet", token)) as process:
            wait_for_fleet(client, process, 2 * SERVERS)
            server.send_signal(signal.SIGTERM)
            server.wait(PATIENCE_SECONDS)
            with api_server(tmp_path / "server", port), logged_in(url) as client:
                # More than the frames of the time it was away, of every server.
                wait_for_fleet(client, process, 5 * SERVERS)
                output = interrupt(process)
                assert process.returncode == 0, output
                assert frames_in(output, "lost") == frames_in(output, "rejected") == 0
                for entry in servers_of(client).values():
                    (uptime,) = history_of(client, "system_uptime_seconds", entry["id"])
                    steps = {
                        after - before for before, after in zip(uptime["times"], uptime["times"][1:], strict=False)
                    }
                    assert steps == {1_000}, entry["name"]  # no hole


def test_a_new_database_behind_the_same_url(tmp_path: Path, port: int, url: str) -> None:
    for database in ("first", "second"):
        with api_server(tmp_path / database, port), logged_in(url) as client:
            token = enrolment_token(client)
            with bongsu(*arguments(url, tmp_path / "fleet", token)) as process:
                wait_for_fleet(client, process, 2 * SERVERS)
                output = interrupt(process)
            assert process.returncode == 0, output
            assert len(servers_of(client)) == SERVERS


def test_it_ends_when_its_time_is_up(client: httpx.Client, url: str, tmp_path: Path) -> None:
    token = enrolment_token(client)
    with bongsu(*arguments(url, tmp_path / "fleet", token, servers=3), "--for", "2s") as process:
        output = process.communicate(timeout=PATIENCE_SECONDS)[0]
    # A slow machine may not have enrolled them all by then.
    assert process.returncode == 0, output
    assert acknowledged_in(output) == frames_of(client)
    assert frames_in(output, "lost") == 0


def test_a_wrong_enrolment_token(client: httpx.Client, url: str, tmp_path: Path) -> None:
    with bongsu(*arguments(url, tmp_path / "fleet", "wrong")) as process:
        output = process.communicate(timeout=PATIENCE_SECONDS)[0]
    assert process.returncode == 1
    assert "web-01 cannot enrol: The enrolment token is not valid or has expired" in output
    assert "0 of 20 servers are enrolled" in output
    assert servers_of(client) == {}


def test_an_enrolment_token_for_fewer_servers(client: httpx.Client, url: str, tmp_path: Path) -> None:
    with bongsu(*arguments(url, tmp_path / "fleet", enrolment_token(client, uses=3))) as process:
        output = process.communicate(timeout=PATIENCE_SECONDS)[0]
    assert process.returncode == 1
    assert "worker-01 cannot enrol: The enrolment token is used up" in output
    assert "3 of 20 servers are enrolled" in output
    with bongsu(*arguments(url, tmp_path / "fleet", enrolment_token(client, uses=SERVERS - 3))) as process:
        wait_for(lambda: len(servers_of(client)) == SERVERS or process.poll() is not None, "all servers")
        output = interrupt(process)
    assert process.returncode == 0, output


def test_no_enrolment_token(client: httpx.Client, url: str, tmp_path: Path) -> None:
    with bongsu(*arguments(url, tmp_path / "fleet")) as process:
        output = process.communicate(timeout=PATIENCE_SECONDS)[0]
    assert process.returncode == 2
    assert "20 of 20 servers are not enrolled" in output
    assert "--enrolment-token-file" in output


def test_no_api_server(url: str, tmp_path: Path) -> None:
    with bongsu(*arguments(url, tmp_path / "fleet", "any")) as process:
        output = process.communicate(timeout=PATIENCE_SECONDS)[0]
    assert process.returncode == 1
    assert f"{url} cannot be reached: connection refused" in output


def test_wrong_usage(tmp_path: Path) -> None:
    with bongsu("simulate", "--servers", "0", "--data-dir", str(tmp_path)) as process:
        output = process.communicate(timeout=PATIENCE_SECONDS)[0]
    assert process.returncode == 2
    assert output == "bongsu simulate: --servers: '0' is not a number of servers from 1 to 20,000.\n"


def test_a_revoked_server_is_given_up_and_the_others_go_on(client: httpx.Client, url: str, tmp_path: Path) -> None:
    token = enrolment_token(client)
    with bongsu(*arguments(url, tmp_path / "fleet", token, servers=3)) as process:
        wait_for(lambda: len(servers_of(client)) == 3 or process.poll() is not None, "the servers")
        revoked = servers_of(client)["db-01"]["id"]
        client.delete(f"/api/servers/{revoked}/token").raise_for_status()
        stored = frames_of(client)
        wait_for(lambda: frames_of(client) >= stored + 6 or process.poll() is not None, "frames of the others")
        output = interrupt(process)
    assert process.returncode == 1
    assert "given up: db-01:" in output
    assert frames_in(output, "rejected") == 0
