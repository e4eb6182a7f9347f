"""What alerts need of the rest; the server implements it."""

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
    """Somebody looks after an alert."""

    at_ms: int
    by: str
    comment: str


@dataclass(slots=True)
class Changes:
    """What a cycle leads to. ``changed``: new (id 0, set by the store) or changed alerts; ``withdrawn``: pending ones
    that never fired."""

    changed: list[Alert] = field(default_factory=list)
    withdrawn: list[Alert] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.changed or self.withdrawn or self.decisions or self.drafts)


@dataclass(slots=True)
class Remembered:
    """What was stored of a worker's share before it began."""

    open: list[Alert]
    # (rule, key) -> when its firing was last told.
    told: dict[tuple[int, SeriesKey], int]
    # (rule, key, time) of what fired lately.
    firings: list[tuple[int, SeriesKey, int]]


class Store(Protocol):
    """Rules, channels, silences and alerts."""

    async def rules(self) -> Mapping[int, Rule] | None:
        """The rules that are switched on, by id; None: as the last time."""

    async def channels(self) -> Mapping[str, ChannelRoute]:
        """By name."""

    async def silences(self, now_ms: int) -> Mapping[int, Silence]:
        """Those that are not over, by id."""

    async def remembered(self, shards: Collection[int], now_ms: int) -> Remembered:
        """The alerts of these shards' servers."""

    async def acknowledgements(self) -> Mapping[int, Acknowledgement]:
        """Of alerts that are not over, by id."""

    async def commit(self, changes: Changes, now_ms: int) -> None:
        """Stores all of it; the drafts in one transaction with what they say of their alerts.

        Raises:
            BongsuError: nothing, or only whole alerts without their drafts, was stored.
        """


class Source(Protocol):
    """Servers and samples."""

    async def refresh(self, fleet: Fleet, shards: Collection[int], now_ms: int) -> bool:
        """Brings servers and layouts of these shards up to date. Returns whether something changed."""

    async def take_new(self, fleet: Fleet, now_ms: int) -> int:
        """Gives the fleet the frames that came since the last time. Returns how many."""

    async def fill(self, fleet: Fleet, now_ms: int) -> None:
        """Gives the fleet stored history for windows that wait for it, for some seconds at most."""
