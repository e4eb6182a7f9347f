"""An alert: one series that breaches one rule, from pending to firing to resolved."""

from dataclasses import dataclass, field
from enum import StrEnum

from bongsu.alerts.notes import Note, joined
from bongsu.alerts.rules import Severity
from bongsu.alerts.state import SeriesKey


class Event(StrEnum):
    """Why a notification is sent."""

    FIRED = "fired"
    REPEATED = "repeated"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    TEST = "test"


class Stage(StrEnum):
    """A stage of the way of a notification that decides."""

    INHIBIT = "inhibit"
    SILENCE = "silence"
    DEDUPE = "dedupe"
    WAIT = "wait"
    ROUTE = "route"
    SEND = "send"
    RECORD = "record"


class Outcome(StrEnum):
    """What a stage decided."""

    HELD_BACK = "held back"
    NOBODY_TO_TELL = "nobody to tell"
    SOME_LEFT_OUT = "some left out"
    QUEUED = "queued"
    SENT = "sent"
    SENT_AGAIN = "sent, possibly a repeat"
    FAILED = "failed"
    GIVEN_UP = "given up"
    SUPERSEDED = "superseded"


@dataclass(slots=True)
class Alert:
    """A row of the table ``alerts``.

    ``id`` 0: not stored yet. ``value``, ``threshold``: at the last change of state or notification.
    ``escalates_from_ms``: from when the times of escalation steps count; None while the alert is held back. ``owes``:
    resolved, but those who were notified have not been told yet. ``decided``: the last decision, so that none is
    recorded twice.
    """

    id: int
    rule_id: int
    rule_name: str
    severity: Severity
    priority: int
    server_id: int
    server_name: str
    series: str
    state: str
    reason: str
    since_ms: int
    fired_ms: int | None = None
    resolved_ms: int | None = None
    value: float | None = None
    threshold: float | None = None
    no_data: bool = False
    flapping: bool = False
    acknowledged_ms: int | None = None
    acknowledged_by: str = ""
    acknowledged_comment: str = ""
    notified_ms: int | None = None
    escalated: int = 0
    escalates_from_ms: int | None = None
    owes: bool = False
    decided: str = ""

    @property
    def key(self) -> SeriesKey:
        """The series and server that it is about."""
        return SeriesKey(self.server_id, self.series)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a stage of the pipeline did with an alert, and why."""

    alert: Alert
    time_ms: int
    event: Event
    stage: Stage
    outcome: Outcome
    notes: tuple[Note, ...]

    @property
    def detail(self) -> str:
        """The notes as one English sentence."""
        return joined(self.notes)


@dataclass(slots=True)
class Draft:
    """A notification to be queued: the alerts of one group for one channel, most urgent first."""

    channel_id: int
    channel_name: str
    event: Event
    group: str
    alerts: list[Alert] = field(default_factory=list)

    @property
    def priority(self) -> int:
        """The priority of its most urgent alert."""
        return min(alert.priority for alert in self.alerts)
