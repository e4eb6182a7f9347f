"""The containers and processes that may be the cause of an alert."""

import re

from sqlalchemy import Connection

from bongsu.alerts.alert import Alert
from bongsu.alerts.message import MOST_CONTAINERS, MOST_PROCESSES
from bongsu.core.samples import Container, Process
from bongsu.server.storage.containers import lists_between
from bongsu.server.storage.processes import processes_at

# Agents send a list once a minute; one that is older than this says nothing about the alert.
LIST_AGE_MS = 300_000
# What a container did that a rule measures over some minutes, such as restarts.
CONTAINERS_AGE_MS = 900_000
# The series of the agent have this label alone, those of Kubernetes a namespace before it.
_OF_CONTAINERS = re.compile(r'\{(?:namespace="[^"]*", ?)?(workload|container)="(.*)"\}$')


def processes_of(connection: Connection, alert: Alert, at_ms: int) -> tuple[list[Process], int | None]:
    """Those that used most of what the alert is about, and when they were listed."""
    found = processes_at(connection, alert.server_id, at_ms).processes
    if found is None or at_ms - found.time_ms > LIST_AGE_MS:
        return [], None
    by_memory = "memory" in alert.series
    processes = sorted(
        found.processes, key=lambda process: process.memory_bytes if by_memory else process.cpu_ratio, reverse=True
    )
    return processes[:MOST_PROCESSES], found.time_ms


def containers_of(connection: Connection, alert: Alert, at_ms: int) -> tuple[list[Container], int | None]:
    """Of an alert about a workload or container, those that it is about, first those to which something happened; of
    any other, those that used most of what it is about. And when the last list was taken."""
    lists = lists_between(connection, alert.server_id, at_ms - CONTAINERS_AGE_MS, at_ms + 1)
    if not lists or at_ms - lists[-1].time_ms > LIST_AGE_MS:
        return [], None
    about = _OF_CONTAINERS.search(alert.series)
    if about is None:
        running = [one for one in lists[-1].containers if one.finished_ms == 0]
        running.sort(key=lambda one: one.memory_bytes if "memory" in alert.series else one.cpu_ratio, reverse=True)
        return running[:MOST_CONTAINERS], lists[-1].time_ms
    kind, name = about.groups()
    latest = {
        one.id: one
        for each in lists
        for one in each.containers
        if name == (one.workload if kind == "workload" else one.name)
    }
    happened = {event.container_id for each in lists for event in each.events if event.type != "started"}
    ordered = sorted(latest.values(), key=lambda one: (one.id not in happened, -one.oom_kills, -one.restarts))
    return ordered[:MOST_CONTAINERS], lists[-1].time_ms
