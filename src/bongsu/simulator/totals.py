"""What a simulator has sent, and what became of it."""

import math
from collections import Counter
from dataclasses import dataclass, field

# Times to acknowledge are counted in classes that are 5 % apart, from 0.1 ms on.
_CLASS = math.log(1.05)
_SHORTEST_MS = 0.1


class Latencies:
    """Times, of which percentiles are right to 5 % whatever their number."""

    def __init__(self) -> None:
        self._classes: Counter[int] = Counter()
        self.count = 0

    def add(self, milliseconds: float) -> None:
        self._classes[math.ceil(math.log(max(milliseconds, _SHORTEST_MS) / _SHORTEST_MS) / _CLASS)] += 1
        self.count += 1

    def percentile(self, percent: float) -> float:
        """In milliseconds; 0 if there are none."""
        left = self.count * percent / 100
        for number, count in sorted(self._classes.items()):
            left -= count
            if left <= 0:
                return _SHORTEST_MS * math.exp(number * _CLASS)
        return 0.0


@dataclass(slots=True)
class Totals:
    """Frames unless it says otherwise.

    ``sent``: with those sent again. ``duplicates``: stored already. ``late``: stored more than an interval after their
    time, without history. ``lost``: never stored, because they became too old or the simulator ended. ``samples``:
    values stored. ``failed_requests``: not answered, or refused for now. ``refused``: server ->
    why it was given up. ``rejection``: why the latest frames were rejected.
    """

    sent: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    late: int = 0
    lost: int = 0
    samples: int = 0
    process_lists: int = 0
    requests: int = 0
    failed_requests: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    rejection: str = ""
    latencies: Latencies = field(default_factory=Latencies)

    @property
    def is_complete(self) -> bool:
        """Whether everything was stored."""
        return not (self.rejected or self.lost or self.refused)
