"""What the API server holds in memory of each server: its record, its layouts and its newest frames."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from bongsu.core.liveness import DEFAULT_INTERVAL_MS, LATE_AFTER, LONGEST_INTERVAL_MS, SHORTEST_INTERVAL_MS, state_at
from bongsu.core.samples import AgentIdentity, Frame, HostFacts
from bongsu.core.series import Layout, Series
from bongsu.server.fleet.servers import ServerRecord

State = Literal["up", "late", "down", "retired"]

# Each agent that asks a kubelet has it.
KUBERNETES_METRIC = "kubernetes_kubelet_errors_total"
# So many longer steps in a row are a new interval; fewer are frames that were late or lost.
SLOWER_STEPS = 3


@dataclass(slots=True)
class Newest:
    """The last two frames of one layout: the newest, and its predecessor, which rates need; and what they teach."""

    frame: Frame
    before: Frame | None = None
    # How often frames of this layout come, as seen; 0: not known yet.
    interval_ms: int = 0
    slower: int = 0

    def __post_init__(self) -> None:
        if self.before is not None:
            self.interval_ms = max(self.frame.time_ms - self.before.time_ms, 1)

    def follow(self, frame: Frame) -> None:
        """Takes a newer frame."""
        step_ms = frame.time_ms - self.frame.time_ms
        self.before, self.frame = self.frame, frame
        if not self.interval_ms or step_ms * 4 < self.interval_ms * 3:
            self.interval_ms, self.slower = step_ms, 0
        elif step_ms * 2 <= self.interval_ms * 3:
            self.slower = 0
        else:
            self.slower += 1
            if self.slower == SLOWER_STEPS:
                self.interval_ms, self.slower = step_ms, 0


# Under load a push takes a second or two to arrive; a clock that is set jumps by more than this.
CLOCK_JUMP_MS = 5_000
# How exactly clocks are known. Each step is written for all API servers to see, and the way of a push takes a few
# hundred ms now and then.
CLOCK_STEP_MS = 1_000
# Nothing of a clock that moves to and fro is written more often.
CLOCK_STEP_EVERY_MS = 10_000


@dataclass(frozen=True, slots=True)
class ClockStep:
    """An agent's clock has moved against ours, or its offset was not known so well. ``jump_ms``: when it last jumped;
    0: never; ``jumped``: it did so now."""

    before_ms: int
    offset_ms: int
    jump_ms: int
    jumped: bool


@dataclass(slots=True)
class ServerState:
    """One server in memory."""

    record: ServerRecord
    layouts: dict[int, Layout] = field(default_factory=dict)
    # Layout id -> length of a frame's values in bytes, for the hot path.
    sizes: dict[int, int] = field(default_factory=dict)
    newest: dict[int, Newest] = field(default_factory=dict)
    # Those of an agent that is told by a kubelet.
    kubernetes_layouts: set[int] = field(default_factory=set)
    # When layouts had their last sample before this process started; of those that ended, no frame is in memory.
    ended_ms: dict[int, int] = field(default_factory=dict)
    last_seen_ms: int = 0
    # Time of its newest frame in memory. Not as above: a new server was first seen by our clock; its own may be behind.
    newest_ms: int = 0
    # When a frame last arrived, by our clock; after a start the time of the newest frame, until one arrives.
    heard_ms: int = 0
    clock_known: bool = False
    # When a step of the agent's clock was last written.
    clock_step_ms: int = 0
    # An offset by which the clock has been set back, or the push was held up on its way; the next one will tell.
    doubted_offset_ms: int | None = None
    # Time of the server's oldest sample ever.
    oldest_ms: int = 0
    # Since when some series have no name, because there are too many; 0: never.
    unnamed_since_ms: int = 0

    @property
    def interval_ms(self) -> int:
        """How often frames are expected."""
        return self.record.agent.interval_ms or DEFAULT_INTERVAL_MS

    def interval_of(self, layout_id: int) -> int:
        """How often frames of one layout are expected: as the agent says, unless they are seen to come less often.
        While somebody looks at the server they come more often."""
        claimed_ms = self.record.agent.interval_ms
        newest = self.newest.get(layout_id)
        if newest is None or not newest.interval_ms or newest.interval_ms * 4 <= claimed_ms * 5:
            return self.interval_ms
        return min(max(newest.interval_ms, SHORTEST_INTERVAL_MS), LONGEST_INTERVAL_MS)

    def is_current(self, layout_id: int) -> bool:
        """Whether the newest frame of a layout still stands for now, measured by the newest of all its layouts."""
        newest = self.newest.get(layout_id)
        return newest is not None and (
            newest.frame.time_ms >= self.newest_ms - LATE_AFTER * self.interval_of(layout_id)
        )

    @property
    def is_of_kubernetes(self) -> bool:
        """Whether its agent is told by a kubelet now."""
        return any(self.is_current(layout_id) for layout_id in self.kubernetes_layouts)

    @property
    def retired(self) -> bool:
        """Whether people expect nothing of it any more."""
        return self.record.retired_ms > 0

    def state_at(self, now_ms: int) -> State:
        """Its state."""
        return "retired" if self.retired else state_at(self.heard_ms, self.interval_ms, now_ms)

    def last_ms(self, layout_id: int) -> int | None:
        """The time of the last sample of a layout; None if it has none yet."""
        newest = self.newest.get(layout_id)
        return self.ended_ms.get(layout_id) if newest is None else newest.frame.time_ms

    def layouts_since(self, since_ms: int, back_intervals: int = 0) -> Iterator[Layout]:
        """The layouts that have a sample since then, or since so many of their intervals before, or none at all yet.

        A server of a year has dozens that ended long ago. Safe in a thread.
        """
        for layout in list(self.layouts.values()):
            last_ms = self.last_ms(layout.id)
            if last_ms is None or last_ms >= since_ms - back_intervals * self.interval_of(layout.id):
                yield layout

    def names_since(self, since_ms: int) -> set[Series]:
        """The named series of these layouts."""
        return {layout.series[position] for layout in self.layouts_since(since_ms) for position in layout.named}

    @property
    def unnamed(self) -> int:
        """Series of the newest frames that are stored without a name, since the server has too many."""
        return sum(layout.unnamed for layout in self.layouts.values() if self.is_current(layout.id))

    def add_layout(self, layout: Layout) -> bool:
        """Accepts frames of this layout from now on. Returns whether it is the first with series without a name."""
        self.layouts[layout.id] = layout
        self.sizes[layout.id] = 8 * len(layout.series)
        if any(series.metric == KUBERNETES_METRIC for series in layout.series):
            self.kubernetes_layouts.add(layout.id)
        if self.unnamed_since_ms or not layout.unnamed:
            return False
        self.unnamed_since_ms = self.last_seen_ms
        return True

    def forget_layout(self, layout_id: int) -> None:
        """Accepts no frame of a layout that is no longer stored, until the agent sends it again."""
        for by_layout in (self.layouts, self.sizes, self.newest, self.ended_ms):
            by_layout.pop(layout_id, None)
        self.kubernetes_layouts.discard(layout_id)

    def clock_step(self, offset_ms: int, now_ms: int) -> ClockStep | None:
        """Compares the agent's clock with what is known of it. ``offset_ms``: the agent's minus ours. None: it need not
        be written."""
        was_known, self.clock_known = self.clock_known, True
        step_ms = abs(offset_ms - self.record.clock_offset_ms)
        # Our own clock may have been set back since.
        is_soon = 0 <= now_ms - self.clock_step_ms < CLOCK_STEP_EVERY_MS
        if step_ms <= CLOCK_STEP_MS:
            self.doubted_offset_ms = None
            return None
        if is_soon:
            return None
        jumped = was_known and step_ms > CLOCK_JUMP_MS
        if jumped and offset_ms < self.record.clock_offset_ms:
            doubted_ms, self.doubted_offset_ms = self.doubted_offset_ms, offset_ms
            if doubted_ms is None or abs(offset_ms - doubted_ms) > CLOCK_STEP_MS:
                return None
        self.clock_step_ms, self.doubted_offset_ms = now_ms, None
        jump_ms = now_ms if jumped else self.record.clock_jump_ms
        return ClockStep(self.record.clock_offset_ms, offset_ms, jump_ms, jumped)

    def saw(self, frame: Frame) -> None:
        """Takes note of a committed frame. Nothing can read it if its layout was forgotten while it was on its way."""
        newest = self.newest.get(frame.layout_id)
        if newest is None:
            if frame.layout_id not in self.layouts:
                return
            self.newest[frame.layout_id] = Newest(frame)
        elif (step_ms := frame.time_ms - newest.frame.time_ms) > 0:
            # Nearly always on time, and each call counts here.
            if step_ms == newest.interval_ms and not newest.slower:
                newest.before, newest.frame = newest.frame, frame
            else:
                newest.follow(frame)
        if frame.time_ms > self.newest_ms:
            self.newest_ms = frame.time_ms
        if frame.time_ms > self.last_seen_ms:
            self.last_seen_ms = frame.time_ms
        elif frame.time_ms < self.oldest_ms:
            self.oldest_ms = frame.time_ms


class Registry:
    """All servers, by id and by agent id. ``revision``: of the servers; nothing here is older.

    ``generation`` rises with every change of what is said of servers, whoever made it; ``forgotten`` when layouts are
    forgotten.
    """

    def __init__(self, revision: int = 0) -> None:
        self.revision = revision
        self.generation = 0
        self.forgotten = 0
        self.by_id: dict[int, ServerState] = {}
        self.by_agent_id: dict[str, ServerState] = {}

    def records(self) -> list[ServerRecord]:
        """The record of each server."""
        return [state.record for state in self.by_id.values()]

    def add(self, record: ServerRecord) -> ServerState:
        """Adds a server, unless it is known already. Returns its state."""
        state = self.by_id.get(record.id)
        if state is None:
            seen_ms = record.last_seen_ms
            state = ServerState(record, last_seen_ms=seen_ms, heard_ms=seen_ms, oldest_ms=record.first_seen_ms)
            self.by_id[record.id] = state
            self.by_agent_id[record.agent.agent_id] = state
            self.generation += 1
        return state

    def remove(self, state: ServerState) -> None:
        """Removes a server."""
        self.generation += 1
        self.by_id.pop(state.record.id, None)
        if self.by_agent_id.get(state.record.agent.agent_id) is state:
            del self.by_agent_id[state.record.agent.agent_id]

    def in_service(self) -> "Registry":
        """The servers that are not retired."""
        return self.only(lambda state: not state.retired)

    def only(self, is_wanted: Callable[[ServerState], bool]) -> "Registry":
        """A registry of the wanted servers only; it shares their state with this one."""
        part = Registry()
        part.by_id = {server_id: state for server_id, state in self.by_id.items() if is_wanted(state)}
        part.by_agent_id = {state.record.agent.agent_id: state for state in part.by_id.values()}
        return part


def differs(record: ServerRecord, agent: AgentIdentity, host: HostFacts | None) -> bool:
    """Whether an agent reports itself or its host differently from its record."""
    return record.agent != agent or (host is not None and record.host != host)
