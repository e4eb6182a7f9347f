"""What the stages share."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bongsu.alerts.alert import Alert, Decision, Draft, Event
from bongsu.alerts.rules import Rule, Severity
from bongsu.alerts.silences import Silence
from bongsu.alerts.state import Key


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """What routing needs of a channel."""

    id: int
    name: str
    enabled: bool = True
    default: bool = False
    min_severity: Severity = Severity.INFO
    send_resolved: bool = True


@dataclass(slots=True)
class Offer:
    """An alert that is owed a notification. ``channels``: names; empty: the default channels. ``also``: who else."""

    alert: Alert
    event: Event
    rule: Rule
    channels: list[str]
    why: str = ""
    step: int = 0
    also: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Routed:
    """A draft and the offers in it."""

    draft: Draft
    offers: list[Offer]


@dataclass(slots=True)
class Context:
    """What is so at this cycle, and what was decided in it."""

    now_ms: int
    channels: Mapping[str, ChannelInfo] = field(default_factory=dict)
    silences: Mapping[int, Silence] = field(default_factory=dict)
    # Server id -> the alert that says that it is down.
    down: Mapping[int, Alert] = field(default_factory=dict)
    tags: Mapping[int, dict[str, str]] = field(default_factory=dict)
    # When a firing of (rule, key) was last told.
    told: Mapping[tuple[int, Key], int] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    # Offers that will not be made again.
    dropped: list[Offer] = field(default_factory=list)

    def decide(self, offer: Offer, stage: str, outcome: str, detail: str) -> None:
        """Records why; the same as the last time is recorded once."""
        alert = offer.alert
        decided = f"{offer.event}:{stage}:{outcome}:{detail}"[:200]
        # Each queued notification counts, also when the one before said the same.
        if alert.decided != decided or stage == "send":
            alert.decided = decided
            self.decisions.append(Decision(alert, self.now_ms, offer.event, stage, outcome, detail))
