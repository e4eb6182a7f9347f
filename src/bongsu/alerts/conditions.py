"""The conditions of rules. Each yields one number per series, which is compared with a threshold."""

import math
from enum import StrEnum
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bongsu.alerts.fields import Duration, ms
from bongsu.core.units import DAY_MS, HOUR_MS, MINUTE_MS

# At an interval of 10 s this is 2,160 samples per series in memory. Longer windows are a job for a forecast.
LONGEST_WINDOW_MS = 6 * HOUR_MS
LONGEST_HISTORY_MS = 30 * DAY_MS

# The worker measures it for every server when frames arrive.
CLOCK_SKEW = "server_clock_skew_seconds"
# The API server tells it of Bongsu itself: 1 for each problem in `/api/health`, 0 when it has passed.
PROBLEM = "bongsu_problem"
# They are not stored, so a preview has no values.
COMPUTED = frozenset({CLOCK_SKEW, PROBLEM})

Metric = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]{0,255}$", examples=["cpu_usage_ratio"])]
LabelPatterns = Annotated[
    dict[str, str],
    Field(max_length=16, description="Label names and shell patterns (`/data*`); all must match."),
]


class Function(StrEnum):
    """How a window of samples becomes one value."""

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
        dict[str, str],
        Field(max_length=16, description="Label names and shell patterns; series that match any are excluded."),
    ] = {}


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


class Operand(NamedTuple):
    """A further series that a threshold reads. ``place``: its key in the condition."""

    metric: str
    window: Duration
    place: str


class Comparison(_Condition):
    """A function over a window, compared with a value; also an entry of ``and``."""

    metric: Metric
    per: Metric | None = Field(
        None,
        description="Divide by this metric of the same server: by the series with the same labels or, if there is "
        "none, the one without labels, reduced by the same function (under `rate` and `increase`, a gauge by its "
        "latest value).",
        examples=["cpu_cores"],
    )
    function: Function = Function.AVG
    window: Duration = Field("5m", description="How far back the function looks.")
    operator: Operator = Operator.OVER
    value: float
    recovery: float | None = Field(
        None,
        description="The alert resolves when the value is back at this threshold; `value` if omitted (hysteresis).",
    )

    _numbers = field_validator("value", "recovery")(_finite)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        _check_window(self.window)
        _check_recovery(self.operator, self.value, self.recovery)
        return self


class Threshold(_OfSeries, Comparison):
    """A function over a window, compared with a value; together with others if there is ``and``."""

    model_config = ConfigDict(populate_by_name=True)

    type: Literal["threshold"] = "threshold"
    and_: list[Comparison] = Field(
        [],
        alias="and",
        max_length=4,
        description="What must hold as well, of the series with the same labels or, if there is none, the one without "
        "labels. The alert resolves when any of them is past its recovery threshold.",
    )

    @property
    def comparisons(self) -> list[Comparison]:
        """The threshold itself, and those of ``and``."""
        return [self, *self.and_]

    @property
    def operands(self) -> list[Operand]:
        """What it reads besides the series that it selects, in the order of the comparisons."""
        operands = []
        for index, comparison in enumerate(self.comparisons):
            place = f"and.{index - 1}." if index else ""
            if index:
                operands.append(Operand(comparison.metric, comparison.window, f"{place}metric"))
            if comparison.per is not None:
                operands.append(Operand(comparison.per, comparison.window, f"{place}per"))
        return operands


class Change(_OfSeries):
    """The difference between a function's value now and some time ago."""

    type: Literal["change"] = "change"
    function: Function = Function.AVG
    window: Duration = "5m"
    over: Duration = Field("1h", description="How long ago the window ended that the value is compared with.")
    relative: bool = Field(False, description="Compare the ratio to the earlier value: 0.5 is a rise by half.")
    operator: Operator = Operator.OVER
    value: float
    recovery: float | None = None

    _numbers = field_validator("value", "recovery")(_finite)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        _check_window(self.window)
        if ms(self.window) + ms(self.over) > LONGEST_WINDOW_MS:
            raise ValueError("window and over together must not be longer than 6h")
        if ms(self.over) < ms(self.window):
            raise ValueError("over must not be shorter than window: the two windows would overlap")
        _check_recovery(self.operator, self.value, self.recovery)
        return self


