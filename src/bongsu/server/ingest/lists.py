"""Lists of processes and containers that a push carries: checked, and made ready to be stored."""

import asyncio
import math
from collections.abc import Sequence
from typing import NamedTuple

from bongsu.core.errors import InvalidInput, TooLarge
from bongsu.core.events import Event, EventType
from bongsu.core.samples import Container, ContainerEvent, ContainerList, Process, ProcessList, Push
from bongsu.server.config import Limits
from bongsu.server.fleet.servers import ServerRecord
from bongsu.server.ingest.validation import wrong_time
from bongsu.server.storage.containers import StoredContainers, encode_container_lists
from bongsu.server.storage.processes import StoredList, encode_lists


class StoredLists(NamedTuple):
    """The lists of a push as they are stored."""

    processes: Sequence[StoredList] = ()
    containers: Sequence[StoredContainers] = ()

    @property
    def size_bytes(self) -> int:
        return sum(len(row[-1]) for rows in self for row in rows)


NO_LISTS = StoredLists()
_NOTABLE = {
    "oom_killed": EventType.CONTAINER_OOM_KILLED,
    "restarted": EventType.CONTAINER_RESTARTED,
    "unhealthy": EventType.CONTAINER_UNHEALTHY,
    "evicted": EventType.CONTAINER_EVICTED,
}
TOLD_WITHIN_MS = 600_000
# Somebody has stopped it: SIGTERM or SIGKILL (128 + the signal), or it ended by itself as it should.
_ENDED_AS_ASKED = (0, 137, 143)


async def stored_lists(push: Push, limits: Limits, now_ms: int, oldest_ms: int) -> StoredLists:
    """Raises TooLarge or InvalidInput for a list that cannot be stored."""
    check_process_lists(push.process_lists, limits, now_ms, oldest_ms)
    check_container_lists(push.container_lists, limits, now_ms, oldest_ms)
    # 90 us each: too long for the event loop when an agent replays the lists of a long outage
    return await asyncio.to_thread(_encoded, push)


def _encoded(push: Push) -> StoredLists:
    return StoredLists(encode_lists(push.process_lists), encode_container_lists(push.container_lists))


def notable_events(lists: Sequence[ContainerList], server: ServerRecord, now_ms: int) -> list[Event]:
    """What people should see on the time axis of the server: not each start, nor an end that was asked for."""
    found = []
    for one in lists:
        for event in one.events:
            kind = _NOTABLE.get(event.type)
            if event.type == "exited" and event.exit_code not in _ENDED_AS_ASKED:
                kind = EventType.CONTAINER_FAILED
            if kind is not None:
                after = str(event.exit_code) if event.type in ("exited", "restarted") else ""
                # Told soon after it happened: else the agent could put events anywhere, past the limit for an hour.
                time_ms = min(max(event.time_ms, one.time_ms - TOLD_WITHIN_MS), now_ms)
                found.append(Event(kind, time_ms, server.id, server.agent.name, before=event.name, after=after))
    return found


def check_process_lists(lists: list[ProcessList], limits: Limits, now_ms: int, oldest_ms: int) -> None:
    """Raises TooLarge or InvalidInput for a process list that cannot be stored."""
    latest = now_ms + limits.ahead_seconds * 1000
    for index, process_list in enumerate(lists):
        field = f"process_lists[{index}]"
        if not oldest_ms <= process_list.time_ms <= latest:
            raise wrong_time(f"{field}.time_ms", process_list.time_ms, limits, now_ms, oldest_ms)
        if len(process_list.processes) > limits.processes_per_list:
            raise TooLarge(
                f"{field} has {len(process_list.processes)} processes; the limit is {limits.processes_per_list}.",
                field=f"{field}.processes",
                limit=limits.processes_per_list,
            )
        for position, process in enumerate(process_list.processes):
            _check_row(process, f"{field}.processes[{position}]", limits)


def check_container_lists(lists: list[ContainerList], limits: Limits, now_ms: int, oldest_ms: int) -> None:
    """Raises TooLarge or InvalidInput for a container list that cannot be stored."""
    latest = now_ms + limits.ahead_seconds * 1000
    for index, one in enumerate(lists):
        field = f"container_lists[{index}]"
        if not oldest_ms <= one.time_ms <= latest:
            raise wrong_time(f"{field}.time_ms", one.time_ms, limits, now_ms, oldest_ms)
        rows: dict[str, Sequence[Container | ContainerEvent]] = {"containers": one.containers, "events": one.events}
        for name, listed in rows.items():
            if len(listed) > limits.containers_per_list:
                raise TooLarge(
                    f"{field} has {len(listed)} {name}; the limit is {limits.containers_per_list}.",
                    field=f"{field}.{name}",
                    limit=limits.containers_per_list,
                )
            for position, row in enumerate(listed):
                _check_row(row, f"{field}.{name}[{position}]", limits)


def _check_row(row: Process | Container | ContainerEvent, place: str, limits: Limits) -> None:
    for name, value in row._asdict().items():
        if isinstance(value, str) and len(value.encode()) > limits.process_name_bytes:
            raise InvalidInput(
                f"{place}.{name} is longer than {limits.process_name_bytes} bytes.",
                field=f"{place}.{name}",
                limit=limits.process_name_bytes,
            )
        if isinstance(value, float) and not (math.isfinite(value) and value >= 0):
            raise InvalidInput(f"{place}.{name} must be a finite number of at least 0.", field=f"{place}.{name}")
