"""When a server counts as up, late or down."""

# Of an agent that does not say how often it samples.
DEFAULT_INTERVAL_MS = 10_000
# In intervals without a frame. One late frame is a busy network; ten are an outage.
LATE_AFTER, DOWN_AFTER = 3, 10