class Forecast(_OfSeries):
    """Extrapolates the trend and alerts when it reaches a value soon, for example "disk full within 24 h"."""

    type: Literal["forecast"] = "forecast"
    history: Duration = Field("12h", description="The line is fitted to at most 72 points of this time.")
    fit: Literal["robust", "linear"] = Field("robust", description="robust: Theil-Sen; linear: least squares.")
    operator: Operator = Operator.AT_LEAST
    value: float = Field(description="The limit, for example a usage of 1.0.")
    within: Duration = Field("24h", description="Alert when the limit will be reached within this time.")
    recovery_within: Duration | None = Field(
        None, description="Resolve when the limit is further away; 1.5 x within by default."
    )
    only_from: float | None = Field(None, description="Alert only while the value is past this.")

    _numbers = field_validator("value", "only_from")(_finite)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not 600_000 <= ms(self.history) <= LONGEST_HISTORY_MS:
            raise ValueError("history must be from 10m to 30d")
        if not MINUTE_MS <= ms(self.within) <= 365 * DAY_MS:
            raise ValueError("within must be from 1m to 365d")
        if self.recovery_within is not None and ms(self.recovery_within) < ms(self.within):
            raise ValueError(
                "recovery_within must not be shorter than within: the alert would resolve while it should fire"
            )
        return self

    @property
    def recovery_ms(self) -> int:
        """The alert resolves when the limit is further away than this."""
        return ms(self.recovery_within) if self.recovery_within else ms(self.within) * 3 // 2


class NoData(_OfSeries):
    """A series has had no sample for some time while its server is up."""

    type: Literal["no_data"] = "no_data"
    after: Duration = "5m"

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not 1_000 <= ms(self.after) <= DAY_MS:
            raise ValueError("after must be from 1s to 24h")
        return self


class ServerDown(_Condition):
    """A server has sent nothing for three of its intervals, but at least a minute, plus the grace time."""

    type: Literal["server_down"] = "server_down"
    grace: Duration = "0s"

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if ms(self.grace) > DAY_MS:
            raise ValueError("grace must not be longer than a day")
        return self


class PromQLCondition(_Condition):
    """A PromQL query, evaluated at each cycle. Every series of its answer that names a server, by the label `server` or
    `instance`, has an alert of its own: while it is there, or while its value is past `value` if that is given."""

    type: Literal["promql"] = "promql"
    query: str = Field(
        min_length=1,
        max_length=10_000,
        description="In PromQL, see docs/promql.md.",
        examples=["rate(http_requests_total{code=~'5..'}[5m]) > 1"],
    )
    operator: Operator = Operator.OVER
    value: float | None = Field(
        None, description="The threshold; without it, each series of the answer breaches the condition."
    )
    recovery: float | None = Field(
        None, description="The alert resolves when the value is back at this threshold; `value` if omitted."
    )

    _numbers = field_validator("value", "recovery")(_finite)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.value is None:
            if self.recovery is not None or self.operator is not Operator.OVER:
                raise ValueError("operator and recovery need a value")
        else:
            _check_recovery(self.operator, self.value, self.recovery)
        return self


Condition = Annotated[
    Threshold | Change | Forecast | NoData | ServerDown | PromQLCondition, Field(discriminator="type")
]
SeriesCondition = Threshold | Change | Forecast | NoData


def _check_window(window: Duration) -> None:
    if not 1_000 <= ms(window) <= LONGEST_WINDOW_MS:
        raise ValueError("window must be from 1s to 6h")


def _check_recovery(operator: Operator, value: float, recovery: float | None) -> None:
    if recovery is None:
        return
    if recovery > value if operator.upward else recovery < value:
        side = "above" if operator.upward else "below"
        raise ValueError(f"recovery must not be {side} value: the alert would resolve while it should fire")
