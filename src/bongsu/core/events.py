"""Events: what has happened to a server, as people are told of it."""

import enum
from dataclasses import dataclass


class EventType(enum.StrEnum):
    """What has happened. ``before`` and ``after`` of the event, where it has them, are named here."""

    SERVER_ADDED = "server_added"
    SERVER_UP = "server_up"
    SERVER_DOWN = "server_down"
    SERVER_RETIRED = "server_retired"
    SERVER_RESTORED = "server_restored"
    # The versions.
    AGENT_UPDATED = "agent_updated"
    # When the host booted, in Unix ms.
    REBOOTED = "rebooted"
    # The agent's clock minus the API server's, in ms.
    CLOCK_JUMPED = "clock_jumped"
    # Before: the name of the container. After: its exit code, where it has one.
    CONTAINER_FAILED = "container_failed"
    CONTAINER_OOM_KILLED = "container_oom_killed"
    CONTAINER_RESTARTED = "container_restarted"
    CONTAINER_UNHEALTHY = "container_unhealthy"
    CONTAINER_EVICTED = "container_evicted"
    ALERT_FIRED = "alert_fired"
    ALERT_RESOLVED = "alert_resolved"
    # After: by whom.
    ALERT_ACKNOWLEDGED = "alert_acknowledged"


@dataclass(frozen=True, slots=True)
class Event:
    """``id``: rises with each stored event; 0: not stored yet. ``time_ms``: when it became known, by the API server's
    clock. ``server_id`` 0: Bongsu itself. ``alert_id`` and what follows up to ``series``: of an alert only."""

    type: EventType
    time_ms: int
    server_id: int
    server_name: str
    alert_id: int = 0
    rule_name: str = ""
    severity: str = ""
    series: str = ""
    before: str = ""
    after: str = ""
    id: int = 0
