"""Silences and maintenance windows: what is not told, and when. Once, or again and again in a time zone."""

import datetime as dt
from fnmatch import fnmatchcase
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bongsu.alerts.alert import Alert
from bongsu.alerts.fields import Duration, TimeZone, ms, zone_of
from bongsu.alerts.rules import Scope, Severity
from bongsu.core.units import DAY_MS, MINUTE_MS

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

# The last moment that a date can be made of.
LATEST_MS = 253_402_300_799_000
# PostgreSQL has no text with a NUL in it.
NO_NUL = r"^[^\x00]*$"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Weekly(_Part):
    """Every week on these days, by the clock on the wall.

    The length is that of the wall clock: over a change to daylight saving time the window ends when the clock says so.
    A start that the clock leaps over is taken at the moment it leaps.
    """

    days: list[Day] = Field(default=list(DAYS), min_length=1, max_length=7)
    start: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["02:00"])
    duration: Duration = Field(examples=["2h"])
    timezone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not MINUTE_MS <= ms(self.duration) <= 7 * DAY_MS:
            raise ValueError("duration must be from 1m to 7d")
        return self

    def covers(self, now_ms: int) -> int | None:
        """When the window that ``now_ms`` falls in ends; None outside of every window."""
        zone = zone_of(self.timezone)
        now = dt.datetime.fromtimestamp(now_ms / 1000, zone)
        length = dt.timedelta(milliseconds=ms(self.duration))
        hour, minute = map(int, self.start.split(":"))
        ends = []
        for back in range(length.days + 2):
            day = now.date() - dt.timedelta(days=back)
            if DAYS[day.weekday()] not in self.days:
                continue
            wall = dt.datetime.combine(day, dt.time(hour, minute))
            start_ms, end_ms = _unix_ms(wall, zone), _unix_ms(wall + length, zone)
            if start_ms <= now_ms < end_ms:
                ends.append(end_ms)
        return max(ends, default=None)


def _unix_ms(wall: dt.datetime, zone: dt.tzinfo) -> int:
    return round(wall.replace(tzinfo=zone).timestamp() * 1000)


class Silence(_Part):
    """What is silenced and when: between two moments, weekly, or weekly between two moments."""

    kind: Literal["silence", "maintenance"] = "silence"
    comment: str = Field("", max_length=1_000, pattern=NO_NUL)
    scope: Scope = Scope()
    rules: list[str] = Field([], max_length=100, description="Patterns of rule names; empty: every rule.")
    severities: list[Severity] = Field([], description="Empty: every severity.")
    series: str = Field("", max_length=1_000, description="A pattern of the series as text; empty: every series.")
    starts_ms: int = Field(0, ge=0, le=LATEST_MS)
    ends_ms: int | None = Field(None, ge=0, le=LATEST_MS, description="null: without an end; weekly windows only.")
    weekly: Weekly | None = None

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.ends_ms is None and self.weekly is None:
            raise ValueError("a silence needs an end, or a weekly window: what is silenced for ever is forgotten")
        if self.ends_ms is not None and self.ends_ms <= self.starts_ms:
            raise ValueError("ends_ms must be after starts_ms")
        return self

    def until(self, now_ms: int) -> int | None:
        """When it ends, if it is in force now."""
        if now_ms < self.starts_ms or (self.ends_ms is not None and now_ms >= self.ends_ms):
            return None
        if self.weekly is None:
            return self.ends_ms
        end = self.weekly.covers(now_ms)
        return None if end is None else min(end, self.ends_ms or end)

    def matches(self, alert: Alert, tags: dict[str, str]) -> bool:
        """Whether an alert is meant, whatever the time."""
        return (
            self.scope.covers(alert.server_id, alert.server_name, tags)
            and (not self.rules or any(fnmatchcase(alert.rule_name, pattern) for pattern in self.rules))
            and (not self.severities or alert.severity in self.severities)
            and (not self.series or fnmatchcase(alert.series, self.series))
        )
