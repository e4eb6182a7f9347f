"""The state of a rule's alerts in columns, one entry per series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from bongsu.alerts.conditions import Operator
from bongsu.arrays import Flags, Times, Values


class State(IntEnum):
    """The state of a series. A resolved alert is only a record; its series is ok again."""

    OK = 0
    PENDING = 1
    FIRING = 2


class Reason(StrEnum):
    """Why a state changed."""

    BREACH = "breach"
    NO_DATA = "no_data"
    RECOVERED = "recovered"
    DATA_STOPPED = "data_stopped"
    # The rule was deleted, disabled or no longer covers the series, or the series no longer exists.
    NOT_WATCHED = "not_watched"


class SeriesKey(NamedTuple):
    """What an alert is about. ``series``: as text; empty for the server as a whole."""

    server_id: int
    series: str


# What an evaluation can leave out, with its id.
Subject = tuple[Literal["rule", "silence", "channel", "server"], int]


@dataclass(frozen=True, slots=True)
class Further:
    """A comparison of the same series that must hold as well. ``values``: (n,)."""

    operator: Operator
    values: Values
    threshold: float
    recovery: float


@dataclass(frozen=True, slots=True)
class Readings:
    """The values and thresholds of a rule's series at one moment; all (n,).

    ``values``: what the condition yields, NaN = no value. ``fresh``: the newest sample is recent enough to evaluate.
    ``known``: False while the window is still being filled or the server is silent; such a series keeps its state.
    ``lasts``: for how many ms a value is evidence; a later one continues it only within this time. ``further``: what
    must hold as well; without a value of each, there is none.
    """

    values: Values
    fresh: Flags
    known: Flags
    thresholds: Values
    recoveries: Values
    lasts: Times
    further: Sequence[Further] = ()


@dataclass(frozen=True, slots=True)
class StoredState:
    """The state of a stored alert. ``fired_ms``: -1 while pending. ``breached_ms``: when it was last seen to breach;
    -1: unknown."""

    state: State
    since_ms: int
    fired_ms: int = -1
    flapping: bool = False
    no_data: bool = False
    breached_ms: int = -1


@dataclass(slots=True)
class Table:
    """Entry i belongs to ``keys[i]``. Times are Unix ms; -1: none."""

    keys: list[SeriesKey]
    state: npt.NDArray[np.int8]
    # When the breach began.
    since: Times
    fired: Times
    # Since when a firing alert's value has been past the recovery threshold.
    clear: Times
    # When there was last a value, and one that breaches.
    seen: Times
    breached: Times
    no_data: Flags
    flapping: Flags
    # The last times that a series fired; only of series that did.
    firings: dict[SeriesKey, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, keys: list[SeriesKey], now_ms: int) -> "Table":
        """All series ok; the grace time for missing data begins now."""
        count = len(keys)
        return cls(
            keys,
            np.zeros(count, np.int8),
            np.full(count, -1, np.int64),
            np.full(count, -1, np.int64),
            np.full(count, -1, np.int64),
            np.full(count, now_ms, np.int64),
            np.full(count, -1, np.int64),
            np.zeros(count, np.bool_),
            np.zeros(count, np.bool_),
        )

    def rearranged(self, keys: list[SeriesKey], now_ms: int) -> "Table":
        """A table for other keys. Keys that remain keep their state; new ones are ok."""
        table = Table.of(keys, now_ms)
        place = {key: index for index, key in enumerate(self.keys)}
        pairs = [(new, place[key]) for new, key in enumerate(keys) if key in place]
        if pairs:
            new, old = (np.array(column, np.intp) for column in zip(*pairs, strict=True))
            for name in ("state", "since", "fired", "clear", "seen", "breached", "no_data", "flapping"):
                getattr(table, name)[new] = getattr(self, name)[old]
        table.firings = {key: times for key, times in self.firings.items() if key in place}
        return table

    def restore(self, stored_states: Mapping[SeriesKey, StoredState]) -> None:
        """Restores states after a restart. ``recover_for`` starts again for firing alerts."""
        for index, key in enumerate(self.keys if stored_states else ()):
            stored = stored_states.get(key)
            if stored is not None:
                self.state[index], self.since[index], self.fired[index] = stored.state, stored.since_ms, stored.fired_ms
                self.flapping[index], self.no_data[index] = stored.flapping, stored.no_data
                self.breached[index] = stored.breached_ms

    def copy(self) -> "Table":
        """A deep copy, except for the keys, which never change."""
        return Table(
            self.keys,
            self.state.copy(),
            self.since.copy(),
            self.fired.copy(),
            self.clear.copy(),
            self.seen.copy(),
            self.breached.copy(),
            self.no_data.copy(),
            self.flapping.copy(),
            {key: list(times) for key, times in self.firings.items()},
        )


class Move(StrEnum):
    """The kind of a transition."""

    PENDING = "pending"
    FIRED = "fired"
    WITHDRAWN = "withdrawn"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state of one series. ``since_ms``: when the breach began."""

    key: SeriesKey
    move: Move
    reason: Reason
    value: float
    threshold: float
    since_ms: int
    flapping: bool = False
