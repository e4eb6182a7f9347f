"""Limits of the API server. It refuses the whole request over any of them, so agent and simulator stay within them."""

MAX_SERIES = 5_000
# The server takes these of a name of a metric or label.
MAX_METRIC_CHARS = 128
MAX_LABEL_NAME_CHARS = 64
MAX_LABELS = 16
MAX_LABEL_BYTES = 256
MAX_FRAMES = 1_000
MAX_LAYOUTS = 16
MAX_BODY_BYTES = 4 * 1024**2
MAX_PROCESS_LISTS = 250
MAX_PROCESSES = 100
# The server takes 256 bytes, and a character has up to four.
MAX_PROCESS_NAME_CHARS = 64
MAX_CONTAINER_LISTS = 250
MAX_CONTAINERS = 1_000
MAX_CONTAINER_EVENTS = 1_000
MAX_CONTAINER_TEXT_BYTES = 256
