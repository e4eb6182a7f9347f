"""The way of a notification: inhibit -> silence -> dedupe -> route -> group -> prioritise; then it is queued.

Each stage takes offers and returns those that go on; for an offer that it holds back it records a decision with the
reason. An alert is offered again at each cycle as long as it is owed a notification, so what is held back goes out when
the reason passes, if the alert still fires.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bongsu.alerts.alert import Alert, Decision, Draft, Event
from bongsu.alerts.conditions import ServerDown
from bongsu.alerts.fields import ms
from bongsu.alerts.rules import Rule, Severity
from bongsu.alerts.silences import Silence
from bongsu.alerts.state import SeriesKey

# The same firing is told once within this window.
WINDOW_MS = 300_000


@dataclass(frozen=True, slots=True)
class ChannelRoute:
    """What routing needs to know of a channel."""

    id: int
    name: str
    enabled: bool = True
    default: bool = False
    min_severity: Severity = Severity.INFO
    send_resolved: bool = True


@dataclass(slots=True)
class Offer:
    """An alert that is owed a notification.

    ``channels``: names; empty: the default channels. ``why``: what the notification says anew. ``step``: how many
    escalation steps will have been taken. ``also``: channels that were told earlier by escalation.
    """

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
    """What the stages know in this cycle, and what they decided."""

    now_ms: int
    channels: Mapping[str, ChannelRoute] = field(default_factory=dict)
    silences: Mapping[int, Silence] = field(default_factory=dict)
    # Server id -> the alert that says that it is down.
    down: Mapping[int, Alert] = field(default_factory=dict)
    tags: Mapping[int, dict[str, str]] = field(default_factory=dict)
    # When a firing of (rule, series) was last told.
    told: Mapping[tuple[int, SeriesKey], int] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    # Offers that will not be made again.
    dropped: list[Offer] = field(default_factory=list)

    def decide(self, offer: Offer, stage: str, outcome: str, detail: str) -> None:
        """Records a decision; one that repeats the last decision about the alert is recorded once."""
        alert = offer.alert
        decided = f"{offer.event}:{stage}:{outcome}:{detail}"[:200]
        # Every queued notification counts, even when the one before said the same.
        if alert.decided != decided or stage == "send":
            alert.decided = decided
            self.decisions.append(Decision(alert, self.now_ms, offer.event, stage, outcome, detail))


def offers(alerts: Iterable[Alert], rules: Mapping[int, Rule], now_ms: int) -> list[Offer]:
    """The alerts that are owed a notification now: that they fire, still fire, escalate or are resolved. At most one
    offer for each alert and cycle."""
    made = []
    for alert in alerts:
        rule = rules.get(alert.rule_id)
        if rule is None:
            continue
        if alert.state == "resolved":
            if alert.owes:
                told = [name for step in rule.escalation[: alert.escalated] for name in step.channels]
                made.append(Offer(alert, Event.RESOLVED, rule, rule.channels, "it is over", also=told))
            continue
        if alert.state != "firing" or alert.fired_ms is None:
            continue
        if alert.notified_ms is None:
            made.append(Offer(alert, Event.FIRED, rule, rule.channels, "it fires"))
            continue
        if alert.acknowledged_ms is not None:
            continue
        step = alert.escalated
        if step < len(rule.escalation) and now_ms - alert.fired_ms >= ms(rule.escalation[step].after):
            why = f"nobody acknowledged it for {rule.escalation[step].after}"
            made.append(Offer(alert, Event.ESCALATED, rule, rule.escalation[step].channels, why, step + 1))
        elif 0 < ms(rule.repeat) <= now_ms - alert.notified_ms:
            made.append(Offer(alert, Event.REPEATED, rule, rule.channels, f"it still fires after {rule.repeat}"))
    return made


def run(made: list[Offer], context: Context) -> list[Routed]:
    """The drafts of notifications, the most urgent first; the decisions are in ``context``."""
    for stage in (inhibit, silence, dedupe):
        made = stage(made, context)
    return prioritise(group(route(made, context), context))


def inhibit(offers: list[Offer], context: Context) -> list[Offer]:
    """Holds back the other alerts of a server that is down: one message says it all. RESOLVED is always told."""
    kept = []
    for offer in offers:
        cause = context.down.get(offer.alert.server_id)
        if cause is None or offer.event is Event.RESOLVED or isinstance(offer.rule.condition, ServerDown):
            kept.append(offer)
        else:
            context.decide(offer, "inhibit", "held back", f"the server is down: alert {cause.id} ({cause.rule_name})")
    return kept


def silence(offers: list[Offer], context: Context) -> list[Offer]:
    """Holds back what a silence covers. A silenced RESOLVED is dropped: later it would be stale."""
    active = [
        (silence_id, silence, until_ms)
        for silence_id, silence in context.silences.items()
        if (until_ms := silence.until(context.now_ms))
    ]
    kept = []
    for offer in offers:
        tags = context.tags.get(offer.alert.server_id, {})
        cause = next((entry for entry in active if entry[1].matches(offer.alert, tags)), None)
        if cause is None:
            kept.append(offer)
            continue
        silence_id, silence, until_ms = cause
        end = dt.datetime.fromtimestamp(until_ms / 1000, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        comment = f": {silence.comment}" if silence.comment else ""
        context.decide(offer, "silence", "held back", f"{silence.kind} {silence_id} until {end}{comment}")
        if offer.event is Event.RESOLVED:
            context.dropped.append(offer)
    return kept


class DedupeReason(StrEnum):
    """Why dedupe lets an offer pass, or not."""

    FIRST = "first"
    WINDOW_PASSED = "window passed"
    TOLD_LATELY = "told lately"
    OTHER_EVENT = "other event"


def dedupe_reason(offer: Offer, context: Context) -> DedupeReason:
    """Only FIRED can come twice within the window: repeats, escalations and RESOLVED have their own timing."""
    if offer.event is not Event.FIRED:
        return DedupeReason.OTHER_EVENT
    told_ms = context.told.get((offer.alert.rule_id, offer.alert.key))
    if told_ms is None:
        return DedupeReason.FIRST
    return DedupeReason.TOLD_LATELY if context.now_ms - told_ms < WINDOW_MS else DedupeReason.WINDOW_PASSED


def dedupe(offers: list[Offer], context: Context) -> list[Offer]:
    """Holds back a series that fires again within the window; it is told if it still fires afterwards."""
    kept = []
    for offer in offers:
        if dedupe_reason(offer, context) is DedupeReason.TOLD_LATELY:
            context.decide(offer, "dedupe", "held back", "the same was told less than 5 minutes ago")
        else:
            kept.append(offer)
    return kept


def route(offers: list[Offer], context: Context) -> list[tuple[ChannelRoute, Offer]]:
    """One pair for each channel of an offer. A channel that is missing or refuses the offer is recorded."""
    routed = []
    for offer in offers:
        names = offer.channels or sorted(name for name, channel in context.channels.items() if channel.default)
        accepted, refused = [], []
        for name in dict.fromkeys([*names, *offer.also]):
            channel = context.channels.get(name)
            problem = refusal(channel, offer)
            if channel is None or problem:
                refused.append(f"{name}: {problem}")
            else:
                accepted.append((channel, offer))
        if not accepted:
            detail = "; ".join(refused) or "no channel is the default, and the rule names none"
            context.decide(offer, "route", "nobody to tell", detail)
            if offer.event is not Event.FIRED:
                context.dropped.append(offer)
        elif refused:
            context.decide(offer, "route", "some left out", "; ".join(refused))
        routed += accepted
    return routed


def refusal(channel: ChannelRoute | None, offer: Offer) -> str:
    """Why a channel does not take an offer; empty when it does."""
    if channel is None:
        return "there is no such channel"
    if not channel.enabled:
        return "switched off"
    if offer.alert.severity.rank < channel.min_severity.rank:
        return f"takes only {channel.min_severity.value} and worse"
    if offer.event is Event.RESOLVED and not channel.send_resolved:
        return "is not told when alerts are over"
    return ""


def group(routed: list[tuple[ChannelRoute, Offer]], context: Context) -> list[Routed]:
    """One draft for each channel, event and group: alerts of one cycle that belong together come in one message."""
    groups: dict[tuple[int, str, str], Routed] = {}
    for channel, offer in routed:
        key = group_key(offer)
        message = groups.setdefault(
            (channel.id, offer.event.value, key), Routed(Draft(channel.id, channel.name, offer.event, key), [])
        )
        message.draft.alerts.append(offer.alert)
        message.offers.append(offer)
    for message in groups.values():
        count = len(message.offers)
        for offer in message.offers:
            others = f", with {count - 1} other{'s' if count > 2 else ''} in one message" if count > 1 else ""
            context.decide(offer, "send", "queued", f"{offer.why}; to {message.draft.channel_name}{others}")
    return list(groups.values())


def group_key(offer: Offer) -> str:
    """What the alerts of one message share."""
    alert = offer.alert
    match offer.rule.group_by:
        case "rule":
            return f"rule {alert.rule_id}"
        case "server":
            return f"server {alert.server_id}"
        case "series":
            return f"rule {alert.rule_id} server {alert.server_id} {alert.series}"


def urgency(alert: Alert) -> tuple[int, int, int, int]:
    """Sort key, the most urgent first: priority, then severity, then what began first."""
    return alert.priority, -alert.severity.rank, alert.since_ms, alert.id


def prioritise(messages: list[Routed]) -> list[Routed]:
    """The most urgent first, within each message and among them."""
    for message in messages:
        message.draft.alerts.sort(key=urgency)
    return sorted(messages, key=lambda message: urgency(message.draft.alerts[0]))
