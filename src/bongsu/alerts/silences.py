"""Silences and maintenance windows: once, or weekly in a time zone."""

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

# The last moment of year 9999, the end of Python's dates.
LATEST_MS = 253_402_300_799_000
# PostgreSQL does not store NUL characters in text.
NO_NUL = r"^[^\x00]*$"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Weekly(_Part):
    """A window on some days of each week, which begins at a local time.

    Whole days of the duration are calendar days: 24h from midnight end at midnight, also on a day of 23 or 25 hours.
    The rest is exact: 1h lasts one hour. A start that the clocks skip is later by as much as they skip; of one that
    comes twice, the first counts. (RFC 5545, 3.3.6 has the same rules for P1D and PT1H.)
    """

    days: list[Day] = Field(default=list(DAYS), min_length=1, max_length=7)
    start: str = Field(
        pattern=r"^([01]\d|2[0-3]):[0-5]\d$",
        examples=["02:00"],
        description="Local time. Where the clocks skip it, the window begins as much later; where it comes twice, the "
        "first counts.",
    )
    duration: Duration = Field(
        examples=["2h"],
        description="1m to 7d. Whole days are calendar days, even if the clocks change; the rest is exact.",
    )
    timezone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not MINUTE_MS <= ms(self.duration) <= 7 * DAY_MS:
            raise ValueError("duration must be from 1m to 7d")
        return self

    def covers(self, now_ms: int) -> int | None:
        """When the window that contains ``now_ms`` ends; None outside all windows."""
        zone = zone_of(self.timezone)
        now = dt.datetime.fromtimestamp(now_ms / 1000, zone)
        days, rest_ms = divmod(ms(self.duration), DAY_MS)
        hour, minute = map(int, self.start.split(":"))
        ends = []
        for days_ago in range(days + 2):
            day = now.date() - dt.timedelta(days=days_ago)
            if DAYS[day.weekday()] not in self.days:
                continue
            start = dt.datetime.combine(day, dt.time(hour, minute))
            start_ms, end_ms = _unix_ms(start, zone), _unix_ms(start + dt.timedelta(days), zone) + rest_ms
            if start_ms <= now_ms < end_ms:
                ends.append(end_ms)
        return max(ends, default=None)


def _unix_ms(local: dt.datetime, zone: dt.tzinfo) -> int:
    return round(local.replace(tzinfo=zone).timestamp() * 1000)


class Silence(_Part):
    """What to silence and when: between two moments, weekly, or weekly between two moments."""

    kind: Literal["silence", "maintenance"] = "silence"
    comment: str = Field("", max_length=1_000, pattern=NO_NUL)
    scope: Scope = Scope()
    rules: list[str] = Field([], max_length=100, description="Shell patterns of rule names; empty: every rule.")
    severities: list[Severity] = Field([], description="Empty: every severity.")
    series: str = Field("", max_length=1_000, description="Shell pattern of the series as text; empty: every series.")
    starts_ms: int = Field(0, ge=0, le=LATEST_MS)
    ends_ms: int | None = Field(None, ge=0, le=LATEST_MS, description="null: no end; only with weekly windows.")
    weekly: Weekly | None = None

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.ends_ms is None and self.weekly is None:
            raise ValueError("a silence needs an end or a weekly window, or it would be forgotten")
        if self.ends_ms is not None and self.ends_ms <= self.starts_ms:
            raise ValueError("ends_ms must be after starts_ms")
        return self

    def until(self, now_ms: int) -> int | None:
        """When it ends, if it is active at ``now_ms``; None if it is not."""
        if now_ms < self.starts_ms or (self.ends_ms is not None and now_ms >= self.ends_ms):
            return None
        if self.weekly is None:
            return self.ends_ms
        end = self.weekly.covers(now_ms)
        return None if end is None else min(end, self.ends_ms or end)

    def matches(self, alert: Alert, tags: dict[str, str]) -> bool:
        """Whether it covers an alert, regardless of the time."""
        return (
            self.scope.covers(alert.server_id, alert.server_name, tags)
            and (not self.rules or any(fnmatchcase(alert.rule_name, pattern) for pattern in self.rules))
            and (not self.severities or alert.severity in self.severities)
            and (not self.series or fnmatchcase(alert.series, self.series))
        )
