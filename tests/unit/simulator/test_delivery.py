"""What becomes of the frames of one server, whatever the API server answers."""

from collections.abc import Callable

import pytest

from bongsu.core.samples import Push, PushError, PushResult
from bongsu.core.units import DAY_MS, MINUTE_MS
from bongsu.simulator.delivery import BATCH_FRAMES, LISTS_KEPT_MS, Delivery, Uplink
from bongsu.simulator.enrolment import EnrolmentRefused
from bongsu.simulator.server import SimulatedServer
from bongsu.simulator.token_file import Credential
from bongsu.simulator.totals import Totals
from bongsu.simulator.trouble import Kind, Trouble
from bongsu.wire.outcome import Outcome, Verdict
from tests.support.clock import FakeClock

INTERVAL_MS = 10_000
NOW_MS = 1_800_000_000_000
OLD, NEW = Credential("agent-1", "old"), Credential("agent-1", "new")


def stored(push: Push) -> Outcome:
    return Outcome(Verdict.STORED, PushResult(len(push.frames), 0, server_time_ms=NOW_MS), 200)


def answer(verdict: Verdict, status: int, code: str = "", limit: float | None = None) -> Callable[[Push], Outcome]:
    error = PushError(code, "why", None, limit) if code else None
    return lambda push: Outcome(verdict, PushResult(error=error), status, "why")


class ScriptedApi:
    """Answers with what the script says, then stores everything."""

    def __init__(self, *script: Callable[[Push], Outcome]) -> None:
        self.script = list(script)
        self.pushes: list[tuple[str, Push]] = []

    async def push(self, token: str, push: Push) -> Outcome:
        self.pushes.append((token, push))
        return (self.script.pop(0) if self.script else stored)(push)


class ScriptedEnrolment:
    """Has a new token, or none."""

    def __init__(self, credential: Credential | None = NEW) -> None:
        self.credential = credential

    async def renew(self, index: int, name: str, refused: Credential) -> Credential:
        if self.credential is None:
            raise EnrolmentRefused("no enrolment token was given")
        return self.credential


class Running:
    """A delivery with everything around it."""

    def __init__(
        self,
        *script: Callable[[Push], Outcome],
        due: int = 1,
        history: int = 0,
        credential: Credential | None = NEW,
        troubles: tuple[Trouble, ...] = (),
    ) -> None:
        self.clock = FakeClock(NOW_MS)
        self.api, self.totals = ScriptedApi(*script), Totals()
        uplink = Uplink(
            self.api,  # type: ignore[arg-type]
            ScriptedEnrolment(credential),  # type: ignore[arg-type]
            self.totals,
            self.clock,
            history_ms=history * INTERVAL_MS,
        )
        server = SimulatedServer(0, seed=1, interval_ms=INTERVAL_MS, troubles=troubles)
        live_ms = NOW_MS - due * INTERVAL_MS
        self.delivery = Delivery(server, OLD, uplink, live_ms=live_ms, history_ms=history * INTERVAL_MS)
        self.uplink = uplink

    async def send_all(self) -> None:
        """Sends until nothing is due."""
        while self.delivery.due(self.clock.now_ms()):
            await self.delivery.send()

    def times(self) -> list[int]:
        """Of all frames that were sent, in order."""
        return [frame.time_ms for _, push in self.api.pushes for frame in push.frames]


async def test_the_first_push_introduces_the_server_and_later_ones_do_not() -> None:
    running = Running()
    await running.send_all()
    running.clock.advance(10)
    await running.send_all()
    (_, first), (_, second) = running.api.pushes
    assert first.host is not None
    assert first.host.hostname == first.agent.name == "web-01"
    assert [layout.id for layout in first.layouts] == [first.frames[0].layout_id]
    assert (second.host, second.layouts) == (None, [])
    assert running.totals.stored == running.totals.sent == 2
    assert running.totals.samples == 2 * len(running.delivery.server.layout.series)
    assert running.totals.late == 0
    assert running.totals.is_complete


async def test_frames_wait_while_the_server_is_away_and_are_sent_in_order() -> None:
    running = Running(*3 * [answer(Verdict.RETRY_LATER, 503)])
    for _ in range(3):
        assert await running.delivery.send() >= 0
        assert running.uplink.away == "why"
        running.clock.advance(20)
    await running.send_all()
    assert running.uplink.away == ""
    kept = running.api.pushes[-1][1].frames
    assert [frame.time_ms for frame in kept] == [NOW_MS + number * INTERVAL_MS for number in range(-1, 6)]
    assert (running.totals.stored, running.totals.failed_requests, running.totals.lost) == (7, 3, 0)
    assert running.totals.late == 6  # all but the newest


async def test_retry_after_is_respected() -> None:
    running = Running(lambda push: Outcome(Verdict.RETRY_LATER, PushResult(), 429, "why", retry_after_seconds=30.0))
    assert 30 <= await running.delivery.send() <= 31


