"""How many connections the API server accepts, in all and from one address."""

import contextlib
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bongsu.server.edge.connections import Connections, possible_connections
from tests.support.processes import answers, bongsu, free_port, wait_for


def test_more_connections_than_the_limit_are_answered_and_counted(tmp_path: Path) -> None:
    port = free_port()
    arguments = ("server", "--role", "api", "--port", str(port), "--data-dir", str(tmp_path))
    with bongsu(*arguments, BONGSU_CONNECTIONS="3") as process:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}") or process.poll() is not None, "the API server")
        ask = b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

        def answer_of(connection: socket.socket) -> bytes:
            connection.sendall(ask)
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(65_536)
            return answer

        with contextlib.ExitStack() as stack:

            def all_three() -> bool:
                """Those that asked whether it is ready may still be closing."""
                stack.close()
                made = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 30)) for _ in range(3)]
                return all(answer_of(one).startswith(b"HTTP/1.1 200 ") for one in made)

            wait_for(all_three, "three connections")
            with socket.create_connection(("127.0.0.1", port), 30) as fourth:
                answer = fourth.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b'"too_many_connections"' in answer
        wait_for(lambda: answers(f"http://127.0.0.1:{port}"), "room again")


def test_more_connections_from_one_address_than_the_limit_are_answered(tmp_path: Path) -> None:
    port = free_port()
    arguments = ("server", "--role", "api", "--port", str(port), "--host", "0.0.0.0", "--data-dir", str(tmp_path))
    with bongsu(*arguments, BONGSU_CONNECTIONS_PER_ADDRESS="2") as process, contextlib.ExitStack() as stack:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}") or process.poll() is not None, "the API server")
        ask = b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

        def answer(source: str) -> bytes:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), 30, (source, 0)))
            connection.sendall(ask)
            return connection.recv(65_536)

        def both() -> bool:
            """Those that asked whether it is ready may still be closing."""
            stack.close()
            return all(answer("127.0.0.1").startswith(b"HTTP/1.1 200 ") for _ in range(2))

        wait_for(both, "two connections")
        refused = answer("127.0.0.1")
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"from your address" in refused
        assert answer("127.0.0.2").startswith(b"HTTP/1.1 200 "), "another address"
        stack.close()
        wait_for(both, "room again")
        stack.close()
        process.terminate()
        assert "refused 1 connections, the last one from 127.0.0.1" in process.communicate()[0]


def test_fewer_files_than_connections_are_said_at_start(tmp_path: Path) -> None:
    port = free_port()
    command = (
        f"ulimit -n 300; exec {sys.executable} -m bongsu.cli server --role api --port {port} --data-dir {tmp_path}"
    )
    process = subprocess.Popen(["sh", "-c", command], stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}") or process.poll() is not None, "the API server")
    finally:
        process.terminate()
        log = process.communicate()[1]
    assert "may open only 300 files, so it accepts 100 connections instead of 10000" in log


@pytest.mark.parametrize(
    ("limits", "wanted", "raised"),
    [
        pytest.param((20_000, 20_000), 10_000, None, id="enough"),
        pytest.param((1_024, 1_048_576), 10_000, (10_200, 1_048_576), id="more are allowed"),
        pytest.param(
            (1_024, resource.RLIM_INFINITY), 10_000, (10_200, resource.RLIM_INFINITY), id="any number is allowed"
        ),
    ],
)
def test_the_limit_on_files_is_raised(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], wanted: int, raised: tuple[int, int] | None
) -> None:
    made: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: made.append(new))
    assert possible_connections(wanted) == wanted
    assert made == ([] if raised is None else [raised])


def test_a_trusted_proxy_may_have_any_number_of_connections(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    connections = Connections(10, 2, lambda address: address == "10.0.0.1", lambda: now[0])
    assert [bool(connections.opened("10.0.0.1")) for _ in range(4)] == [False] * 4
    assert [bool(connections.opened(f"2001:db8::{n}")) for n in range(4)] == [False, False, True, True]
    assert len(caplog.records) == 1, "once a minute"
    connections.closed("2001:db8::1")
    connections.closed("2001:db8::2")
    connections.closed("2001:db8::3")
    assert not connections.opened("2001:db8::4")
    now[0] += 60
    assert connections.opened("198.51.100.1") == ""
    assert [bool(connections.opened("10.0.0.1")) for _ in range(6)] == [False] * 3 + [True] * 3, "10 in all"
    assert [record.getMessage().split(",")[0] for record in caplog.records[1:]] == ["refused 2 connections"]
