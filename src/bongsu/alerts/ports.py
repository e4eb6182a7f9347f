"""What the alerts package needs from outside; the server implements it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from bongsu.alerts.alert import Alert, Decision, Draft
from bongsu.alerts.fleet import Fleet
from bongsu.alerts.pipeline import ChannelRoute
from bongsu.alerts.rules import Rule
from bongsu.alerts.silences import Silence
from bongsu.alerts.state import SeriesKey


class Acknowledgement(NamedTuple):
    """A person has taken charge of an alert."""

    at_ms: int
    by: str
    comment: str


@dataclass(slots=True)
class Changes:
    """What a cycle changes. ``changed``: new alerts (id 0; the store sets it) and changed ones. ``withdrawn``: pending
    alerts that never fired."""

    changed: list[Alert] = field(default_factory=list)
    withdrawn: list[Alert] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.changed or self.withdrawn or self.decisions or self.drafts)


@dataclass(slots=True)
class Remembered:
    """What the database knows about a worker's shards when it takes them over."""

    # Pending and firing alerts, and resolved ones whose end has not been notified.
    open: list[Alert]
    # (rule id, key) -> when a notification of it was last queued.
    notified: dict[tuple[int, SeriesKey], int]
    # (rule id, key, time) of recent firings.
    firings: list[tuple[int, SeriesKey, int]]


class Store(Protocol):
    """Stores rules, channels, silences and alerts."""

    async def rules(self) -> Mapping[int, Rule] | None:
        """Enabled rules by id; None: unchanged since the last call."""

    async def channels(self) -> Mapping[str, ChannelRoute]:
        """All channels by name."""

    async def silences(self, now_ms: int) -> Mapping[int, Silence]:
        """Silences that have not ended, by id."""

    async def remembered(self, shards: Collection[int], now_ms: int) -> Remembered:
        """What is stored about the servers of these shards."""

    async def acknowledgements(self) -> Mapping[int, Acknowledgement]:
        """Acknowledgements of alerts that are not resolved, by alert id."""

    async def commit(self, changes: Changes, now_ms: int) -> None:
        """Stores the changes. The drafts and the marks on their alerts are stored in one transaction.

        Raises:
            BongsuError: nothing was stored, or only alerts that are not marked as notified.
        """


class Source(Protocol):
    """Provides servers and samples."""

    async def refresh(self, fleet: Fleet, shards: Collection[int], now_ms: int) -> bool:
        """Updates the servers and layouts of these shards. Returns whether any changed."""

    async def take_new(self, fleet: Fleet, now_ms: int) -> int:
        """Gives the fleet the frames that have arrived since the last call. Returns their number."""

    async def fill(self, fleet: Fleet, now_ms: int) -> None:
        """Fills windows that are still empty from stored history; stops after a few seconds."""
