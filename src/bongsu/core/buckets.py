"""Buckets: half-open time ranges ``[start, start + step)``, aligned to the epoch."""

from bongsu.core.units import HOUR_MS, MINUTE_MS


def bucket_start(time_ms: int, step_ms: int) -> int:
    """The start of the bucket that contains ``time_ms``; rounds down, also before the epoch.

    Raises:
        ValueError: ``step_ms`` is not positive.
    """
    if step_ms <= 0:
        raise ValueError(f"step_ms must be positive, not {step_ms}")
    return time_ms - time_ms % step_ms


# Steps that are easy to read, in milliseconds: 1-2-5 for seconds, then divisors of the minute, the hour and the day.
_SECONDS = (1, 2, 5, 10, 15, 20, 30)
_MINUTES = (1, 2, 5, 10, 15, 20, 30)
_HOURS = (1, 2, 3, 4, 6, 12, 24, 48, 120, 168)
NICE_STEPS_MS = (
    [1_000 * seconds for seconds in _SECONDS]
    + [MINUTE_MS * minutes for minutes in _MINUTES]
    + [HOUR_MS * hours for hours in _HOURS]
)


def nice_step(range_ms: int, max_points: int, *, at_least_ms: int = 1_000) -> int:
    """The smallest step of NICE_STEPS_MS (or a multiple of the largest) that covers ``range_ms`` in at most
    ``max_points`` buckets.

    Takes into account that a range which does not start on a boundary touches one more bucket.
    """
    wanted = max(at_least_ms, -(-range_ms // max(1, max_points - 1)))
    for step in NICE_STEPS_MS:
        if step >= wanted:
            return step
    largest = NICE_STEPS_MS[-1]
    return -(-wanted // largest) * largest
