"""When a server counts as up, late or down."""

from typing import Literal

# Of an agent that does not say how often it samples.
DEFAULT_INTERVAL_MS = 10_000
# In intervals without a frame: one late frame is a busy network.
LATE_AFTER = 3
# With an interval of a second, three intervals are no outage: an agent that is updated is away for longer.
LEAST_SILENCE_MS = 60_000
# An agent that samples more often measures mostly itself; one that samples less often is down for half a day before
# anybody knows.
SHORTEST_INTERVAL_MS, LONGEST_INTERVAL_MS = 1_000, 3_600_000


def down_after_ms(interval_ms: int) -> int:
    """After how long a silence a server counts as down."""
    return max(LATE_AFTER * interval_ms, LEAST_SILENCE_MS)


def state_at(heard_ms: int, interval_ms: int, now_ms: int) -> Literal["up", "late", "down"]:
    """The state of a server, by when a frame last arrived: an agent's clock may be wrong."""
    silence_ms = now_ms - heard_ms
    if silence_ms <= LATE_AFTER * interval_ms:
        return "up"
    return "late" if silence_ms <= down_after_ms(interval_ms) else "down"
