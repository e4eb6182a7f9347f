"""What the API server holds in memory of each server: its record, its layouts and its newest frames."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bongsu.core.liveness import DEFAULT_INTERVAL_MS
from bongsu.core.samples import AgentIdentity, Frame, HostFacts
from bongsu.core.series import Layout
from bongsu.server.fleet.servers import ServerRecord


@dataclass(slots=True)
class Newest:
    """The last two frames of one layout: the newest, and its predecessor, which rates need."""

    frame: Frame
    before: Frame | None = None


# Under load a push takes a second or two to arrive; a clock that is set jumps by more than this.
CLOCK_JUMP_MS = 5_000


@dataclass(slots=True)
class ServerState:
    """One server in memory."""

    record: ServerRecord
    layouts: dict[int, Layout] = field(default_factory=dict)
    # Layout id -> length of a frame's values in bytes, for the hot path.
    sizes: dict[int, int] = field(default_factory=dict)
    newest: dict[int, Newest] = field(default_factory=dict)
    last_seen_ms: int = 0
    clock_known: bool = False
    # Time of the server's oldest sample ever.
    oldest_ms: int = 0

    @property
    def interval_ms(self) -> int:
        """How often frames are expected."""
        return self.record.agent.interval_ms or DEFAULT_INTERVAL_MS

    def add_layout(self, layout: Layout) -> None:
        """Accepts frames of this layout from now on."""
        self.layouts[layout.id] = layout
        self.sizes[layout.id] = 8 * len(layout.series)

    def heard_clock(self, sent_ms: int, now_ms: int) -> bool:
        """Compares the agent's clock with ours. Returns whether it has jumped since its last push."""
        record = self.record
        offset_ms = sent_ms - now_ms
        jumped = self.clock_known and abs(offset_ms - record.clock_offset_ms) > CLOCK_JUMP_MS
        record.clock_offset_ms, self.clock_known = offset_ms, True
        if jumped:
            record.clock_jump_ms = now_ms
        return jumped

    def saw(self, frame: Frame) -> None:
        """Takes note of a committed frame."""
        newest = self.newest.get(frame.layout_id)
        if newest is None:
            self.newest[frame.layout_id] = Newest(frame)
        elif frame.time_ms > newest.frame.time_ms:
            newest.before = newest.frame
            newest.frame = frame
        if frame.time_ms > self.last_seen_ms:
            self.last_seen_ms = frame.time_ms
        elif frame.time_ms < self.oldest_ms:
            self.oldest_ms = frame.time_ms


class Registry:
    """All servers, by id and by agent id."""

    def __init__(self) -> None:
        self.by_id: dict[int, ServerState] = {}
        self.by_agent_id: dict[str, ServerState] = {}

    def records(self) -> list[ServerRecord]:
        """The record of each server."""
        return [state.record for state in self.by_id.values()]

    def add(self, record: ServerRecord) -> ServerState:
        """Adds a server, unless it is known already. Returns its state."""
        state = self.by_id.get(record.id)
        if state is None:
            state = ServerState(record, last_seen_ms=record.last_seen_ms, oldest_ms=record.first_seen_ms)
            self.by_id[record.id] = state
            self.by_agent_id[record.agent.agent_id] = state
        return state

    def only(self, is_wanted: Callable[[ServerState], bool]) -> "Registry":
        """A registry of the wanted servers only; it shares their state with this one."""
        part = Registry()
        part.by_id = {server_id: state for server_id, state in self.by_id.items() if is_wanted(state)}
        part.by_agent_id = {state.record.agent.agent_id: state for state in part.by_id.values()}
        return part


def differs(record: ServerRecord, agent: AgentIdentity, host: HostFacts | None) -> bool:
    """Whether an agent reports itself or its host differently from its record."""
    return record.agent != agent or (host is not None and record.host != host)
