"""The notification pipeline: inhibit -> silence -> dedupe -> wait -> route -> group -> prioritise. The rest is queued.

Each stage takes offers and returns those that pass; for each offer that it holds back it records a decision with the
reason. An alert is offered again in every cycle while it needs a notification, so an offer that was held back is sent
when the reason has passed, if the alert still fires.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bongsu.alerts.alert import Alert, Decision, Draft, Event, Outcome, Stage
from bongsu.alerts.conditions import ServerDown
from bongsu.alerts.fields import ms
from bongsu.alerts.notes import Code, Note, joined, note
from bongsu.alerts.rules import Rule, Severity
from bongsu.alerts.silences import Silence
from bongsu.alerts.state import SeriesKey

# The same series of a rule is notified of firing once within this time.
DEDUPE_WINDOW_MS = 300_000
# After a message, further alerts of its group wait this long, so that a spreading outage is two messages, not ten.
GROUP_WAIT_MS = 60_000


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
    """An alert that needs a notification.

    ``channels``: names; empty: the default channels. ``why``: the reason for the notification. ``step``: the number of
    escalation steps taken after it. ``also``: channels that escalations have notified before.
    """

    alert: Alert
    event: Event
    rule: Rule
    channels: list[str]
    why: Note
    step: int = 0
    also: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Routed:
    """A draft and the offers in it."""

    draft: Draft
    offers: list[Offer]


@dataclass(slots=True)
class Context:
    """What the stages need to know in this cycle, and what they decided."""

    now_ms: int
    channels: Mapping[str, ChannelRoute] = field(default_factory=dict)
    silences: Mapping[int, Silence] = field(default_factory=dict)
    # Server id -> the alert that says that it is down.
    down: Mapping[int, Alert] = field(default_factory=dict)
    tags: Mapping[int, dict[str, str]] = field(default_factory=dict)
    # (rule id, series) -> when its firing was last notified.
    notified: Mapping[tuple[int, SeriesKey], int] = field(default_factory=dict)
    # (event, group) -> when a message was last queued.
    told: Mapping[tuple[Event, str], int] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    # Offers that inhibit, silence or dedupe held back.
    held: list[Offer] = field(default_factory=list)
    # Offers that must not be made again.
    dropped: list[Offer] = field(default_factory=list)

    def decide(self, offer: Offer, stage: Stage, outcome: Outcome, *notes: Note) -> None:
        """Records a decision, unless it repeats the last one about the alert."""
        alert = offer.alert
        decided = f"{offer.event}:{stage}:{outcome}:{joined(notes)}"[:200]
        # Every queued notification is recorded, even if it repeats the last decision.
        if alert.decided != decided or stage is Stage.SEND:
            alert.decided = decided
            self.decisions.append(Decision(alert, self.now_ms, offer.event, stage, outcome, notes))


def offers_for(alerts: Iterable[Alert], rules: Mapping[int, Rule], now_ms: int) -> list[Offer]:
    """The notifications that are due: alerts that fire, still fire, escalate or have resolved.

    Escalation does not wait for the first notification, which no channel may take.
    """
    offers = []
    for alert in alerts:
        rule = rules.get(alert.rule_id)
        if rule is None:
            continue
        if alert.state == "resolved":
            if alert.owes:
                also = [name for step in rule.escalation[: alert.escalated] for name in step.channels]
                offers.append(Offer(alert, Event.RESOLVED, rule, rule.channels, note(Code.IS_RESOLVED), also=also))
            continue
        if alert.state != "firing" or alert.fired_ms is None:
            continue
        if alert.notified_ms is None:
            offers.append(Offer(alert, Event.FIRED, rule, rule.channels, note(Code.FIRES)))
        if alert.acknowledged_ms is not None:
            continue
        if _escalates(alert, rule, now_ms):
            step = rule.escalation[alert.escalated]
            why = note(Code.NOT_ACKNOWLEDGED, after_seconds=ms(step.after) / 1000)
            offers.append(Offer(alert, Event.ESCALATED, rule, step.channels, why, alert.escalated + 1))
        elif alert.notified_ms is not None and 0 < ms(rule.repeat) <= now_ms - alert.notified_ms:
            why = note(Code.STILL_FIRES, after_seconds=ms(rule.repeat) / 1000)
            offers.append(Offer(alert, Event.REPEATED, rule, rule.channels, why))
    return offers


def _escalates(alert: Alert, rule: Rule, now_ms: int) -> bool:
    """Whether the next escalation step is due."""
    if alert.escalated >= len(rule.escalation):
        return False
    if alert.escalates_from_ms is None:
        # It is held back. If the first notification was sent before that, an escalation was due.
        return alert.notified_ms is not None
    return now_ms - alert.escalates_from_ms >= ms(rule.escalation[alert.escalated].after)


def run(offers: list[Offer], context: Context) -> list[Routed]:
    """Runs all stages. Returns the messages to queue, most urgent first; the decisions are in ``context``."""
    for stage in (inhibit, silence, dedupe, wait):
        offers = stage(offers, context)
    return prioritise(group(route(offers, context), context))


def inhibit(offers: list[Offer], context: Context) -> list[Offer]:
    """Holds back the other alerts of a server that is down: one message is enough. RESOLVED always passes."""
    kept = []
    for offer in offers:
        cause = context.down.get(offer.alert.server_id)
        if cause is None or offer.event is Event.RESOLVED or isinstance(offer.rule.condition, ServerDown):
            kept.append(offer)
        else:
            context.held.append(offer)
            why = note(Code.SERVER_IS_DOWN, alert_id=cause.id, rule=cause.rule_name)
            context.decide(offer, Stage.INHIBIT, Outcome.HELD_BACK, why)
    return kept


def silence(offers: list[Offer], context: Context) -> list[Offer]:
    """Holds back what a silence covers. RESOLVED always passes: those who were notified wait for it."""
    active = [
        (silence_id, silence, until_ms)
        for silence_id, silence in context.silences.items()
        if (until_ms := silence.until(context.now_ms))
    ]
    kept = []
    for offer in offers:
        tags = context.tags.get(offer.alert.server_id, {})
        cause = next((entry for entry in active if entry[1].matches(offer.alert, tags)), None)
        if cause is None or offer.event is Event.RESOLVED:
            kept.append(offer)
            continue
        silence_id, silence, until_ms = cause
        if silence.comment:
            why = note(
                Code.SILENCED_BECAUSE,
                kind=silence.kind,
                silence_id=silence_id,
                until_ms=until_ms,
                comment=silence.comment,
            )
        else:
            why = note(Code.SILENCED, kind=silence.kind, silence_id=silence_id, until_ms=until_ms)
        context.held.append(offer)
        context.decide(offer, Stage.SILENCE, Outcome.HELD_BACK, why)
    return kept


class DedupeReason(StrEnum):
    """Why dedupe passes an offer or holds it back."""

    FIRST = "first"
    WINDOW_PASSED = "window passed"
    DUPLICATE = "duplicate"
    OTHER_EVENT = "other event"


def dedupe_reason(offer: Offer, context: Context) -> DedupeReason:
    """Only FIRED is deduplicated: repeats, escalations and RESOLVED have their own timing."""
    if offer.event is not Event.FIRED:
        return DedupeReason.OTHER_EVENT
    notified_ms = context.notified.get((offer.alert.rule_id, offer.alert.key))
    if notified_ms is None:
        return DedupeReason.FIRST
    return DedupeReason.DUPLICATE if context.now_ms - notified_ms < DEDUPE_WINDOW_MS else DedupeReason.WINDOW_PASSED


def dedupe(offers: list[Offer], context: Context) -> list[Offer]:
    """Holds back a series that fires again within the window; if it still fires afterwards, it is sent."""
    kept = []
    for offer in offers:
        if dedupe_reason(offer, context) is DedupeReason.DUPLICATE:
            context.held.append(offer)
            why = note(Code.SENT_RECENTLY, window_seconds=DEDUPE_WINDOW_MS / 1000)
            context.decide(offer, Stage.DEDUPE, Outcome.HELD_BACK, why)
        else:
            kept.append(offer)
    return kept


def wait(offers: list[Offer], context: Context) -> list[Offer]:
    """Holds back alerts that fire or resolve soon after a message of their group, to send them together."""
    kept = []
    for offer in offers:
        told_ms = context.told.get((offer.event, group_key(offer)))
        waits = told_ms is not None and context.now_ms - told_ms < GROUP_WAIT_MS
        if told_ms is None or not waits or offer.event not in (Event.FIRED, Event.RESOLVED):
            kept.append(offer)
        else:
            why = note(Code.WAITS_FOR_GROUP, until_ms=told_ms + GROUP_WAIT_MS)
            context.decide(offer, Stage.WAIT, Outcome.HELD_BACK, why)
    return kept


def route(offers: list[Offer], context: Context) -> list[tuple[ChannelRoute, Offer]]:
    """Pairs each offer with its channels; if none of those that the rule names exists, with the default channels.
    Records the channels that do not exist or refuse the offer."""
    routed = []
    defaults = sorted(name for name, channel in context.channels.items() if channel.default)
    for offer in offers:
        names = offer.channels or defaults
        if not any(name in context.channels for name in names):
            names = [*names, *defaults]
        accepted: list[tuple[ChannelRoute, Offer]] = []
        refused: list[Note] = []
        for name in dict.fromkeys([*names, *offer.also]):
            channel = context.channels.get(name)
            problem = refusal(name, channel, offer)
            if problem is not None:
                refused.append(problem)
            elif channel is not None:
                accepted.append((channel, offer))
        if not accepted:
            context.decide(offer, Stage.ROUTE, Outcome.NOBODY_TO_TELL, *(refused or [note(Code.NO_CHANNEL)]))
            if offer.event is not Event.FIRED:
                context.dropped.append(offer)
        elif refused:
            context.decide(offer, Stage.ROUTE, Outcome.SOME_LEFT_OUT, *refused)
        routed += accepted
    return routed


def refusal(name: str, channel: ChannelRoute | None, offer: Offer) -> Note | None:
    """Why the channel of this name refuses an offer; None if it accepts."""
    if channel is None:
        return note(Code.CHANNEL_UNKNOWN, channel=name)
    if not channel.enabled:
        return note(Code.CHANNEL_DISABLED, channel=name)
    if offer.alert.severity.rank < channel.min_severity.rank:
        return note(Code.CHANNEL_WANTS_SEVERITY, channel=name, severity=channel.min_severity.value)
    if offer.event is Event.RESOLVED and not channel.send_resolved:
        return note(Code.CHANNEL_WANTS_NO_RESOLVED, channel=name)
    return None


def group(routed: list[tuple[ChannelRoute, Offer]], context: Context) -> list[Routed]:
    """Makes one draft for each channel, event and group, so that alerts of one cycle come in one message."""
    groups: dict[tuple[int, str, str], Routed] = {}
    for channel, offer in routed:
        key = group_key(offer)
        message = groups.setdefault(
            (channel.id, offer.event.value, key), Routed(Draft(channel.id, channel.name, offer.event, key), [])
        )
        message.draft.alerts.append(offer.alert)
        message.offers.append(offer)
    for message in groups.values():
        name, others = message.draft.channel_name, len(message.offers) - 1
        if others:
            to = note(Code.TO_CHANNEL_WITH_OTHERS, channel=name, count=others)
        else:
            to = note(Code.TO_CHANNEL, channel=name)
        for offer in message.offers:
            context.decide(offer, Stage.SEND, Outcome.QUEUED, offer.why, to)
    return list(groups.values())


def group_key(offer: Offer) -> str:
    """Offers with the same key come in one message."""
    alert = offer.alert
    match offer.rule.group_by:
        case "rule":
            return f"rule {alert.rule_id}"
        case "server":
            return f"server {alert.server_id}"
        case "series":
            return f"rule {alert.rule_id} server {alert.server_id} {alert.series}"


def urgency(alert: Alert) -> tuple[int, int, int, int]:
    """Sort key, most urgent first: by priority, then severity, then the time when it began."""
    return alert.priority, -alert.severity.rank, alert.since_ms, alert.id


def prioritise(messages: list[Routed]) -> list[Routed]:
    """Sorts the alerts of each message, and the messages, most urgent first."""
    for message in messages:
        message.draft.alerts.sort(key=urgency)
    return sorted(messages, key=lambda message: urgency(message.draft.alerts[0]))
