"""What a rule can ask of samples. Each condition becomes one number a series, compared with a threshold."""

import math
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bongsu.alerts.fields import Duration, ms
from bongsu.core.units import DAY_MS, HOUR_MS, MINUTE_MS

# Longer windows belong to a forecast or a chart: at 10 s this is 2,160 samples a series in memory.
LONGEST_WINDOW_MS = 6 * HOUR_MS
LONGEST_HISTORY_MS = 30 * DAY_MS

# Made by the worker at each cycle for every server; not stored, so a preview has none.
CLOCK_SKEW = "server_clock_skew_seconds"

Metric = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,127}$", examples=["cpu_usage_ratio"])]
LabelPatterns = Annotated[
    dict[str, str],
    Field(max_length=16, description="Label name to a pattern as in a shell (`/data*`); all must match."),
]


class Function(StrEnum):
    """What a window of samples becomes."""

    AVG = "avg"
    MIN = "min"
    MAX = "max"
    LAST = "last"
    SUM = "sum"
    INCREASE = "increase"
    RATE = "rate"


class Operator(StrEnum):
    """How a value is compared with the threshold."""

    OVER = ">"
    AT_LEAST = ">="
    UNDER = "<"
    AT_MOST = "<="

    @property
    def upward(self) -> bool:
        """Whether larger is worse."""
        return self in (Operator.OVER, Operator.AT_LEAST)


class _Condition(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _OfSeries(_Condition):
    metric: Metric
    labels: LabelPatterns = {}
    without_labels: Annotated[
        dict[str, str], Field(max_length=16, description="Series that match any of these are left out.")
    ] = {}


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


class Threshold(_OfSeries):
    """A function over a window, compared with a value."""

    type: Literal["threshold"] = "threshold"
    function: Function = Function.AVG
    window: Duration = Field("5m", description="How far back samples count.")
    operator: Operator = Operator.OVER
    value: float
    recovery: float | None = Field(
        None, description="The alert ends on the good side of this; as `value` when left out (hysteresis)."
    )

    _numbers = field_validator("value", "recovery")(_finite)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        _check_window(self.window)
        _check_recovery(self.operator, self.value, self.recovery)
        return self


class Change(_OfSeries):
    """How much the function's value differs from what it was some time ago."""

    type: Literal["change"] = "change"
    function: Function = Function.AVG
    window: Duration = "5m"
    over: Duration = Field("1h", description="Compared with the window that ended so long ago.")
    relative: bool = Field(False, description="As a share of the earlier value: 0.5 is half as much again.")
    operator: Operator = Operator.OVER
    value: float
    recovery: float | None = None

    _numbers = field_validator("value", "recovery")(_finite)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        _check_window(self.window)
        if ms(self.window) + ms(self.over) > LONGEST_WINDOW_MS:
            raise ValueError("window and over together are longer than 6h")
        if ms(self.over) < ms(self.window):
            raise ValueError("over is shorter than window: the two windows would overlap")
        _check_recovery(self.operator, self.value, self.recovery)
        return self


class Forecast(_OfSeries):
    """When a line through the past reaches a value: "full within 24 h"."""

    type: Literal["forecast"] = "forecast"
    history: Duration = Field("12h", description="How far back the line looks; at most 72 points of it.")
    fit: Literal["robust", "linear"] = Field("robust", description="robust: Theil-Sen; linear: least squares.")
    operator: Operator = Operator.AT_LEAST
    value: float = Field(description="The value that must not be reached.")
    within: Duration = Field("24h", description="Alert when it will be reached so soon.")
    recovery_within: Duration | None = Field(None, description="End when it is further away; 1.5 x within by default.")
    only_from: float | None = Field(None, description="Only while the value is past this already.")

    _numbers = field_validator("value", "only_from")(_finite)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not 600_000 <= ms(self.history) <= LONGEST_HISTORY_MS:
            raise ValueError("history must be from 10m to 30d")
        if not MINUTE_MS <= ms(self.within) <= 365 * DAY_MS:
            raise ValueError("within must be from 1m to 365d")
        if self.recovery_within is not None and ms(self.recovery_within) < ms(self.within):
            raise ValueError("recovery_within is shorter than within: the alert would end while it should begin")
        return self

    @property
    def recovery_ms(self) -> int:
        """The alert ends when the value is further away than this."""
        return ms(self.recovery_within) if self.recovery_within else ms(self.within) * 3 // 2


class NoData(_OfSeries):
    """A series of a living server has had no sample for some time."""

    type: Literal["no_data"] = "no_data"
    after: Duration = "5m"

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not 1_000 <= ms(self.after) <= DAY_MS:
            raise ValueError("after must be from 1s to 24h")
        return self


class ServerDown(_Condition):
    """A server has sent nothing for ten of its intervals and the grace time."""

    type: Literal["server_down"] = "server_down"
    grace: Duration = "30s"

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if ms(self.grace) > DAY_MS:
            raise ValueError("grace is longer than a day")
        return self


Condition = Annotated[Threshold | Change | Forecast | NoData | ServerDown, Field(discriminator="type")]
SeriesCondition = Threshold | Change | Forecast | NoData


def _check_window(window: Duration) -> None:
    if not 1_000 <= ms(window) <= LONGEST_WINDOW_MS:
        raise ValueError("window must be from 1s to 6h")


def _check_recovery(operator: Operator, value: float, recovery: float | None) -> None:
    if recovery is None:
        return
    if recovery > value if operator.upward else recovery < value:
        side = "above" if operator.upward else "below"
        raise ValueError(f"recovery is {side} value: the alert would end while it should begin")
