"""Sends frames in a thread of its own, so that no server, slow or dead, delays a sample.

While the server answers, a frame goes out soon after its tick: at a moment of the interval that is the same each time
for one agent and different between agents, so that a thousand of them do not come at once. A frame that could not be
sent goes to the backlog, and so do those after it, until the server is back. Then the backlog follows, oldest first,
at most ``replay_rate`` frames a second, while new frames overtake it.

Lost on kill -9: at most the frames that are being sent at that moment. No frame is written to disk while all is well;
keeping those frames safe as well would wear a memory card by 100 MB and more a day.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from bongsu.agent.delivery.backlog import Backlog
from bongsu.agent.delivery.disk_buffer import Batch
from bongsu.agent.delivery.segments import Item
from bongsu.agent.delivery.transport import Outcome, Transport, Verdict
from bongsu.agent.sampling.scheduler import Say
from bongsu.agent.stats import Stats
from bongsu.core.samples import AgentIdentity, Frame, HostFacts, ProcessList, Push
from bongsu.core.series import Layout

# The API server takes 1,000 frames and 4 MiB; a quarter of that keeps one request short.
BATCH_FRAMES = 250
BATCH_BYTES = 1_048_576
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0
REFUSED_RETRY_SECONDS = 60.0
# Clocks that differ by more than this make a dashboard puzzling.
SKEW_MS = 60_000
# Aligned ticks make two agents with one identity collide on almost every frame; a lost answer makes one duplicate.
CLONE_AFTER = 3


@dataclass(slots=True)
class Pending:
    """A frame with its layout, or a process list, in memory."""

    item: Item
    layout: Layout | None


def random_share() -> float:
    """0 .. 1. The random module would bring OpenSSL into memory (3.4 MB)."""
    return int.from_bytes(os.urandom(4), "little") / 2**32


class Sender:
    """``put`` from the scheduler's thread; the rest happens in the sender's."""

    def __init__(
        self,
        transport: Transport,
        backlog: Backlog,
        *,
        identity: AgentIdentity,
        facts: Callable[[], HostFacts],
        stats: Stats,
        say: Say,
        delay_seconds: float = 0.0,
        replay_rate: int = 500,
        monotonic: Callable[[], float] = time.monotonic,
        share: Callable[[], float] = random_share,
    ) -> None:
        self._transport = transport
        self._backlog = backlog
        self._identity = identity
        self._facts = facts
        self._stats = stats
        self._say = say
        self._delay_seconds = delay_seconds
        self._replay_rate = replay_rate
        self._monotonic = monotonic
        self._share = share
        self._changed = threading.Condition()
        self._live: deque[Pending] = deque()
        self._live_at = 0.0
        self._retry_at = 0.0
        self._replay_at = 0.0
        self._failures = 0
        self._clone_signs = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._loop, name="bongsu-send", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, item: Item, layout: Layout | None) -> None:
        """Takes a frame or a list; never blocks on the network."""
        with self._changed:
            if self._failures or self._stopping:
                self._keep(Pending(item, layout))
            else:
                if not self._live:
                    self._live_at = self._monotonic() + self._delay_seconds
                self._live.append(Pending(item, layout))
            self._count()
            self._changed.notify_all()

    def identify(self, identity: AgentIdentity) -> None:
        """The machine was renamed, or the interval changed."""
        with self._changed:
            self._identity = identity

    def stop(self, within_seconds: float) -> bool:
        """Sends what is waiting or puts it into the backlog, and ends. Whether all of it got out or to disk in time."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(within_seconds * 0.6)
        if self._thread.is_alive():
            self._transport.abort()
            self._thread.join(within_seconds * 0.3)
        with self._changed:
            while self._live:
                self._keep(self._live.popleft())
            self._backlog.close()
        ended = not self._thread.is_alive()
        if ended:
            self._transport.close()
        return ended

    def _loop(self) -> None:
        while True:
            with self._changed:
                while not self._due():
                    if self._stopping:
                        return
                    self._changed.wait(self._pause())
                if self._stopping and self._failures:
                    return
                live = [self._live.popleft() for _ in range(min(len(self._live), BATCH_FRAMES))]
            if live:
                self._send_live(live)
            else:
                self._send_backlog()
            with self._changed:
                self._count()
                if self._stopping and not self._live:
                    return

    def _due(self) -> bool:
        now = self._monotonic()
        if self._failures:
            return now >= self._retry_at and (bool(self._live) or len(self._backlog) > 0)
        if self._live and (self._stopping or now >= self._live_at):
            return True
        return len(self._backlog) > 0 and now >= self._replay_at and not self._stopping

    def _pause(self) -> float | None:
        """How long nothing will be due; None: until something is put."""
        now = self._monotonic()
        if self._failures:
            return max(0.0, self._retry_at - now) if self._live or len(self._backlog) else None
        times = [self._live_at] if self._live else []
        if len(self._backlog):
            times.append(self._replay_at)
        return max(0.0, min(times) - now) if times else None

    def _send_live(self, pending: list[Pending]) -> None:
        first_try = not self._failures
        outcome = self._push(pending)
        if outcome.verdict in (Verdict.LATER, Verdict.REFUSED):
            with self._changed:
                self._after_failure(outcome)
                for one in pending:
                    self._keep(one)
                while self._live:
                    self._keep(self._live.popleft())
        elif outcome.verdict is Verdict.REJECTED:
            self._halve(pending, outcome)
        elif first_try:
            self._watch_for_clones(outcome)

    def _send_backlog(self) -> None:
        with self._changed:
            batch: Batch = self._backlog.oldest(BATCH_FRAMES, BATCH_BYTES)
        pending = [Pending(item, layout) for item, layout in batch.items]
        if pending:
            outcome = self._push(pending)
            if outcome.verdict in (Verdict.LATER, Verdict.REFUSED):
                with self._changed:
                    self._after_failure(outcome)
                return
            if outcome.verdict is Verdict.REJECTED:
                self._halve(pending, outcome)
        with self._changed:
            self._backlog.done(batch)
            self._replay_at = self._monotonic() + len(pending) / self._replay_rate
            if not len(self._backlog) and pending:
                self._say.over("backlog", "The backlog is sent; the history has no hole.")

    def _halve(self, pending: list[Pending], outcome: Outcome) -> None:
        """A request is stored or rejected as a whole: finds the frames that are the reason."""
        code = outcome.result.error.code if outcome.result.error else str(outcome.status)
        self._say.once(f"rejected {code}", f"The server will not take some frames: {outcome.reason}")
        self._stats.last_error = outcome.reason
        if len(pending) == 1:
            self._stats.rejected_frames += 1
            return
        middle = len(pending) // 2
        for half in (pending[:middle], pending[middle:]):
            again = self._push(half)
            if again.verdict in (Verdict.LATER, Verdict.REFUSED):
                with self._changed:
                    self._after_failure(again)
                    for one in half:
                        self._keep(one)
            elif again.verdict is Verdict.REJECTED:
                self._halve(half, again)

    def _push(self, pending: list[Pending]) -> Outcome:
        layouts = {one.layout.id: one.layout for one in pending if one.layout is not None}
        frames = [one.item for one in pending if isinstance(one.item, Frame)]
        lists = [one.item for one in pending if isinstance(one.item, ProcessList)]
        push = Push(self._identity, self._facts(), list(layouts.values()), frames, lists)
        self._stats.requests += 1
        outcome = self._transport.send(push)
        self._stats.sent_bytes += outcome.sent_bytes
        if outcome.verdict is Verdict.STORED:
            self._stats.sent_frames += len(frames)
            self._stats.duplicate_frames += outcome.result.duplicates
            self._after_success(outcome)
        return outcome

    def _after_success(self, outcome: Outcome) -> None:
        with self._changed:
            self._failures = 0
            self._stats.server_up = True
        self._say.over("server", f"The server {self._transport.server} answers again.")
        server_ms = outcome.result.server_time_ms
        skew_ms = round(time.time() * 1000) - server_ms
        if server_ms and abs(skew_ms) > SKEW_MS:
            direction = "ahead of" if skew_ms > 0 else "behind"
            self._say.once("skew", f"This machine's clock is {abs(skew_ms) / 1000:.0f} s {direction} the server's.")
        else:
            self._say.over("skew", "This machine's clock agrees with the server's again.")

    def _after_failure(self, outcome: Outcome) -> None:
        self._failures += 1
        self._stats.failed_requests += 1
        self._stats.server_up = False
        self._stats.last_error = outcome.reason
        longest = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** min(self._failures - 1, 10))
        if outcome.verdict is Verdict.REFUSED:
            longest = REFUSED_RETRY_SECONDS
            message = f"The server {self._transport.server} refuses this agent: {outcome.reason}"
        else:
            message = (
                f"The server {self._transport.server} is away: {outcome.reason}. Frames are kept until it is back."
            )
        # full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
        wait = longest * self._share()
        if outcome.retry_after_seconds is not None:
            wait = outcome.retry_after_seconds + FIRST_RETRY_SECONDS * self._share()
        self._retry_at = self._monotonic() + wait
        self._say.once("server", message)

    def _watch_for_clones(self, outcome: Outcome) -> None:
        self._clone_signs = self._clone_signs + 1 if outcome.result.duplicates else 0
        if self._clone_signs >= CLONE_AFTER:
            self._say.once(
                "clone",
                f"Another agent sends as this one ({self._identity.agent_id}): a copied data directory? "
                "Delete identity.json on one of them.",
            )

    def _keep(self, pending: Pending) -> None:
        self._backlog.append(pending.item, pending.layout)

    def _count(self) -> None:
        self._stats.queue_frames = len(self._live) + len(self._backlog)
        self._stats.queue_bytes = self._backlog.size_bytes
        self._stats.dropped_frames = self._backlog.dropped
        oldest = self._backlog.oldest_ms
        self._stats.oldest_unsent_ms = oldest or (self._live[0].item.time_ms if self._live else 0)
