"""Sends the frames of one simulated server, each a little after its time.

The frames of a server follow from the time, so nothing is kept while the API server is away: what was not acknowledged
is made again when it is back, oldest first and many frames a request. History is sent in the same way. Frames older
than KEPT_MS are given up, as an agent does.

While somebody looks at a server, the API server asks for more frames in its answers. They are sent in between, and
never again.
"""

import asyncio
import random
import time

from bongsu.core.clock import Clock
from bongsu.core.liveness import SHORTEST_INTERVAL_MS
from bongsu.core.pacing import SEND_DELAY_SHARE, retry_seconds, send_delay_seconds
from bongsu.core.samples import Push
from bongsu.core.units import DAY_MS
from bongsu.simulator.api import Api
from bongsu.simulator.enrolment import Enrolment, EnrolmentRefused
from bongsu.simulator.server import SimulatedServer
from bongsu.simulator.token_file import Credential
from bongsu.simulator.totals import Totals
from bongsu.simulator.trouble import Kind
from bongsu.wire.limits import MAX_FRAMES
from bongsu.wire.outcome import Outcome, Verdict

# A quarter of what the API server accepts keeps requests short.
BATCH_FRAMES = MAX_FRAMES // 4
# Requests with more frames are sent a few at a time: each takes the event loops of both sides for milliseconds.
LARGE_BATCH, LARGE_BATCHES_AT_ONCE = 10, 4
KEPT_MS = 7 * DAY_MS
# How long the API server keeps process lists by default. To make one takes as long as ten frames of history.
LISTS_KEPT_MS = 7 * DAY_MS
# Frames whose time has not come on the clock of the API server.
AHEAD_SECONDS = 5.0


class Uplink:
    """What the servers of a fleet share. ``away``: why the API server does not take frames; empty if it does."""

    def __init__(self, api: Api, enrolment: Enrolment, totals: Totals, clock: Clock, *, history_ms: int) -> None:
        self.api = api
        self.enrolment = enrolment
        self.totals = totals
        self.clock = clock
        self.kept_ms = max(KEPT_MS, history_ms)
        self.large = asyncio.Semaphore(LARGE_BATCHES_AT_ONCE)
        self.stopping = False
        self.away = ""


