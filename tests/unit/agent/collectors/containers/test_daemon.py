"""The agent beside a daemon that speaks as Docker does: names, states, events, and what a broken daemon does."""

import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bongsu.agent.collectors.containers import daemon as module
from bongsu.agent.collectors.containers import unix_http
from bongsu.agent.collectors.containers.daemon import Daemon, News
from bongsu.agent.collectors.containers.happened import Happened
from bongsu.agent.collectors.containers.unix_http import BadAnswer, get_json
from bongsu.core.samples import ContainerList
from tests.support.agent_fakes import wait_for
from tests.support.cgroup_trees import MiB, Tree, full_id
from tests.support.driven_containers import Driven
from tests.support.stub_docker import StubDocker

WEB, JOB = full_id(1), full_id(2)


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[StubDocker]:
    stub = StubDocker(tmp_path / "docker.sock")
    yield stub
    stub.close()


@contextlib.contextmanager
def following(path: Path) -> Iterator[Daemon]:
    daemon = Daemon(str(path))
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.close()
        daemon._thread.join(10)
        assert not daemon._thread.is_alive()


class Told:
    """What a daemon has told so far."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.events: list[Happened] = []
        self.news = News({}, [], [], 0)

    def types(self) -> list[str]:
        self.news = self._daemon.take()
        self.events += self.news.events
        return [event.type for event in self.events]


def test_names_and_states(docker: StubDocker) -> None:
    docker.add(WEB, "shop-web-1", labels={"com.docker.compose.project": "shop", "com.docker.compose.service": "web"})
    docker.add(JOB, "job", running=False, ExitCode=3)
    with following(docker.path) as daemon:
        assert daemon.answered.wait(10)
        web, job = daemon.take().containers.values()
        assert (web.name, web.workload, web.state, web.image) == ("shop-web-1", "shop/web", "running", "nginx:1.27")
        assert (web.ports, web.runtime) == ("443/tcp, 0.0.0.0:8080->80/tcp", "docker")
        assert (job.state, job.exit_code, job.finished_ms > job.started_ms) == ("exited", 3, True)
        assert daemon.is_connected
        # Details are asked for once.
        docker.add(full_id(3), "third")
        docker.tell(full_id(3), "start")
        wait_for(lambda: full_id(3) in daemon.take().containers)
        assert docker.requests.count(f"/containers/{WEB}/json") == 1


def test_what_happens_to_a_container(docker: StubDocker) -> None:
    docker.add(WEB, "web", Health={"Status": "starting"})
    with following(docker.path) as daemon:
        told = Told(daemon)
        wait_for(lambda: docker.listeners and daemon.is_connected)
        docker.change(WEB, Health={"Status": "unhealthy"})
        docker.tell(WEB, "health_status: unhealthy")
        wait_for(lambda: told.types() == ["unhealthy"])
        docker.tell(WEB, "oom")
        docker.tell(WEB, "die", exitCode="137")
        docker.change(WEB, restarts=1)
        docker.tell(WEB, "start")
        wait_for(lambda: told.types() == ["unhealthy", "oom_killed", "exited", "restarted"])
        assert [(event.exit_code, event.failed) for event in told.events[2:]] == [(137, True), (137, False)]
        docker.tell(WEB, "kill", signal="15")
        docker.change(WEB, Running=False, Status="exited", ExitCode=137)
        docker.tell(WEB, "die", exitCode="137")
        docker.tell(WEB, "destroy")
        wait_for(lambda: told.types()[4:] == ["exited", "removed"])
        # Somebody has asked for this end.
        assert not told.events[4].failed
        assert told.news.containers == {}


def test_a_container_that_comes_and_goes_before_anybody_can_ask(docker: StubDocker) -> None:
    with following(docker.path) as daemon:
        told = Told(daemon)
        wait_for(lambda: docker.listeners and daemon.is_connected)
        for action in ("create", "start", "oom", "die", "destroy"):
            docker.tell(JOB, action, name="job", image="busybox:1", exitCode="137")
        wait_for(lambda: told.types() == ["started", "oom_killed", "exited", "removed"])
        [removed] = told.news.removed
        assert (removed.name, removed.workload, removed.state, removed.exit_code) == ("job", "busybox", "exited", 137)
        assert removed.finished_ms > 0


def test_podman_tells_of_a_kill_only_when_asked(tmp_path: Path) -> None:
    stub = StubDocker(tmp_path / "podman.sock")
    stub.add(JOB, "job", running=False, ExitCode=137, OOMKilled=True)
    with following(stub.path) as daemon:
        told = Told(daemon)
        wait_for(lambda: stub.listeners and daemon.is_connected)
        stub.tell(JOB, "start")
        stub.tell(JOB, "died", containerExitCode="137")
        wait_for(lambda: told.types() == ["started", "oom_killed", "exited"])
        assert told.events[-1].failed
        # One that somebody has stopped cannot be told from one that was killed otherwise.
        stub.change(JOB, OOMKilled=False)
        stub.tell(JOB, "died", containerExitCode="137")
        wait_for(lambda: told.types()[3:] == ["exited"])
        assert not told.events[-1].failed
    stub.close()


def test_events_while_the_connection_was_broken_are_told_once(docker: StubDocker) -> None:
    docker.add(WEB, "web")
    with following(docker.path) as daemon:
        told = Told(daemon)
        wait_for(lambda: docker.listeners and daemon.is_connected)
        docker.tell(WEB, "die", exitCode="1")
        wait_for(lambda: told.types() == ["exited"])
        docker.drop_connections()
        docker.tell(WEB, "start")
        wait_for(lambda: len(told.types()) > 1)
        assert told.types() == ["exited", "started"]


def test_a_daemon_that_is_replaced(tmp_path: Path) -> None:
    docker = StubDocker(tmp_path / "docker.sock")
    docker.add(WEB, "web")
    docker.add(JOB, "job")
    with following(docker.path) as daemon:
        wait_for(lambda: len(daemon.take().containers) == 2)
        docker.close()
        wait_for(lambda: daemon.problem and not daemon.is_connected)
        # What it told stays, for the names of containers that go on.
        assert len(daemon.take().containers) == 2
        again = StubDocker(docker.path)
        again.add(WEB, "web")
        wait_for(lambda: daemon.is_connected)
        news = daemon.take()
        assert (list(news.containers), [each.name for each in news.removed]) == ([WEB], ["job"])
        assert daemon.problem == ""
        again.close()


def hang(connection: socket.socket) -> None:
    connection.recv(1)


def answer(data: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(data)


@pytest.mark.parametrize(
    ("behaviour", "problem"),
    [
        pytest.param(hang, "timed out", id="hangs"),
        pytest.param(answer(b"SSH-2.0-OpenSSH_9.2\r\n"), "does not speak HTTP", id="another protocol"),
        pytest.param(answer(b""), "does not answer with JSON", id="closes"),
        pytest.param(answer(b"HTTP/1.1 403 Forbidden\r\n\r\n"), "answers 403 Forbidden", id="refuses"),
        pytest.param(answer(b"HTTP/1.1 200 OK\r\n\r\n<html>"), "does not answer with JSON", id="a web page"),
        pytest.param(answer(b"HTTP/1.1 200 OK\r\n\r\n[{}]"), "answers what is not understood", id="another JSON"),
        pytest.param(
            answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot hex\r\n"), "chunk", id="broken chunks"
        ),
        pytest.param(answer(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000), "does not speak HTTP", id="an endless head"),
        pytest.param(answer(b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000), "JSON", id="too deep"),
    ],
)
def test_a_broken_daemon_costs_the_collector_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviour: Callable[[socket.socket], None], problem: str
) -> None:
    monkeypatch.setattr(unix_http.get_json, "__defaults__", (0.2,))
    monkeypatch.setattr("bongsu.agent.collectors.containers.collector.FIRST_ANSWER_SECONDS", 0.3)
    stub = StubDocker(tmp_path / "docker.sock", behaviour)
    tree = Tree(tmp_path)
    tree.group(f"/docker/{WEB}", memory=5 * MiB)
    driven = Driven(tree, (str(stub.path),))
    driven.tick()
    [daemon] = driven.collector._daemons.values()
    wait_for(lambda: daemon.problem)
    readings = driven.tick(20)
    driven.collector.close()
    stub.close()
    daemon._thread.join(10)
    assert readings["workload_containers[docker]"] == 1
    assert [row.name for row in driven.lists[-1].containers] == ["000000000001"]
    [(topic, text)] = driven.problems.items()
    assert topic == f"socket {stub.path}"
    assert problem in text


def test_permission_denied(docker: StubDocker, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    # root, who often runs the tests, may use every socket
    monkeypatch.setattr(module, "LineStream", refuse)
    with following(docker.path) as daemon:
        assert daemon.answered.wait(10)
        assert daemon.problem == "Permission denied"


def test_an_answer_that_never_ends_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unix_http, "MAX_BODY_BYTES", 100_000)

    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 10_000)

    stub = StubDocker(tmp_path / "docker.sock", flood)
    with pytest.raises(BadAnswer, match="more than 16 MiB"):
        get_json(str(stub.path), "/containers/json")
    stub.close()


def test_more_events_than_a_list_takes_are_counted(docker: StubDocker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONTAINER_EVENTS", 5)
    docker.add(WEB, "web")
    with following(docker.path) as daemon:
        wait_for(lambda: docker.listeners and daemon.is_connected)
        for _ in range(8):
            docker.tell(WEB, "die", exitCode="1")
        docker.add(JOB, "last")
        docker.tell(JOB, "start")
        wait_for(lambda: JOB in daemon._containers and not daemon._waiting)
        wait_for(lambda: daemon._events and daemon._events[-1].type == "started")
        news = daemon.take()
        assert (len(news.events), news.events_dropped) == (5, 4)


def test_collector_and_daemon_together(docker: StubDocker, tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.group(f"/docker/{WEB}", cpu=5, memory=20 * MiB, inactive=0)
    docker.add(WEB, "shop-web-1", labels={"com.docker.compose.project": "shop", "com.docker.compose.service": "web"})
    driven = Driven(tree, (str(docker.path),))
    first = driven.tick()
    assert first["workload_memory_working_set_bytes[shop/web]"] == 20 * MiB
    assert first["workload_restarts_total[shop/web]"] == 0
    assert "names from" in driven.collector.note
    [daemon] = driven.collector._daemons.values()
    # It fails, is restarted, and is killed for want of memory, of which the kernel tells too.
    docker.tell(WEB, "oom")
    docker.tell(WEB, "die", exitCode="137")
    docker.change(WEB, restarts=1)
    docker.tell(WEB, "start")
    # Another one comes and goes.
    for action in ("create", "start", "die", "destroy"):
        docker.tell(JOB, action, name="job", image="busybox", exitCode="4")
    wait_for(lambda: len(daemon._events) == 6)
    tree.group(f"/docker/{WEB}", cpu=6, memory=20 * MiB, inactive=0, oom_kills=1)
    readings = driven.tick(60)
    listed: ContainerList = driven.lists[-1]
    driven.collector.close()
    assert readings["workload_restarts_total[shop/web]"] == 1
    assert readings["workload_failures_total[shop/web]"] == 1
    assert readings["workload_oom_kills_total[shop/web]"] == 1
    assert readings["workload_failures_total[busybox]"] == 1
    assert readings["workload_containers[busybox]"] == 0
    assert [(row.name, row.state, row.exit_code, row.oom_kills) for row in listed.containers] == [
        ("shop-web-1", "running", 0, 1),
        ("job", "exited", 4, 0),
    ]
    assert [(event.type, event.name) for event in listed.events] == [
        ("oom_killed", "shop-web-1"), ("exited", "shop-web-1"), ("restarted", "shop-web-1"),
        ("started", "job"), ("exited", "job"), ("removed", "job"),
    ]  # fmt: skip


def test_a_hanging_daemon_does_not_delay_a_tick(tmp_path: Path) -> None:
    never = threading.Event()
    stub = StubDocker(tmp_path / "docker.sock", lambda connection: void(never.wait(30)))
    driven = Driven(Tree(tmp_path), (str(stub.path),))
    began = time.monotonic()
    driven.tick()
    assert time.monotonic() - began < 2
    used = time.thread_time()
    for _ in range(10):
        driven.tick()
    assert time.thread_time() - used < 1
    driven.collector.close()
    never.set()
    stub.close()


def void(value: object) -> None:
    return None


def test_an_end_that_was_asked_for_excuses_no_later_one(docker: StubDocker) -> None:
    docker.add(WEB, "web")
    with following(docker.path) as daemon:
        told = Told(daemon)
        wait_for(lambda: docker.listeners and daemon.is_connected)
        docker.tell(WEB, "kill", signal="1")  # to read its configuration again
        docker.tell(WEB, "die", exitCode="1")
        docker.tell(WEB, "start")
        docker.tell(WEB, "kill", signal="15")
        docker.tell(WEB, "die", exitCode="1")
        docker.tell(WEB, "stop")
        docker.tell(WEB, "start")
        docker.tell(WEB, "die", exitCode="1")
        wait_for(lambda: len(told.types()) == 5)
        assert [event.failed for event in told.events if event.type == "exited"] == [True, False, True]


def test_restarts_are_counted_once_however_often_the_connection_breaks(tmp_path: Path) -> None:
    docker = StubDocker(tmp_path / "docker.sock")
    docker.add(JOB, "job", running=False, created=1_000_000_000)
    docker.change(JOB, restarts=7)
    driven = Driven(Tree(tmp_path), (str(docker.path),))
    name = "workload_restarts_total[nginx]"
    assert driven.tick()[name] == 0
    [daemon] = driven.collector._daemons.values()
    docker.close()
    wait_for(lambda: not daemon.is_connected)
    assert [driven.tick()[name] for _ in range(3)] == [0, 0, 0]
    assert driven.lists[-1].containers[0].restarts == 7
    again = StubDocker(docker.path)
    again.containers = docker.containers
    again.change(JOB, restarts=9)
    again.tell(JOB, "start")
    wait_for(lambda: daemon.is_connected and daemon._containers[JOB].restarts == 9)
    assert driven.tick()[name] == 2
    again.close()
    driven.collector.close()


def test_a_daemon_that_stays_away_is_forgotten(docker: StubDocker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FORGET_SECONDS", 0.0)
    docker.add(WEB, "web")
    with following(docker.path) as daemon:
        wait_for(lambda: len(daemon.take().containers) == 1)
        docker.behaviour = answer(b"")
        docker.drop_connections()
        wait_for(lambda: not daemon._containers)
        assert [details.name for details in daemon.take().removed] == ["web"]
