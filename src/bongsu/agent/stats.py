"""What the agent measures about itself. The ``agent`` collector and ``bongsu agent status`` report it."""

import sys
from dataclasses import dataclass, field

from bongsu.agent.procfs import PAGE_BYTES, read_bytes


@dataclass(slots=True)
class TargetStats:
    """One scraped target. ``up``, ``samples`` (on its page), ``kept`` (after relabelling), ``seconds``, ``last_error``
    and ``unsendable`` (why samples were left out; empty: none were) are of the latest scrape, the others counters.
    ``skipped_scrapes`` were due while the previous one still ran."""

    up: bool = True
    scrapes: int = 0
    failed_scrapes: int = 0
    skipped_scrapes: int = 0
    dropped_samples: int = 0
    samples: int = 0
    kept: int = 0
    seconds: float = 0.0
    last_error: str = ""
    unsendable: str = ""


@dataclass(slots=True)
class Stats:
    """Counters since the agent started. One thread writes each counter; any thread may read it, possibly a moment
    late."""

    ticks: int = 0
    missed_ticks: int = 0
    frames: int = 0
    sent_frames: int = 0
    duplicate_frames: int = 0
    dropped_frames: int = 0
    rejected_frames: int = 0
    requests: int = 0
    failed_requests: int = 0
    sent_bytes: int = 0
    queue_frames: int = 0
    queue_bytes: int = 0
    oldest_unsent_ms: int = 0
    server_up: bool = True
    last_error: str = ""
    collector_errors: dict[str, int] = field(default_factory=dict)
    # collector -> how many times less often than configured it runs
    slowed: dict[str, int] = field(default_factory=dict)
    # job and instance of a scraped target, or "textfiles"
    targets: dict[str, TargetStats] = field(default_factory=dict)


def resident_bytes() -> int:
    """Resident memory of this process."""
    if sys.platform == "linux":
        return int(read_bytes("/proc/self/statm").split()[1]) * PAGE_BYTES
    import psutil

    return int(psutil.Process().memory_info().rss)
