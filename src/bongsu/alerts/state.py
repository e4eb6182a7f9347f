"""The state of a rule's alerts: one entry a series, as columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bongsu.arrays import Flags, Times, Values


class State(IntEnum):
    """Where an alert stands; resolved is the end of firing and is kept in the record only."""

    OK = 0
    PENDING = 1
    FIRING = 2


class Reason(StrEnum):
    """Why a state changed."""

    BREACH = "breach"
    NO_DATA = "no_data"
    RECOVERED = "recovered"
    DATA_STOPPED = "data_stopped"
    # The rule was deleted, switched off, or does not cover the series any more; or the series is no more.
    NOT_WATCHED = "not_watched"


class SeriesKey(NamedTuple):
    """What an alert of a rule is about. ``series``: as text, empty for the server as a whole."""

    server_id: int
    series: str


@dataclass(frozen=True, slots=True)
class Readings:
    """What a rule's series say at one moment; all (n,).

    ``values``: the function's value, NaN = none. ``fresh``: the newest sample is recent enough to judge by.
    ``known``: judged at all; False while a window is still being filled or its server is silent.
    """

    values: Values
    fresh: Flags
    known: Flags
    thresholds: Values
    recoveries: Values


@dataclass(frozen=True, slots=True)
class Stored:
    """A pending or firing entry as it was stored. ``fired_ms``: -1 while pending."""

    state: State
    since_ms: int
    fired_ms: int = -1
    flapping: bool = False
    no_data: bool = False


@dataclass(slots=True)
class Table:
    """Entry i belongs to ``keys[i]``. Times in Unix ms; -1: not."""

    keys: list[SeriesKey]
    state: npt.NDArray[np.int8]
    # When the present state began; of a firing alert, when the breach did.
    since: Times
    fired: Times
    # Since when a firing alert is on the good side.
    clear: Times
    seen: Times
    no_data: Flags
    flapping: Flags
    # When an entry fired lately: only of those that did.
    firings: dict[SeriesKey, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, keys: list[SeriesKey], now_ms: int) -> "Table":
        """All is well; the grace time of missing data begins now."""
        count = len(keys)
        return cls(
            keys,
            np.zeros(count, np.int8),
            np.full(count, -1, np.int64),
            np.full(count, -1, np.int64),
            np.full(count, -1, np.int64),
            np.full(count, now_ms, np.int64),
            np.zeros(count, np.bool_),
            np.zeros(count, np.bool_),
        )

    def rearranged(self, keys: list[SeriesKey], now_ms: int) -> "Table":
        """The same states for other keys: entries that stay keep theirs, new ones are well."""
        made = Table.of(keys, now_ms)
        place = {key: index for index, key in enumerate(self.keys)}
        pairs = [(new, place[key]) for new, key in enumerate(keys) if key in place]
        if pairs:
            new, old = (np.array(column, np.intp) for column in zip(*pairs, strict=True))
            for name in ("state", "since", "fired", "clear", "seen", "no_data", "flapping"):
                getattr(made, name)[new] = getattr(self, name)[old]
        made.firings = {key: times for key, times in self.firings.items() if key in place}
        return made

    def restore(self, stored: Mapping[SeriesKey, "Stored"]) -> None:
        """Puts stored states back after a restart. The calm of a firing alert begins anew."""
        for index, key in enumerate(self.keys if stored else ()):
            one = stored.get(key)
            if one is not None:
                self.state[index], self.since[index], self.fired[index] = one.state, one.since_ms, one.fired_ms
                self.flapping[index], self.no_data[index] = one.flapping, one.no_data

    def copy(self) -> "Table":
        """One that can be changed without the other."""
        return Table(
            self.keys,
            self.state.copy(),
            self.since.copy(),
            self.fired.copy(),
            self.clear.copy(),
            self.seen.copy(),
            self.no_data.copy(),
            self.flapping.copy(),
            {key: list(times) for key, times in self.firings.items()},
        )


class Move(StrEnum):
    """What happened to an alert."""

    PENDING = "pending"
    FIRED = "fired"
    WITHDRAWN = "withdrawn"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Transition:
    """One change. ``since_ms``: when the breach began."""

    key: SeriesKey
    move: Move
    reason: Reason
    value: float
    threshold: float
    since_ms: int
    flapping: bool = False
