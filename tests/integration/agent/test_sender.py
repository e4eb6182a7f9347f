"""Frames reach the server exactly once, whatever it answers."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bongsu.agent.delivery.backlog import Backlog
from bongsu.agent.delivery.sender import Sender
from bongsu.agent.delivery.transport import Transport
from bongsu.agent.stats import Stats
from bongsu.core.clock import SystemClock
from bongsu.core.samples import AgentIdentity, HostFacts, Push, PushError, PushResult
from bongsu.wire.outcome import Verdict
from bongsu.wire.protobuf import encode_result
from tests.support.agent_fakes import FakeLog, RawServer, a_frame, a_layout, a_process_list, read_request, wait_for
from tests.support.stub_api_server import ApiServer

LAYOUT = a_layout("load_1m", "load_5m")

OTHER = a_layout("cpu_usage_ratio")

NOW_MS = SystemClock().now_ms()


@pytest.fixture
def api() -> Iterator[ApiServer]:
    server = ApiServer()
    yield server
    server.close()


class Sending:
    """A sender with real transport and buffer. With ``share`` 0 it retries at once."""

    def __init__(
        self, folder: Path, *servers: str, share: float = 0.0, timeout_seconds: float = 5.0, **options
    ) -> None:
        self.log = FakeLog()
        self.stats = Stats()
        self.folder = folder
        self.transport = Transport(servers, version="1", timeout_seconds=timeout_seconds, token="t0ken")
        self.backlog = Backlog(
            str(folder), max_bytes=10_000_000, max_age_ms=7 * 86_400_000, clock=SystemClock(), log=self.log
        )
        self.sender = Sender(
            self.transport,
            self.backlog,
            identity=AgentIdentity("id", "name", "1", 10_000),
            facts=lambda: HostFacts(hostname="h"),
            stats=self.stats,
            log=self.log,
            random=lambda: share,
            **options,
        )
        self.sender.start()

    def put(self, *times_ms: int, layout=LAYOUT) -> None:
        for time_ms in times_ms:
            self.sender.put(a_frame(time_ms, layout), layout)


@pytest.fixture
def sending(tmp_path: Path) -> Iterator[Callable[..., Sending]]:
    agents: list[Sending] = []

    def make(*servers: str, **options) -> Sending:
        agents.append(Sending(tmp_path / "buffer", *servers, **options))
        return agents[-1]

    yield make
    for agent in agents:
        agent.sender.stop(2.0)


def test_layout_and_host_are_sent_once(api: ApiServer, sending) -> None:
    agent = sending(api.url)
    for number in range(3):
        agent.put(NOW_MS + number)
        wait_for(lambda number=number: len(api.times()) == number + 1)
    assert [len(push.layouts) for push in api.pushes] == [1, 0, 0]
    assert [push.host is not None for push in api.pushes] == [True, False, False]
    assert api.requests[0]["path"] == "/api/metrics"
    assert api.requests[0]["Content-Type"] == "application/x-protobuf"
    assert api.requests[0]["Authorization"] == "Bearer t0ken"
    wait_for(lambda: agent.stats.queue_frames == 0)
    assert agent.log.lines == []


def test_process_lists_go_with_the_frames_and_survive_an_outage(api: ApiServer, sending) -> None:
    def lists() -> list[int]:
        with api.lock:
            return [process_list.time_ms for push in api.pushes for process_list in push.process_lists]

    agent = sending(api.url)
    api.answers.append((503, {}, b""))
    agent.sender.put(a_process_list(NOW_MS, "a"), None)
    wait_for(lambda: lists() == [NOW_MS])  # it was in the backlog meanwhile
    agent.put(NOW_MS + 1)
    agent.sender.put(a_process_list(NOW_MS + 1, "b"), None)
    wait_for(lambda: lists() == [NOW_MS, NOW_MS + 1])
    wait_for(lambda: agent.stats.queue_frames == 0)
    assert api.times() == [NOW_MS + 1]
    assert agent.stats.sent_frames == 1


def test_a_server_that_forgot_a_layout_gets_it_again(api: ApiServer, sending) -> None:
    agent = sending(api.url)
    agent.put(NOW_MS)
    wait_for(lambda: len(api.times()) == 1)
    api.layouts.clear()
    agent.put(NOW_MS + 1)
    wait_for(lambda: len(api.times()) == 2)
    assert [len(push.layouts) for push in api.pushes] == [1, 0, 1]
    assert api.pushes[-1].host is not None


def test_an_outage_is_logged_once_and_leaves_no_gap(api: ApiServer, sending) -> None:
    agent = sending(api.url, share=0.02)
    agent.put(NOW_MS)
    # The sender has read the answer, and uses the connection no more.
    wait_for(lambda: agent.stats.sent_frames == 1)
    port = api.port
    api.close()
    # the connection that was open ends with the server's process; here its threads live on, so close it
    agent.transport.close()
    agent.put(*range(NOW_MS + 1, NOW_MS + 301))
    wait_for(lambda: agent.stats.failed_requests >= 3)
    wait_for(lambda: len(agent.backlog) == 300)
    assert agent.stats.server_up is False
    again = ApiServer(port)
    try:
        wait_for(lambda: len(again.times()) == 300)
        wait_for(lambda: agent.stats.server_up and agent.stats.queue_frames == 0)
        agent.put(NOW_MS + 500)
        wait_for(lambda: len(again.times()) == 301)
        assert set(again.stored.values()) == {1}
    finally:
        again.close()
    away = f"The server http://127.0.0.1:{port} is unavailable: connection refused. Frames are kept until it is back."
    assert agent.log.lines == [away, f"The server http://127.0.0.1:{port} answers again."]


def test_new_frames_overtake_the_backlog(api: ApiServer, sending) -> None:
    agent = sending(api.url, replay_rate=100)
    with agent.sender._changed:
        for number in range(2000):
            agent.backlog.append(a_frame(NOW_MS - 100_000 + number, LAYOUT), LAYOUT)
    agent.put(NOW_MS)
    wait_for(lambda: NOW_MS in api.times())
    assert len(api.times()) < 1500
    assert len(agent.backlog) > 500


def test_a_backlog_is_sent_compressed_and_in_batches(api: ApiServer, sending) -> None:
    agent = sending(api.url, replay_rate=1_000_000)
    with agent.sender._changed:
        for number in range(1000):
            agent.backlog.append(a_frame(NOW_MS - 100_000 + number, LAYOUT), LAYOUT)
    agent.put(NOW_MS)
    wait_for(lambda: len(api.times()) == 1001)
    assert set(api.stored.values()) == {1}
    assert max(len(push.frames) for push in api.pushes) == 250
    assert any(request.get("Content-Encoding") == "gzip" for request in api.requests)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_temporary_errors_are_retried(api: ApiServer, sending, status: int) -> None:
    api.answers.append((status, {}, b"<html>a proxy</html>"))
    agent = sending(api.url)
    agent.put(NOW_MS)
    wait_for(lambda: len(api.times()) == 1)
    assert f"HTTP status {status}" in agent.log.lines[0]


def test_the_server_says_when_to_retry(api: ApiServer, sending) -> None:
    api.answers.append((503, {"Retry-After": "3600"}, b""))
    agent = sending(api.url)
    agent.put(NOW_MS)
    wait_for(lambda: agent.stats.failed_requests == 1)
    assert agent.sender._retry_at - agent.sender._monotonic() > 3500
    agent.put(NOW_MS + 1)
    assert len(agent.backlog) == 2
    assert api.times() == []


def test_a_rejected_frame_is_never_sent_again_and_loses_no_other(api: ApiServer, sending) -> None:
    api.reject_times = {NOW_MS + 3}
    agent = sending(api.url, delay_seconds=0.2)
    agent.put(*range(NOW_MS, NOW_MS + 8))
    wait_for(lambda: len(api.times()) == 7)
    wait_for(lambda: agent.stats.queue_frames == 0)
    assert NOW_MS + 3 not in api.times()
    assert agent.stats.rejected_frames == 1
    assert agent.log.lines == ["The server rejects some frames: A frame has the wrong length."]
    requests = len(api.pushes)
    agent.put(NOW_MS + 9)
    wait_for(lambda: len(api.times()) == 8)
    assert len(api.pushes) == requests + 1


@pytest.mark.parametrize(
    ("status", "page"),
    [
        (200, b"<html>Accept the terms of the hotel</html>"),
        (200, b""),
        (204, b""),
        (301, b""),
        (302, b"<html>"),
        (400, b"<html>"),
        (403, b"<html>"),
        (404, b"<html>"),
        (405, b"{}"),
        (409, b"<html>"),
        (413, b"<html>"),
    ],
)
def test_no_answer_of_a_proxy_loses_a_frame(api: ApiServer, sending, status: int, page: bytes) -> None:
    api.answers.extend([(status, {}, page)] * 3)
    agent = sending(api.url)
    agent.put(NOW_MS, NOW_MS + 1)
    wait_for(lambda: api.times() == [NOW_MS, NOW_MS + 1])
    wait_for(lambda: agent.stats.queue_frames == 0)
    assert agent.stats.rejected_frames == agent.stats.dropped_frames == 0
    assert agent.stats.sent_frames >= 2


def test_a_proxy_that_limits_bodies_gets_smaller_ones(api: ApiServer, sending) -> None:
    agent = sending(api.url, delay_seconds=0.2)
    agent.put(NOW_MS)
    wait_for(lambda: api.times())
    api.max_body_bytes = 200
    agent.put(*range(NOW_MS + 1, NOW_MS + 20))
    wait_for(lambda: len(api.times()) == 20)
    assert agent.stats.rejected_frames == 0
    assert set(api.stored.values()) == {1}


def test_frames_whose_time_has_not_come_wait_and_hold_up_no_others(api: ApiServer, sending) -> None:
    ahead = NOW_MS + 3_600_000
    api.newest_accepted_ms = NOW_MS + 1_000
    agent = sending(api.url, delay_seconds=0.2)
    agent.put(NOW_MS, ahead, NOW_MS + 1, ahead + 1)
    wait_for(lambda: api.times() == [NOW_MS, NOW_MS + 1])
    agent.put(NOW_MS + 2)
    wait_for(lambda: api.times() == [NOW_MS, NOW_MS + 1, NOW_MS + 2])
    wait_for(lambda: len(agent.backlog) == 2)
    assert agent.stats.server_up
    assert agent.stats.rejected_frames == agent.stats.dropped_frames == 0
    assert "Frames wait until the server accepts their time: A frame is in the future." in agent.log.lines
    # nothing else is left: the server is not asked again and again
    wait_for(lambda: agent.sender._replay_at - agent.sender._monotonic() > 30)
    requests = len(api.requests)
    with agent.sender._changed:
        assert len(api.requests) == requests
        api.newest_accepted_ms = None
        agent.sender._replay_at = 0.0
        agent.sender._changed.notify_all()
    wait_for(lambda: len(api.times()) == 5)
    assert set(api.stored.values()) == {1}


def test_frames_behind_those_in_the_future_are_reached(api: ApiServer, sending) -> None:
    api.answers.append((503, {}, b""))
    agent = sending(api.url, share=1.0)
    agent.put(NOW_MS)
    wait_for(lambda: agent.stats.failed_requests == 1)
    agent.put(*range(NOW_MS + 3_600_000, NOW_MS + 3_600_600))
    agent.put(*range(NOW_MS + 1, NOW_MS + 10))
    api.newest_accepted_ms = NOW_MS + 1_000
    wait_for(lambda: len(api.times()) == 10)
    wait_for(lambda: len(agent.backlog) == 600)
    assert agent.stats.dropped_frames == 0


@pytest.mark.parametrize("error", [UnicodeError("label too long"), RuntimeError("a bug"), MemoryError()], ids=repr)
def test_no_error_ends_the_sender(api: ApiServer, sending, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    agent = sending(api.url)
    send, failures = agent.transport.send, [error, error]

    def fail_twice(push: Push):
        if failures:
            raise failures.pop()
        return send(push)

    monkeypatch.setattr(agent.transport, "send", fail_twice)
    agent.put(NOW_MS)
    wait_for(lambda: agent.stats.failed_requests == 1)
    agent.put(NOW_MS + 1)
    wait_for(lambda: api.times() == [NOW_MS, NOW_MS + 1])
    assert type(error).__name__ in agent.log.lines[0]
    assert agent.stats.failed_requests == 2


def test_a_host_name_that_cannot_exist_is_an_outage(sending) -> None:
    agent = sending(f"http://{'a' * 70}.example")
    agent.put(NOW_MS)
    wait_for(lambda: agent.stats.failed_requests >= 1)
    assert "the host name is not valid" in agent.log.lines[0]
    assert len(agent.backlog) == 1


def test_a_refused_agent_keeps_its_frames(api: ApiServer, sending) -> None:
    api.answers.append((401, {}, encode_result(PushResult(error=PushError("bad_token", "The token is revoked.")))))
    agent = sending(api.url)
    agent.put(NOW_MS)
    wait_for(lambda: len(api.times()) == 1)
    assert agent.log.lines[0] == f"The server {api.url} refuses this agent: The token is revoked."


def test_the_next_url_takes_over(api: ApiServer, sending) -> None:
    dead = RawServer(lambda connection: None)
    try:
        agent = sending(f"http://127.0.0.1:{dead.port}", api.url)
        agent.put(NOW_MS)
        wait_for(lambda: len(api.times()) == 1)
    finally:
        dead.close()


def test_two_agents_with_one_identity_are_detected(api: ApiServer, sending) -> None:
    agent = sending(api.url)
    for number in range(4):
        api.stored[(LAYOUT.id, NOW_MS + number)] += 1
        agent.put(NOW_MS + number)
        wait_for(lambda number=number: len(api.pushes) == number + 1)
    wait_for(lambda: agent.log.lines)
    assert "Another agent sends with this agent's identity (id)" in agent.log.lines[0]


def test_a_wrong_clock_is_logged(api: ApiServer, sending) -> None:
    api.answers.append((200, {}, encode_result(PushResult(1, server_time_ms=SystemClock().now_ms() + 600_000))))
    agent = sending(api.url)
    agent.put(NOW_MS)
    wait_for(lambda: agent.log.lines)
    assert "behind the server's" in agent.log.lines[0]


def test_stopping_sends_waiting_frames(api: ApiServer, sending) -> None:
    agent = sending(api.url, delay_seconds=60)
    agent.put(NOW_MS)
    assert agent.sender.stop(2.0)
    assert api.times() == [NOW_MS]


def test_stopping_does_not_wait_for_a_server_that_hangs(sending, tmp_path: Path) -> None:
    asked, released = threading.Event(), threading.Event()

    def handle(connection) -> None:
        read_request(connection)
        asked.set()
        released.wait()

    server = RawServer(handle)
    try:
        agent = sending(f"http://127.0.0.1:{server.port}", timeout_seconds=60)
        agent.put(NOW_MS)
        assert asked.wait(5)
        agent.put(NOW_MS + 1)
        assert agent.sender.stop(0.5)
    finally:
        released.set()
        server.close()
    kept = Backlog(str(agent.folder), max_bytes=10**6, max_age_ms=10**9, clock=SystemClock(), log=FakeLog())
    assert [frame.time_ms for frame, _ in kept.oldest(10, 10_000).payloads] == [NOW_MS, NOW_MS + 1]


def test_sending_does_not_change_the_push(api: ApiServer) -> None:
    push = Push(AgentIdentity("id", "name"), HostFacts(), [OTHER], [a_frame(NOW_MS, OTHER)])
    transport = Transport([api.url])
    assert transport.send(push).verdict is Verdict.STORED
    assert transport.send(push).result.duplicates == 1
    assert push.layouts == [OTHER]
    transport.close()
