"""Default settings that more than one module needs. ``config/agent.yml`` documents them."""

from bongsu.core.units import DAY_MS

SERVER_URL = "http://127.0.0.1:8600"
INTERVAL_MS = 10_000
WATCHED_INTERVAL_MS = 1_000
TIMEOUT_MS = 10_000
BUFFER_BYTES = 512 * 1024**2
BUFFER_AGE_MS = 7 * DAY_MS
# Frames a second: a day of frames in under 20 s.
REPLAY_RATE = 500
LOG_BYTES = 5 * 1024**2
LOG_FILES = 3
