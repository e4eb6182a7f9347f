"""What the alerts package needs from outside; the server implements it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from bongsu.alerts.alert import Alert, Decision, Draft
from bongsu.alerts.fleet import Fleet
from bongsu.alerts.pipeline import ChannelRoute
from bongsu.alerts.rules import Rule
from bongsu.alerts.silences import Silence
from bongsu.alerts.state import SeriesKey, Subject
from bongsu.core.events import Event, EventType

AlertKey = tuple[int, SeriesKey]  # rule id, series


class Acknowledgement(NamedTuple):
    """A person has taken charge of an alert."""

    at_ms: int
    by: str
    comment: str


@dataclass(slots=True)
class Changes:
    """What a cycle changes. ``withdrawn``: pending alerts that never fired. ``turned``: alerts that fired or resolved.
    ``events``: servers that went down or came back."""

    withdrawn: list[Alert] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    turned: list[tuple[EventType, Alert]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    # By identity, because new alerts have no id yet.
    _changed: dict[int, Alert] = field(default_factory=dict)

    def change(self, alert: Alert) -> None:
        """The alert is new (id 0; the store sets it) or has changed."""
        self._changed[id(alert)] = alert

    def withdraw(self, alert: Alert) -> None:
        """The alert never fired: nothing about it is kept."""
        self._changed.pop(id(alert), None)
        self.withdrawn.append(alert)

    @property
    def changed(self) -> list[Alert]:
        """New and changed alerts."""
        return list(self._changed.values())

    def __bool__(self) -> bool:
        return bool(self._changed or self.withdrawn or self.decisions or self.drafts or self.events)


@dataclass(slots=True)
class Report:
    """What a cycle tells about itself. ``skipped``: what it left out, and why. ``blind``: servers whose samples are not
    evaluated because they arrive late and irregularly. ``untold``: firing alerts that no channel takes."""

    skipped: dict[Subject, str] = field(default_factory=dict)
    blind: list[int] = field(default_factory=list)
    untold: int = 0


class RuleBook(NamedTuple):
    """The stored rules by id. ``known``: also disabled and deleted ones. ``unreadable``: why a document is none."""

    version: object
    enabled: Mapping[int, Rule]
    known: Mapping[int, Rule]
    unreadable: Mapping[int, str]


@dataclass(slots=True)
class Remembered:
    """What the database knows about a worker's shards when it takes them over."""

    # Pending and firing alerts, and resolved ones whose end has not been notified.
    open: list[Alert]
    # (rule id, key) -> when a notification of it was last queued.
    notified: dict[tuple[int, SeriesKey], int]
    # (rule id, key, time) of recent firings.
    firings: list[tuple[int, SeriesKey, int]]
    # When the shards were last evaluated, by whatever worker.
    evaluated_ms: int | None
    # The servers of which the last event is that they are down.
    down: Collection[int] = ()


class Store(Protocol):
    """Stores rules, channels, silences and alerts."""

    async def rules(self, version: object) -> RuleBook | None:
        """The rules; None if they still have this version."""

    async def channels(self, report: Report) -> Mapping[str, ChannelRoute]:
        """All channels by name, without those that cannot be read, which it reports."""

    async def silences(self, now_ms: int, report: Report) -> Mapping[int, Silence]:
        """Silences that have not ended, by id, without those that cannot be read, which it reports."""

    async def remembered(self, shards: Collection[int], now_ms: int) -> Remembered:
        """What is stored about the servers of these shards."""

    async def acknowledgements(self) -> Mapping[int, Acknowledgement]:
        """Acknowledgements of alerts that are not resolved, by alert id."""

    async def commit(self, changes: Changes, now_ms: int) -> None:
        """Stores the changes. The drafts and the marks on their alerts are stored in one transaction.

        Raises:
            BongsuError: nothing was stored, or only alerts that are not marked as notified.
        """

    async def report(self, report: Report, now_ms: int) -> None:
        """Stores that a cycle has ended well, and what it left out."""


class Source(Protocol):
    """Provides servers and samples."""

    async def refresh(
        self, fleet: Fleet, shards: Collection[int], now_ms: int, open_keys: Collection[SeriesKey], report: Report
    ) -> None:
        """Updates the servers and layouts of these shards. ``open_keys``: series with an alert, which are watched until
        it ends."""

    async def take_new(self, fleet: Fleet, now_ms: int) -> None:
        """Gives the fleet the frames that have arrived since the last call."""

    async def listening(self, now_ms: int) -> bool:
        """Whether frames can arrive: an API server runs."""

    async def answers(
        self, fleet: Fleet, rules: Mapping[int, Rule], now_ms: int, report: Report
    ) -> Mapping[int, Mapping[SeriesKey, float]]:
        """The answers to PromQL rules, by rule, of the servers of the fleet. Reports those that cannot be answered."""

    async def fill(self, fleet: Fleet, now_ms: int, report: Report) -> None:
        """Fills windows that are still empty from stored history; stops after a few seconds."""
