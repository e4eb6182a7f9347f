"""Sends payloads in a thread of its own, so that a slow or dead server never delays a sample.

While the server answers, a payload is sent soon after its tick. Each agent has a fixed delay of its own, so that a
thousand agents do not send at once. A payload that cannot be sent goes to the backlog, and so do later ones until the
server is back. Then the backlog is sent oldest first, at most ``replay_rate`` payloads a second. New payloads overtake
it.

kill -9 loses at most the payloads that are being sent. Nothing is written to disk while all is well: that would protect
them too, but would write 100 MB or more a day to a memory card.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from bongsu.agent.defaults import REPLAY_RATE
from bongsu.agent.delivery.backlog import Backlog
from bongsu.agent.delivery.payloads import BatchLimit, Payload, QueuedPayload
from bongsu.agent.delivery.transport import Transport
from bongsu.agent.log import EventLog
from bongsu.agent.pace import Pace
from bongsu.agent.stats import Stats
from bongsu.core.pacing import SEND_DELAY_SHARE, retry_seconds
from bongsu.core.samples import AgentIdentity, ContainerList, Frame, HostFacts, ProcessList, Push
from bongsu.core.series import Layout
from bongsu.wire.limits import MAX_BODY_BYTES, MAX_FRAMES
from bongsu.wire.outcome import MAX_CLOCK_SKEW_MS, Outcome, Verdict

# A quarter of what the API server accepts keeps requests short.
BATCH_PAYLOADS = MAX_FRAMES // 4
BATCH_BYTES = MAX_BODY_BYTES // 4
# After an error that nobody expected, so that a lasting one does not keep the CPU busy.
ERROR_PAUSE_SECONDS = 1.0
REFUSED_RETRY_SECONDS = 60.0
# How long frames wait whose time has not come on the server's clock, if the backlog has no others.
AHEAD_RETRY_SECONDS = 60.0
# Duplicates in this many pushes in a row mean that two agents share an identity: their ticks coincide, so they collide
# on almost every frame. A lost response makes a duplicate only once.
CLONE_PUSHES = 3


def random_share() -> float:
    """From 0 to 1. The random module would load OpenSSL, which costs 3.4 MB."""
    return int.from_bytes(os.urandom(4), "little") / 2**32


class Sender:
    """The scheduler's thread calls ``put``; the sender's thread does the rest."""

    def __init__(
        self,
        transport: Transport,
        backlog: Backlog,
        *,
        identity: AgentIdentity,
        facts: Callable[[], HostFacts],
        stats: Stats,
        log: EventLog,
        delay_seconds: float = 0.0,
        pace: Pace | None = None,
        replay_rate: int = REPLAY_RATE,
        monotonic: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random_share,
    ) -> None:
        self._transport = transport
        self._backlog = backlog
        self._identity = identity
        self._facts = facts
        self._stats = stats
        self._log = log
        self._delay_seconds = delay_seconds
        self._pace = pace
        self._replay_rate = replay_rate
        self._monotonic = monotonic
        self._random = random
        self._changed = threading.Condition()
        self._live: deque[QueuedPayload] = deque()
        self._send_at = 0.0
        self._retry_at = 0.0
        self._replay_at = 0.0
        self._failures = 0
        self._pushes_with_duplicates = 0
        # payloads in a row that the server refused as being in the future
        self._ahead = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._loop, name="bongsu-send", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, payload: Payload, layout: Layout | None) -> None:
        """Queues a payload. Never waits for the network."""
        with self._changed:
            if self._failures or self._stopping:
                self._backlog.append(payload, layout)
            else:
                if not self._live:
                    self._send_at = self._monotonic() + self._delay()
                self._live.append(QueuedPayload(payload, layout))
            self._update_stats()
            self._changed.notify_all()

    def _delay(self) -> float:
        if self._pace is None or not self._pace.is_fast:
            return self._delay_seconds
        return min(self._delay_seconds, SEND_DELAY_SHARE * self._pace.interval_ms / 1000)

    def identify(self, identity: AgentIdentity) -> None:
        """Changes the identity, after the machine was renamed."""
        with self._changed:
            self._identity = identity

    def stop(self, within_seconds: float) -> bool:
        """Sends waiting payloads or adds them to the backlog, and ends the thread. Returns whether it ended in time."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(within_seconds * 0.6)
        if self._thread.is_alive():
            self._transport.abort()
            self._thread.join(within_seconds * 0.3)
        with self._changed:
            self._add_to_backlog(self._live)
            self._live.clear()
            self._backlog.close()
        ended = not self._thread.is_alive()
        if ended:
            self._transport.close()
        return ended

    def _loop(self) -> None:
        while True:
            live: list[QueuedPayload] = []
            try:
                with self._changed:
                    while not self._is_due():
                        if self._stopping:
                            return
                        self._changed.wait(self._seconds_until_due())
                    if self._stopping and self._failures:
                        return
                    limit = BatchLimit(BATCH_PAYLOADS)
                    while self._live and limit.takes(self._live[0].payload):
                        live.append(self._live.popleft())
                if live:
                    self._send_live(live)
                else:
                    self._send_backlog()
                with self._changed:
                    self._update_stats()
                    if self._stopping and not self._live:
                        return
            except Exception as error:  # whatever it is, the thread goes on; what it held may be sent twice
                with self._changed:
                    self._after_failure(Outcome(Verdict.RETRY_LATER, reason=f"{type(error).__name__}: {error}"))
                    self._add_to_backlog(live)
                    self._changed.wait(ERROR_PAUSE_SECONDS)

    def _is_due(self) -> bool:
        now = self._monotonic()
        if self._failures:
            return now >= self._retry_at and (bool(self._live) or len(self._backlog) > 0)
        if self._live and (self._stopping or now >= self._send_at):
            return True
        return len(self._backlog) > 0 and now >= self._replay_at and not self._stopping

    def _seconds_until_due(self) -> float | None:
        """None: nothing is due until somebody calls ``put``."""
        now = self._monotonic()
        if self._failures:
            return max(0.0, self._retry_at - now) if self._live or len(self._backlog) else None
        times = [self._send_at] if self._live else []
        if len(self._backlog):
            times.append(self._replay_at)
        return max(0.0, min(times) - now) if times else None

    def _send_live(self, live: list[QueuedPayload]) -> None:
        was_failing = bool(self._failures)
        outcome = self._push(live)
        if outcome.verdict is Verdict.STORED:
            if not was_failing:
                self._check_for_clone(outcome)
            return
        self._settle(live, outcome)
        if self._failures:
            with self._changed:
                self._add_to_backlog(self._live)
                self._live.clear()

    def _send_backlog(self) -> None:
        with self._changed:
            batch = self._backlog.oldest(BATCH_PAYLOADS, BATCH_BYTES)
        if batch.payloads:
            outcome = self._push(batch.payloads)
            if outcome.verdict in (Verdict.RETRY_LATER, Verdict.REFUSED):
                with self._changed:
                    self._after_failure(outcome)
                return
            self._settle(batch.payloads, outcome)
        with self._changed:
            self._backlog.remove(batch)
            self._replay_at = self._monotonic() + len(batch.payloads) / self._replay_rate
            if self._ahead and self._ahead >= len(self._backlog):  # nothing else is left
                self._ahead = 0
                self._replay_at = self._monotonic() + AHEAD_RETRY_SECONDS

    def _settle(self, payloads: list[QueuedPayload], outcome: Outcome) -> None:
        """Does what the outcome of a push demands. Afterwards each payload is stored, in the backlog or counted as
        rejected.

        The server stores all of a push or nothing, so a rejected push is halved until the rejected payloads are found.
        """
        if outcome.verdict is Verdict.STORED:
            return
        if outcome.verdict in (Verdict.RETRY_LATER, Verdict.REFUSED):
            self._keep(payloads, outcome)
            return
        self._stats.last_error = outcome.reason
        if outcome.verdict is Verdict.AHEAD:
            self._log.problem("ahead", f"Frames wait until the server accepts their time: {outcome.reason}")
            newest_ms = outcome.newest_accepted_ms
            ahead = [queued for queued in payloads if queued.payload.time_ms > newest_ms] or payloads
            ready = [queued for queued in payloads if queued.payload.time_ms <= newest_ms and ahead is not payloads]
            with self._changed:
                self._ahead += len(ahead)
                self._add_to_backlog(ahead)
            if ready:
                self._settle(ready, self._push(ready))
            return
        if outcome.verdict is Verdict.REJECTED:
            code = outcome.result.error.code if outcome.result.error else str(outcome.status)
            self._log.problem(f"rejected {code}", f"The server rejects some frames: {outcome.reason}")
        if len(payloads) > 1:
            middle = len(payloads) // 2
            for half in (payloads[:middle], payloads[middle:]):
                self._settle(half, self._push(half))
        elif outcome.verdict is Verdict.REJECTED:
            self._stats.rejected_frames += 1
        else:
            self._keep(payloads, outcome)

    def _keep(self, payloads: list[QueuedPayload], outcome: Outcome) -> None:
        with self._changed:
            self._after_failure(outcome)
            self._add_to_backlog(payloads)

    def _push(self, payloads: list[QueuedPayload]) -> Outcome:
        layouts = {queued.layout.id: queued.layout for queued in payloads if queued.layout is not None}
        frames = [queued.payload for queued in payloads if isinstance(queued.payload, Frame)]
        process_lists = [queued.payload for queued in payloads if isinstance(queued.payload, ProcessList)]
        push = Push(self._identity, self._facts(), list(layouts.values()), frames, process_lists)
        push.container_lists = [queued.payload for queued in payloads if isinstance(queued.payload, ContainerList)]
        self._stats.requests += 1
        outcome = self._transport.send(push)
        self._stats.sent_bytes += outcome.sent_bytes
        if outcome.verdict is Verdict.STORED:
            if self._pace is not None:
                self._pace.asked(outcome.result.interval_ms)
            self._stats.sent_frames += len(frames)
            self._stats.duplicate_frames += outcome.result.duplicates
            self._ahead = 0
        if outcome.verdict in (Verdict.STORED, Verdict.REJECTED, Verdict.AHEAD):
            self._after_answer(outcome)
        return outcome

    def _after_answer(self, outcome: Outcome) -> None:
        with self._changed:
            self._failures = 0
            self._stats.server_up = True
        self._log.resolved("server", f"The server {self._transport.server} answers again.")
        server_ms = outcome.result.server_time_ms
        skew_ms = round(time.time() * 1000) - server_ms
        if server_ms and abs(skew_ms) > MAX_CLOCK_SKEW_MS:
            direction = "ahead of" if skew_ms > 0 else "behind"
            self._log.problem("skew", f"This machine's clock is {abs(skew_ms) / 1000:.0f} s {direction} the server's.")
        else:
            self._log.resolved("skew", "This machine's clock agrees with the server's again.")

    def _after_failure(self, outcome: Outcome) -> None:
        self._failures += 1
        self._stats.failed_requests += 1
        self._stats.server_up = False
        self._stats.last_error = outcome.reason
        wait = retry_seconds(self._failures, self._random(), outcome.retry_after_seconds)
        if outcome.verdict is Verdict.REFUSED:
            if outcome.retry_after_seconds is None:
                wait = REFUSED_RETRY_SECONDS * self._random()
            message = f"The server {self._transport.server} refuses this agent: {outcome.reason}"
        else:
            message = (
                f"The server {self._transport.server} is unavailable: {outcome.reason}. "
                "Frames are kept until it is back."
            )
        self._retry_at = self._monotonic() + wait
        self._log.problem("server", message)

    def _check_for_clone(self, outcome: Outcome) -> None:
        self._pushes_with_duplicates = self._pushes_with_duplicates + 1 if outcome.result.duplicates else 0
        if self._pushes_with_duplicates >= CLONE_PUSHES:
            self._log.problem(
                "clone",
                f"Another agent sends with this agent's identity ({self._identity.agent_id}). Was the data directory "
                "copied? Delete identity.json on one of the two machines.",
            )

    def _add_to_backlog(self, payloads: Iterable[QueuedPayload]) -> None:
        for queued in payloads:
            self._backlog.append(queued.payload, queued.layout)

    def _update_stats(self) -> None:
        self._stats.queue_frames = len(self._live) + len(self._backlog)
        self._stats.queue_bytes = self._backlog.size_bytes
        self._stats.dropped_frames = self._backlog.dropped
        oldest_live_ms = self._live[0].payload.time_ms if self._live else 0
        self._stats.oldest_unsent_ms = self._backlog.oldest_ms or oldest_live_ms
