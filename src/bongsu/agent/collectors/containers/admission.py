"""Which containers have series of their own.

Each set of series is a layout that the API server keeps, so containers get theirs together, at multiples of five
minutes, and only if they have existed for as long. One that replaces another of the same name takes its series over at
once.
"""

from collections.abc import Iterable

from bongsu.agent.collectors.containers.tracked import Tracked

MAX_CONTAINERS_WITH_SERIES = 300
BATCH_SECONDS = 300
# A layout keeps series that are missing about as long.
KEEP_SECONDS = 600.0


class Admission:
    def __init__(self) -> None:
        # Value of the label -> when it was last seen.
        self._admitted: dict[str, float] = {}
        self._batch = -1
        # How many have no series because there are too many.
        self.left_out = 0

    def is_batch(self, wall: float) -> bool:
        """Whether a multiple of five minutes has passed since the batch before; true at first."""
        batch, self._batch = self._batch, int(wall // BATCH_SECONDS)
        return batch != self._batch

    def select(
        self, containers: Iterable[Tracked], now: float, wall: float, *, is_batch: bool
    ) -> list[tuple[str, Tracked]]:
        """The containers that run and have series, each with its value of the label ``container``."""
        running = [tracked for tracked in containers if tracked.is_measured and tracked.is_running]
        selected: dict[str, Tracked] = {}
        for tracked in running:
            label = tracked.name
            if label in selected:  # of two runtimes
                label = f"{label} {tracked.id[:12]}"
            if label in self._admitted:
                selected[label] = tracked
        if is_batch:
            self._forget(now, selected)
            self._admit(running, selected, now, wall)
        for label in selected:
            self._admitted[label] = now
        return list(selected.items())

    def _forget(self, now: float, selected: dict[str, Tracked]) -> None:
        for label in [label for label, seen in self._admitted.items() if now - seen > KEEP_SECONDS]:
            if label not in selected:
                del self._admitted[label]

    def _admit(self, running: list[Tracked], selected: dict[str, Tracked], now: float, wall: float) -> None:
        have = {tracked.id for tracked in selected.values()}
        old = [each for each in running if each.id not in have and each.created_ms <= (wall - BATCH_SECONDS) * 1000]
        old.sort(key=lambda tracked: tracked.created_ms)
        room = MAX_CONTAINERS_WITH_SERIES - len(self._admitted)
        self.left_out = max(0, len(old) - room)
        for tracked in old[: max(0, room)]:
            label = tracked.name if tracked.name not in selected else f"{tracked.name} {tracked.id[:12]}"
            selected[label] = tracked