async def test_history_is_sent_first_many_frames_a_push_and_is_not_late() -> None:
    running = Running(history=600)
    await running.send_all()
    assert [len(push.frames) for _, push in running.api.pushes] == [BATCH_FRAMES, BATCH_FRAMES, 601 - 2 * BATCH_FRAMES]
    assert running.times() == [NOW_MS + number * INTERVAL_MS for number in range(-601, 0)]
    assert running.totals.late == 0
    assert running.totals.process_lists == 100


async def test_history_has_process_lists_only_of_the_time_for_which_they_are_kept() -> None:
    running = Running(due=0, history=8 * DAY_MS // INTERVAL_MS)
    await running.send_all()
    lists = [one.time_ms for _, push in running.api.pushes for one in push.process_lists]
    assert NOW_MS - LISTS_KEPT_MS <= lists[0] < NOW_MS - LISTS_KEPT_MS + MINUTE_MS
    assert len(lists) == LISTS_KEPT_MS // MINUTE_MS
    assert len(running.times()) == 8 * DAY_MS // INTERVAL_MS


async def test_frames_that_are_too_old_are_counted_as_lost() -> None:
    running = Running(answer(Verdict.RETRY_LATER, 503))
    await running.delivery.send()
    running.clock.advance(8 * DAY_MS / 1000)
    await running.send_all()
    assert running.totals.lost == (DAY_MS + INTERVAL_MS) // INTERVAL_MS
    assert running.times()[1] == NOW_MS + DAY_MS


async def test_a_layout_that_the_server_has_forgotten_is_sent_again() -> None:
    unknown = Outcome(Verdict.REJECTED, PushResult(unknown_layouts=[1], error=PushError("unknown_layout", "why")), 409)
    running = Running(stored, lambda push: unknown)
    await running.send_all()
    running.clock.advance(10)
    await running.send_all()
    assert [bool(push.layouts) for _, push in running.api.pushes] == [True, False, True]
    assert running.totals.stored == 2
    assert running.totals.rejected == 0


async def test_a_token_that_is_not_valid_any_more_is_replaced() -> None:
    running = Running(answer(Verdict.REFUSED, 401, "invalid_token"))
    await running.send_all()
    assert [token for token, _ in running.api.pushes] == ["old", "new"]
    assert running.totals.stored == 1


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (answer(Verdict.REFUSED, 401, "invalid_token"), "no enrolment token was given"),
        (answer(Verdict.REFUSED, 403, "server_retired"), "why"),
    ],
)
async def test_a_server_that_is_refused_is_given_up(refusal: Callable[[Push], Outcome], reason: str) -> None:
    running = Running(refusal, credential=None)
    await running.delivery.run()
    assert running.totals.refused == {"web-01": reason}
    assert not running.totals.is_complete


async def test_the_page_of_a_proxy_refuses_nobody() -> None:
    running = Running(answer(Verdict.REFUSED, 403))
    await running.send_all()
    assert running.totals.stored == 1
    assert running.totals.refused == {}


async def test_a_rejected_push_is_never_sent_again() -> None:
    running = Running(answer(Verdict.REJECTED, 400, "invalid_input"), due=3)
    await running.send_all()
    running.clock.advance(10)
    await running.send_all()
    assert (running.totals.rejected, running.totals.rejection, running.totals.stored) == (3, "why", 1)
    assert len(running.times()) == len(set(running.times())) == 4


async def test_of_frames_that_are_too_old_for_the_server_only_those_are_given_up() -> None:
    oldest_ms = NOW_MS - 5 * INTERVAL_MS
    running = Running(answer(Verdict.REJECTED, 400, "too_old", limit=float(oldest_ms)), due=8)
    await running.send_all()
    assert (running.totals.rejected, running.totals.stored) == (3, 5)
    assert running.times()[8] == oldest_ms


async def test_smaller_pushes_where_a_proxy_limits_them() -> None:
    running = Running(answer(Verdict.TOO_LARGE, 413), history=300)
    await running.send_all()
    assert [len(push.frames) for _, push in running.api.pushes] == [250, 125, 125, 51]
    assert running.totals.stored == 301


async def test_frames_wait_until_their_time_has_come_on_the_clock_of_the_server() -> None:
    running = Running(answer(Verdict.AHEAD, 400, "time_ahead"))
    assert await running.delivery.send() > 0
    await running.send_all()
    assert (running.totals.stored, running.totals.rejected) == (1, 0)


async def test_history_is_not_sent_any_more_when_the_simulator_ends_but_what_was_due_is() -> None:
    running = Running(history=600)
    running.uplink.stopping = True
    await running.delivery.send()
    await running.delivery.finish(NOW_MS)
    assert running.api.pushes == []
    running = Running(answer(Verdict.RETRY_LATER, 503), due=20)
    await running.delivery.send()
    running.uplink.stopping = True
    await running.delivery.finish(NOW_MS)
    assert running.totals.stored == 20
    assert running.delivery.due(NOW_MS) == 0