class Delivery:
    """``next_ms``: the first frame that is not acknowledged. ``live_ms``: what comes before it is history. ``sending``:
    whether frames are due; they are sent before the simulator ends."""

    def __init__(
        self, server: SimulatedServer, credential: Credential, uplink: Uplink, *, live_ms: int, history_ms: int = 0
    ) -> None:
        """``live_ms`` and ``history_ms`` are multiples of the interval."""
        self.server = server
        self.next_ms = live_ms - history_ms
        self.live_ms = live_ms
        self.sending = False
        self._given_up = False
        self._credential = credential
        self._identity = server.identity(credential.agent_id)
        self._uplink = uplink
        self._delay_ms = int(1000 * send_delay_seconds(credential.agent_id, server.interval_ms))
        self._complete = True
        self._batch = BATCH_FRAMES
        self._failures = 0
        # The interval that the API server asks for, if it is shorter than the server's own; else 0.
        self._asked_ms = 0
        self._extra_ms = 0

    @property
    def _delay_now_ms(self) -> int:
        """How long after a tick its frame is sent: not so long that it comes after extra ones."""
        if not self._asked_ms:
            return self._delay_ms
        return min(self._delay_ms, int(SEND_DELAY_SHARE * self._asked_ms))

    def due(self, now_ms: int) -> int:
        """How many frames should have been sent by now; none of a server that was given up."""
        if self._given_up:
            return 0
        return max(0, (now_ms - self._delay_now_ms - self.next_ms) // self.server.interval_ms + 1)

    async def run(self) -> None:
        """Sends until it is cancelled, or until the API server refuses this server for good."""
        wait = 0.0
        while not self._uplink.stopping:
            await asyncio.sleep(wait)
            self.sending = True
            try:
                wait = await self.step()
            except EnrolmentRefused as error:
                self._give_up(error)
                return
            finally:
                self.sending = False

    async def step(self) -> float:
        """Sends what is due. Returns how many seconds to wait before more may be.

        Raises:
            EnrolmentRefused: the API server refuses this server for good.
        """
        clock = self._uplink.clock
        if seconds := self._cut_off_seconds():
            self._asked_ms = 0
            return seconds
        if self._due_within_age():
            wait = await self.send()
            if wait:
                return wait
        elif self._asked_ms:
            await self._send_extra(clock.now_ms() - clock.now_ms() % self._asked_ms)
        next_ms = self.next_ms + self._delay_now_ms
        if self._asked_ms:
            next_ms = min(next_ms, clock.now_ms() // self._asked_ms * self._asked_ms + self._asked_ms)
        return (next_ms - clock.now_ms()) / 1000

    def _cut_off_seconds(self) -> float:
        """How long the network stays partitioned."""
        now_ms = self._uplink.clock.now_ms()
        partition = self.server.within(Kind.PARTITION, now_ms)
        return (partition.end_ms - now_ms) / 1000 if partition else 0.0

    def _skip_downtime(self) -> None:
        """A server that is down has no frames, neither now nor later."""
        while down := self.server.within(Kind.SERVER_DOWN, self.next_ms):
            self.next_ms += -(-(down.end_ms - self.next_ms) // self.server.interval_ms) * self.server.interval_ms
            self._asked_ms = 0

    async def _send_extra(self, time_ms: int) -> None:
        """Sends a frame between two ticks, unless it was sent before."""
        last_ms = max(self._extra_ms, self.next_ms - self.server.interval_ms)
        if not last_ms < time_ms < self.next_ms:
            return
        self._extra_ms = time_ms
        frame = self.server.extra_frame(time_ms, self._asked_ms)
        outcome = await self._post(
            Push(self._identity, frames=[frame], sent_ms=self.server.stamp(self._uplink.clock.now_ms()))
        )
        self._asked_ms = 0
        if outcome.verdict is Verdict.STORED:
            self._count_stored(outcome)
        else:
            self._uplink.totals.failed_requests += 1

    async def finish(self, now_ms: int) -> None:
        """Sends what was due at ``now_ms``, until that fails. History that is not sent yet stays unsent."""
        try:
            while self.next_ms >= self.live_ms and self.due(now_ms) and not self._cut_off_seconds():
                if await self.send():
                    return
        except EnrolmentRefused as error:
            self._give_up(error)

    def _give_up(self, error: EnrolmentRefused) -> None:
        self._given_up = True
        self._uplink.totals.refused[self.server.name] = error.message

    def _due_within_age(self) -> int:
        self._skip_downtime()
        now_ms = self._uplink.clock.now_ms()
        too_old = (now_ms - self._uplink.kept_ms - self.next_ms) // self.server.interval_ms
        if too_old > 0:
            self._uplink.totals.lost += too_old
            self.next_ms += too_old * self.server.interval_ms
            self._skip_downtime()
        return self.due(now_ms)

    async def send(self) -> float:
        """Sends the oldest frames that are due. Returns how many seconds to wait before the next ones."""
        count = self._due_within_age()
        count = self.server.ticks_until_down(self.next_ms, min(self._batch, count))
        if not count:  # they became too old
            return 0.0
        if count <= LARGE_BATCH:
            outcome = await self._push(count)
        else:
            async with self._uplink.large:
                if self._uplink.stopping and self.next_ms < self.live_ms:
                    return 0.0
                outcome = await self._push(count)
        return await self._settle(count, outcome)

    async def _push(self, count: int) -> Outcome:
        server, totals = self.server, self._uplink.totals
        now_ms = self._uplink.clock.now_ms()
        lists_ms = now_ms - now_ms % server.interval_ms - LISTS_KEPT_MS
        old = min(count, max(0, -(-(lists_ms - self.next_ms) // server.interval_ms)))
        push = Push(
            self._identity,
            server.machine.facts if self._complete else None,
            [server.layout] if self._complete else [],
            server.frames(self.next_ms, count),
            server.process_lists(self.next_ms + old * server.interval_ms, count - old),
            server.stamp(now_ms),
        )
        outcome = await self._post(push)
        if outcome.verdict is Verdict.STORED:
            totals.process_lists += len(push.process_lists)
        return outcome

    async def _post(self, push: Push) -> Outcome:
        totals = self._uplink.totals
        began = time.perf_counter()
        outcome = await self._uplink.api.push(self._credential.token, push)
        totals.requests += 1
        totals.sent += len(push.frames)
        if outcome.verdict is Verdict.STORED and len(push.frames) == 1:
            totals.latencies.add((time.perf_counter() - began) * 1000)
        return outcome

    def _count_stored(self, outcome: Outcome) -> None:
        totals = self._uplink.totals
        totals.stored += outcome.result.accepted
        totals.duplicates += outcome.result.duplicates
        totals.samples += outcome.result.accepted * len(self.server.layout.series)
        asked_ms = max(outcome.result.interval_ms, SHORTEST_INTERVAL_MS) if outcome.result.interval_ms else 0
        self._asked_ms = asked_ms if asked_ms < self.server.interval_ms else 0

    async def _settle(self, count: int, outcome: Outcome) -> float:
        totals, interval_ms = self._uplink.totals, self.server.interval_ms
        if outcome.verdict is Verdict.STORED:
            self._failures, self._complete, self._uplink.away = 0, False, ""
            self._count_stored(outcome)
            in_time_ms = self._uplink.clock.now_ms() - interval_ms - self._delay_ms
            first_live_ms = max(self.next_ms, self.live_ms)
            last_late_ms = min(in_time_ms, self.next_ms + count * interval_ms)
            totals.late += max(0, -(-(last_late_ms - first_live_ms) // interval_ms))
            self.next_ms += count * interval_ms
            return 0.0
        if outcome.status == 409 and outcome.result.unknown_layouts and not self._complete:
            self._complete = True
            return 0.0
        if outcome.status == 401 and outcome.result.error is not None:
            self._credential = await self._uplink.enrolment.renew(
                self.server.machine.index, self.server.name, self._credential
            )
            self._complete = True
            return 0.0
        if outcome.verdict is Verdict.REFUSED and outcome.result.error is not None:  # else it was a proxy
            raise EnrolmentRefused(outcome.reason)
        if outcome.verdict is Verdict.REJECTED:
            self._reject(count, outcome)
            return 0.0
        if outcome.verdict is Verdict.TOO_LARGE and self._batch > 1:
            self._batch = max(1, self._batch // 2)
            return 0.0
        totals.failed_requests += 1
        self._failures += 1
        self._asked_ms = 0
        self._uplink.away = outcome.reason
        if outcome.verdict is Verdict.AHEAD:
            return AHEAD_SECONDS
        return retry_seconds(self._failures, random.random(), outcome.retry_after_seconds)  # noqa: S311

    def _reject(self, count: int, outcome: Outcome) -> None:
        """Gives frames up that the API server will never take: those that are too old for it, or all of the push."""
        error = outcome.result.error
        if error is not None and error.code == "too_old" and error.limit:
            too_old = -(-(int(error.limit) - self.next_ms) // self.server.interval_ms)
            count = max(1, min(count, too_old))
        self._uplink.totals.rejected += count
        self._uplink.totals.rejection = outcome.reason
        self.next_ms += count * self.server.interval_ms
