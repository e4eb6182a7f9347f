"""``bongsu user``, ``bongsu auth``, ``bongsu server`` and ``bongsu agent enrol | rotate-token``, beside an API server that runs."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.processes import QUICK, api_server, enrolled, free_port, logged_in, wait_for

PASSWORD = "a password of some length"


def run(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Status, output and errors of a command whose standard input is empty."""
    done = subprocess.run(
        [sys.executable, "-m", "bongsu.cli", *arguments],
        env=os.environ | QUICK | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def server(tmp_path: Path):
    """(URL, data directory) of an API server."""
    port = free_port()
    with api_server(tmp_path / "server", port):
        yield f"http://127.0.0.1:{port}", str(tmp_path / "server")


def test_people_are_looked_after_on_the_command_line(server: tuple[str, str]) -> None:
    url, data_dir = server

    def user(*arguments: str, password: str = "") -> tuple[int, str, str]:
        return run("user", *arguments, "--data-dir", data_dir, BONGSU_PASSWORD=password)

    def may_log_in(password: str) -> bool:
        credentials = {"email": "kim@bongsu.test", "password": password}
        return httpx.post(f"{url}/api/auth/login", json=credentials, timeout=30).status_code == 200

    assert user("create", "kim@bongsu.test", "--role", "operator", password="short")[0] == 2
    assert user("create", "kim@bongsu.test", "--role", "operator", password=PASSWORD)[0] == 0
    status, _, errors = user("create", "kim@bongsu.test", password=PASSWORD)
    assert (status, "already" in errors) == (2, True)
    assert PASSWORD not in errors
    assert "kim@bongsu.test" in user("list")[1]
    wait_for(lambda: may_log_in(PASSWORD), "the running API server to know")
    with logged_in(url) as admin:
        people = {one["email"]: one for one in admin.get("/api/users").json()["users"]}
        assert people["kim@bongsu.test"]["role"] == "operator"
        assert user("role", "kim@bongsu.test", "viewer")[0] == 0
        assert user("password", "kim@bongsu.test", password=PASSWORD + "2")[0] == 0
        wait_for(lambda: may_log_in(PASSWORD + "2"), "the new password")
        assert not may_log_in(PASSWORD)
        assert user("disable", "kim@bongsu.test")[0] == 0
        wait_for(lambda: not may_log_in(PASSWORD + "2"), "who was disabled to be kept out")
        assert user("enable", "kim@bongsu.test")[0] == 0
        assert user("reset-second-factor", "kim@bongsu.test")[0] == 0
        assert user("delete", "kim@bongsu.test")[0] == 0
        only = next(email for email, one in people.items() if one["role"] == "admin")
        for command in ("disable", "delete"):
            status, _, errors = user(command, only)
            assert (status, "There must be at least one admin who can log in." in errors) == (2, True)
        assert user("delete", "nobody@bongsu.test")[0] == 2
        entries = admin.get("/api/audit").json()["entries"]
        told = {one["action"] for one in entries if one["actor_name"] == "command line"}
        assert told == {"user.create", "user.update", "user.delete"}


def test_keys_are_rotated_and_the_old_ones_end_at_once_if_asked(server: tuple[str, str]) -> None:
    url, data_dir = server
    with logged_in(url) as client:
        status, output, _ = run("auth", "rotate-keys", "--data-dir", data_dir)
        assert (status, "signed with the new key" in output) == (0, True)
        assert client.get("/api/account").status_code == 200, "earlier tokens remain valid until they expire"
        assert run("auth", "rotate-keys", "--at-once", "--data-dir", data_dir)[0] == 0
        wait_for(lambda: client.get("/api/account").status_code == 401, "earlier tokens to be refused")
    with logged_in(url) as client:
        assert client.get("/api/account").status_code == 200


def test_an_agent_is_enrolled_and_its_token_replaced_by_hand(server: tuple[str, str], tmp_path: Path) -> None:
    url, _ = server
    agent_dir = tmp_path / "agent"

    def agent(command: str, **environment: str) -> tuple[int, str, str]:
        return run("agent", command, BONGSU_AGENT_SERVER=url, BONGSU_AGENT_DATA_DIR=str(agent_dir), **environment)

    assert agent("rotate-token")[0] == 2, "there is no token yet"
    status, _, errors = agent("enrol", BONGSU_AGENT_ENROLMENT_TOKEN="bongsu_enrol_" + "x" * 43)
    assert (status, "refuses" in errors) == (1, True)
    with logged_in(url) as admin:
        token = admin.post("/api/enrolment-tokens", json={"name": "tests"}).raise_for_status().json()["token"]
    status, output, errors = agent("enrol", BONGSU_AGENT_ENROLMENT_TOKEN=token)
    assert (status, "is enrolled at" in output) == (0, True), errors
    assert token not in output + errors
    (file,) = agent_dir.glob("token.json")
    if os.name == "posix":
        assert file.stat().st_mode & 0o077 == 0
    before = file.read_text()
    status, output, errors = agent("rotate-token")
    assert (status, "has a new token" in output) == (0, True), errors
    assert file.read_text() != before
    assert agent("enrol", BONGSU_AGENT_ENROLMENT_TOKEN=token)[0] == 1, "it was valid for one agent"


def test_servers_are_retired_restored_and_deleted(server: tuple[str, str]) -> None:
    url, data_dir = server
    with logged_in(url) as admin:
        for name, token in enrolled(url, "agent-web-1", "agent-web-2", "agent-web-3").items():
            sent = {"agent": {"agent_id": name, "name": "twin" if name != "agent-web-1" else "web-1"}}
            headers = {"Authorization": f"Bearer {token}"}
            assert httpx.post(f"{url}/api/metrics", json=sent, headers=headers, timeout=30).status_code == 200

        def manage(*arguments: str) -> tuple[int, str, str]:
            return run("server", *arguments, "--data-dir", data_dir)

        def listed() -> dict[int, str]:
            answer = admin.get("/api/servers", params={"retired": True}).json()
            return {one["id"]: one["state"] for one in answer["servers"]}

        assert [line.split()[:2] for line in manage("list")[1].splitlines()] == [
            ["1", "web-1"],
            ["2", "twin"],
            ["3", "twin"],
        ]
        assert manage("retire", "web-1")[0] == 0
        wait_for(lambda: listed()[1] == "retired", "the running API server to know")
        assert "(retired)" in manage("list")[1].splitlines()[0]
        assert manage("restore", "1")[0] == 0
        wait_for(lambda: listed()[1] != "retired", "the running API server to know")
        status, _, errors = manage("delete", "twin", "--yes")
        assert (status, "2, 3" in errors) == (2, True)
        status, _, errors = manage("delete", "2")
        assert (status, "Nothing was deleted." in errors) == (1, True), "nobody answered the question"
        assert manage("delete", "2", "--yes")[0] == 0
        wait_for(lambda: set(listed()) == {1, 3}, "the running API server to know")
        assert manage("retire", "nobody")[0] == 2
        entries = admin.get("/api/audit").json()["entries"]
        told = [one["action"] for one in entries if one["actor_name"] == "command line"]
        assert told == ["server.delete", "server.restore", "server.retire"]
