"""Rules: what to watch, when to alert, and whom to notify.

A rule is the same document everywhere: in ``config/alerts.yml``, in the API and in the table.
"""

from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bongsu.alerts.conditions import Condition, PromQLCondition, SeriesCondition, ServerDown
from bongsu.alerts.fields import Duration, ms
from bongsu.core.series import Series
from bongsu.core.units import DAY_MS


class Severity(StrEnum):
    """How bad an alert is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Larger is worse."""
        return ("info", "warning", "critical").index(self.value)


# 1 is the most urgent.
PRIORITY_OF = {Severity.CRITICAL: 1, Severity.WARNING: 3, Severity.INFO: 5}

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")]
ChannelNames = Annotated[list[Name], Field(max_length=20)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Scope(_Part):
    """Which servers a rule or silence covers. Empty: all servers. All criteria that are set must match."""

    servers: list[int] = Field([], max_length=10_000, description="Server ids.")
    names: list[str] = Field([], max_length=100, description="Shell patterns of server names; one must match.")
    tags: dict[str, str] = Field({}, max_length=32, description="Tag names and shell patterns; all must match.")
    without_names: list[str] = Field([], max_length=100, description="Shell patterns of server names to exclude.")

    def covers(self, server_id: int, name: str, tags: dict[str, str]) -> bool:
        """Whether a server is covered. The case of names does not matter."""
        folded = name.casefold()
        return (
            (not self.servers or server_id in self.servers)
            and (not self.names or any(fnmatchcase(folded, pattern.casefold()) for pattern in self.names))
            and not any(fnmatchcase(folded, pattern.casefold()) for pattern in self.without_names)
            and all(tag in tags and fnmatchcase(tags[tag], pattern) for tag, pattern in self.tags.items())
        )


class NoDataPolicy(_Part):
    """What happens to an alert when its series has no samples while its server is up."""

    policy: Literal["keep", "resolve", "alert"] = Field(
        "resolve",
        description="keep: the alert keeps its state; resolve: it resolves; alert: it fires, even without a breach.",
    )
    after: Duration = Field("10m", description="The grace time without samples.")


class Escalation(_Part):
    """Whom else to notify when nobody acknowledges."""

    after: Duration = Field(description="Time since the alert fired.", examples=["15m"])
    channels: ChannelNames = Field(min_length=1)


class Rule(_Part):
    """A rule."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: Name
    description: str = Field("", max_length=1_000)
    enabled: bool = True
    severity: Severity = Severity.WARNING
    priority: int | None = Field(
        None, ge=1, le=5, description="1 is the most urgent. By default critical 1, warning 3, info 5."
    )
    scope: Scope = Scope()
    condition: Condition
    for_: Duration = Field("0s", alias="for", description="How long the condition must hold before the alert fires.")
    recover_for: Duration = Field(
        "0s", description="How long the value must be past the recovery threshold before the alert resolves."
    )
    no_data: NoDataPolicy = NoDataPolicy()
    channels: ChannelNames = Field([], description="Names of channels; empty: the default channels.")
    repeat: Duration = Field("4h", description="Repeat interval while nobody acknowledges; 0s: never.")
    group_by: Literal["rule", "server", "series"] = Field(
        "rule", description="Alerts of one evaluation that share this come in one message."
    )
    escalation: list[Escalation] = Field([], max_length=10)
    runbook: str = Field(
        "", max_length=500, pattern=r"^(https?://\S+)?$", description="URL of a page that says what to do."
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        for field, text in (
            ("for", self.for_),
            ("recover_for", self.recover_for),
            ("no_data.after", self.no_data.after),
        ):
            if ms(text) > DAY_MS:
                raise ValueError(f"{field} must not be longer than a day")
        if 0 < ms(self.repeat) < 300_000:
            raise ValueError("repeat must be 0s or at least 5m")
        steps = [ms(step.after) for step in self.escalation]
        if steps != sorted(set(steps)) or (steps and steps[0] <= 0):
            raise ValueError("escalation: each step must come later than the one before")
        return self

    @property
    def effective_priority(self) -> int:
        """The priority, or the default for the severity; 1 is the most urgent."""
        return self.priority or PRIORITY_OF[self.severity]

    @property
    def series_condition(self) -> SeriesCondition | None:
        """The condition, if it selects series; None if it is about the server as a whole, or PromQL."""
        return None if isinstance(self.condition, ServerDown | PromQLCondition) else self.condition

    def selects(self, series: Series) -> bool:
        """Whether the rule watches a series, regardless of its server."""
        condition = self.series_condition
        if condition is None or series.metric != condition.metric:
            return False
        labels = dict(series.labels)
        return all(
            name in labels and fnmatchcase(labels[name], pattern) for name, pattern in condition.labels.items()
        ) and (
            not any(
                name in labels and fnmatchcase(labels[name], pattern)
                for name, pattern in condition.without_labels.items()
            )
        )

    def document(self) -> dict[str, Any]:
        """The rule as people write it, without defaults."""
        document: dict[str, Any] = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        document["condition"] = {"type": self.condition.type} | document["condition"]
        return document
