"""What is to be sent in the next list: containers that have ended, and events."""

from bongsu.agent.collectors.containers.groups import short_id
from bongsu.agent.collectors.containers.happened import Happened
from bongsu.agent.collectors.containers.tracked import Tracked
from bongsu.core.samples import Container, ContainerEvent, ContainerList
from bongsu.wire.limits import MAX_CONTAINER_EVENTS, MAX_CONTAINERS

# What alerts tell of. A list that follows at once names the container before the mail is written.
_URGENT = ("oom_killed", "restarted", "unhealthy", "evicted")
# A container that is restarted all the time must not make a list at each tick.
URGENT_AN_HOUR = 30


class Record:
    def __init__(self) -> None:
        self._is_urgent = False
        self._hour = -1
        self._urgent_left = URGENT_AN_HOUR
        self._ended: list[Container] = []
        self._events: list[ContainerEvent] = []
        self._dropped = 0

    def end(self, tracked: Tracked) -> None:
        """The container is gone; it is listed once more, as it was."""
        if len(self._ended) < MAX_CONTAINERS:
            self._ended.append(tracked.as_container())

    def add(self, happened: Happened) -> None:
        details = happened.details
        self._add(
            ContainerEvent(
                happened.time_ms,
                happened.type,
                short_id(details.id),
                details.name,
                details.workload,
                happened.exit_code,
            )
        )

    def add_oom(self, tracked: Tracked, time_ms: int) -> None:
        self._add(ContainerEvent(time_ms, "oom_killed", short_id(tracked.id), tracked.name, tracked.workload))

    def is_due_at_once(self, wall: float) -> bool:
        """Whether something has happened that should not wait for the next minute."""
        if wall // 3600 != self._hour:
            self._hour, self._urgent_left = int(wall // 3600), URGENT_AN_HOUR
        if not self._is_urgent or self._urgent_left <= 0:
            return False
        self._urgent_left -= 1
        return True

    def _add(self, event: ContainerEvent) -> None:
        self._is_urgent = self._is_urgent or event.type in _URGENT
        if len(self._events) < MAX_CONTAINER_EVENTS:
            self._events.append(event)
        else:
            self._dropped += 1

    def drop(self, count: int) -> None:
        self._dropped += count

    def make_list(self, containers: list[Tracked]) -> ContainerList:
        """All of them, those that run and are large first, and what has come together since the list before."""
        rows = [tracked.as_container() for tracked in containers]
        rows.sort(key=lambda row: (row.finished_ms > 0, -row.memory_bytes, -row.created_ms, row.name))
        room = max(0, MAX_CONTAINERS - len(self._ended))
        events = sorted(self._events, key=lambda event: event.time_ms)
        made = ContainerList(0, rows[:room] + self._ended, events, self._dropped)
        self._ended, self._events, self._dropped = [], [], 0
        self._is_urgent = False
        return made