def asking(interval_ms: int) -> Callable[[Push], Outcome]:
    """Stores the push, and asks for a frame every so often."""
    return lambda push: Outcome(
        Verdict.STORED, PushResult(len(push.frames), server_time_ms=NOW_MS, interval_ms=interval_ms), 200
    )


async def run_for(running: Running, seconds: float) -> None:
    """Lets time pass, from step to step."""
    end_ms = running.clock.now_ms() + seconds * 1000
    while running.clock.now_ms() < end_ms:
        running.clock.advance(max(0.001, await running.delivery.step()))


async def test_a_server_that_somebody_looks_at_sends_in_between() -> None:
    running = Running(*30 * [asking(1_000)])
    await run_for(running, 25)
    times = running.times()
    assert times == sorted(set(times))
    seconds = [time_ms for time_ms in times if time_ms > NOW_MS]
    assert seconds == list(range(seconds[0], seconds[0] + len(seconds) * 1_000, 1_000))
    assert len(seconds) >= 20
    # The API server asks for no more.
    running.api.script.clear()
    await run_for(running, 2)
    before = len(running.times())
    await run_for(running, 20)
    assert len(running.times()) - before == 2
    assert running.totals.stored == running.totals.sent == len(running.times())
    assert running.totals.late == running.totals.lost == 0


async def test_extra_frames_that_fail_are_not_sent_again() -> None:
    running = Running(asking(1_000), answer(Verdict.RETRY_LATER, 503))
    await running.delivery.step()
    running.clock.advance(4)
    await running.delivery.step()
    assert running.totals.failed_requests == 1
    await run_for(running, 20)
    assert all(time_ms % INTERVAL_MS == 0 for time_ms in running.times()[2:])
    assert running.totals.is_complete


async def test_nobody_asks_for_more_than_a_server_sends_anyway() -> None:
    running = Running(*10 * [asking(INTERVAL_MS)])
    await run_for(running, 40)
    assert all(time_ms % INTERVAL_MS == 0 for time_ms in running.times())


async def step_by_step(running: Running, seconds: int) -> None:
    """Lets time pass a second at a time, however long the delivery would wait."""
    for _ in range(seconds):
        await running.delivery.step()
        running.clock.advance(1)


# From the 3rd to the 12th tick after the start.
TROUBLE_MS = (NOW_MS + 25_000, NOW_MS + 125_000)


async def test_a_server_that_is_down_has_no_frames() -> None:
    running = Running(due=0, troubles=(Trouble(Kind.SERVER_DOWN, *TROUBLE_MS),))
    await run_for(running, 200)
    ticks = [(time_ms - NOW_MS) // INTERVAL_MS for time_ms in running.times()]
    assert ticks[:6] == [0, 1, 2, 13, 14, 15]
    assert running.totals.late == running.totals.lost == 0


async def test_a_server_that_was_down_in_an_outage_sends_what_it_has() -> None:
    running = Running(due=0, troubles=(Trouble(Kind.SERVER_DOWN, *TROUBLE_MS),))
    running.clock.advance(200)
    await running.send_all()
    ticks = [(time_ms - NOW_MS) // INTERVAL_MS for time_ms in running.times()]
    assert ticks[:6] == [0, 1, 2, 13, 14, 15]
    assert len(running.api.pushes[0][1].frames) == 3


async def test_a_simulator_that_ends_while_a_server_is_down_has_lost_nothing() -> None:
    running = Running(due=0, troubles=(Trouble(Kind.SERVER_DOWN, *TROUBLE_MS),))
    await step_by_step(running, 60)
    assert running.delivery.due(running.clock.now_ms()) == 0


async def test_in_a_partition_frames_wait_and_are_then_sent_in_order() -> None:
    running = Running(due=0, troubles=(Trouble(Kind.PARTITION, *TROUBLE_MS),))
    await step_by_step(running, 60)
    assert len(running.times()) == 3
    assert running.delivery.due(running.clock.now_ms()) > 0
    await running.delivery.finish(running.clock.now_ms())
    assert len(running.times()) == 3, "nor when the simulator ends"
    await run_for(running, 100)
    replayed = running.api.pushes[3][1].frames
    assert [(frame.time_ms - NOW_MS) // INTERVAL_MS for frame in replayed] == list(range(3, 13))
    assert running.totals.late == 9
    assert running.totals.lost == 0


async def test_a_clock_that_is_off_is_that_of_the_whole_push() -> None:
    running = Running(due=0, troubles=(Trouble(Kind.CLOCK_SKEW, *TROUBLE_MS, -90_000),))
    await step_by_step(running, 60)
    pushes = [push for _, push in running.api.pushes]
    offs = [push.frames[0].time_ms - NOW_MS - number * INTERVAL_MS for number, push in enumerate(pushes)]
    assert offs[:5] == [0, 0, 0, -89_999, -89_999]
    assert all(0 <= push.sent_ms - push.frames[0].time_ms < INTERVAL_MS for push in pushes)
