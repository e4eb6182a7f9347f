"""Buckets: half-open time ranges ``[start, start + step)``, aligned to the epoch."""


def bucket_start(time_ms: int, step_ms: int) -> int:
    """The start of the bucket that contains ``time_ms``; rounds down, also before the epoch.

    Raises:
        ValueError: ``step_ms`` is not positive.
    """
    if step_ms <= 0:
        raise ValueError(f"step_ms must be positive, not {step_ms}")
    return time_ms - time_ms % step_ms


# Steps that are easy to read, in milliseconds: 1-2-5 for seconds, then divisors of the minute, the hour and the day.
NICE_STEPS_MS = tuple(
    1_000 * seconds
    for seconds in (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1_200, 1_800)
    + (3_600, 7_200, 10_800, 14_400, 21_600, 43_200, 86_400, 172_800, 432_000, 604_800)
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
