"""When a server counts as up, late or down."""

# Of an agent that does not say how often it samples.
DEFAULT_INTERVAL_MS = 10_000
# In intervals without a frame. One late frame is a busy network; ten are an outage.
LATE_AFTER, DOWN_AFTER = 3, 10
# An agent that samples more often measures mostly itself; one that samples less often is down for half a day before
# anybody knows.
SHORTEST_INTERVAL_MS, LONGEST_INTERVAL_MS = 1_000, 3_600_000
