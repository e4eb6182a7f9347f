"""How agents spread their requests over time, so that a fleet neither sends nor comes back all at once."""

import zlib

# A third of an interval spreads a fleet enough, and the value is still recent when it is shown.
SEND_DELAY_SHARE = 0.3
LONGEST_SEND_DELAY_SECONDS = 5.0
FIRST_RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 30.0


def send_delay_seconds(agent_id: str, interval_ms: int) -> float:
    """How long after a tick an agent sends: a fixed delay of its own."""
    share = zlib.crc32(agent_id.encode()) / 2**32
    return share * min(LONGEST_SEND_DELAY_SECONDS, interval_ms / 1000 * SEND_DELAY_SHARE)


def retry_seconds(failures: int, share: float, retry_after_seconds: float | None = None) -> float:
    """How long to wait after this many failures in a row. ``share``: random, from 0 to 1.

    Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    if retry_after_seconds is not None:
        return retry_after_seconds + FIRST_RETRY_SECONDS * share
    return share * min(MAX_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 10))
