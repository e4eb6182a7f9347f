"""What the agent counts about itself. Read by the ``agent`` collector and by ``bongsu agent status``."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Stats:
    """Counters since the start, written by one thread each; readers may see them a moment apart."""

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
    collector_seconds: dict[str, float] = field(default_factory=dict)
    slowed: dict[str, int] = field(default_factory=dict)
