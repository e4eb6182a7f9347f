"""Decides in each cycle which notifications to queue, and remembers what has been told."""

from collections.abc import Collection, Iterable, Mapping

from bongsu.alerts.alert import Alert, Event
from bongsu.alerts.fields import ms
from bongsu.alerts.pipeline import (
    DEDUPE_WINDOW_MS,
    GROUP_WAIT_MS,
    ChannelRoute,
    Context,
    Offer,
    Routed,
    offers_for,
    run,
)
from bongsu.alerts.ports import AlertKey, Changes, Remembered, Report, Store
from bongsu.alerts.rules import Rule


class Notifier:
    """The notifications of one worker's shards."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # All rules, also disabled and deleted ones: the end of their alerts has to be notified.
        self.rules: Mapping[int, Rule] = {}
        # Resolved alerts whose end has not been notified yet.
        self.owing: list[Alert] = []
        # When each firing was last notified; only as far back as dedupe looks.
        self._notified: dict[AlertKey, int] = {}
        # (event, group) -> when a message was last queued; only as far back as a group waits.
        self._told: dict[tuple[Event, str], int] = {}

    def take_over(self, stored: Remembered) -> None:
        """Continues from what is stored."""
        self.owing = [alert for alert in stored.open if alert.state == "resolved"]
        self._notified, self._told = stored.notified, {}

    async def notify(
        self,
        alerts: Collection[Alert],
        down: Mapping[int, Alert],
        tags: Mapping[int, dict[str, str]],
        now_ms: int,
        changes: Changes,
        report: Report,
    ) -> list[Alert]:
        """Adds what is due to ``changes``. Returns the alerts whose message tells their present value."""
        self._forget_old(now_ms)
        for alert in self.owing:
            if alert.rule_id not in self.rules and ("rule", alert.rule_id) not in report.skipped:
                alert.owes = False
                changes.change(alert)
        offers = offers_for([*alerts, *self.owing], self.rules, now_ms)
        told: list[Alert] = []
        channels: Mapping[str, ChannelRoute] = {}
        if offers:
            channels = await self._store.channels(report)
            context = Context(
                now_ms,
                channels,
                await self._store.silences(now_ms, report),
                down,
                tags,
                self._notified,
                self._told,
            )
            messages = run(offers, context)
            changes.decisions += context.decisions
            for decision in context.decisions:
                changes.change(decision.alert)
            self._keep_escalation_time(offers, context, changes)
            self._mark_queued(messages, now_ms, changes)
            self._mark_dropped(context.dropped, now_ms, changes)
            told = [
                offer.alert for message in messages for offer in message.offers if offer.event is not Event.RESOLVED
            ]
        self.owing = [alert for alert in self.owing if alert.owes]
        # Without any channel nobody wants to be told.
        untold = [alert for alert in alerts if alert.state == "firing" and alert.decided.startswith("fired:route:")]
        names = {rule_id: rule.channels for rule_id, rule in self.rules.items()}
        report.untold = sum(bool(channels or names.get(alert.rule_id)) for alert in untold)
        return told

    def _forget_old(self, now_ms: int) -> None:
        self._notified = {key: at_ms for key, at_ms in self._notified.items() if now_ms - at_ms < DEDUPE_WINDOW_MS}
        self._told = {key: at_ms for key, at_ms in self._told.items() if now_ms - at_ms < GROUP_WAIT_MS}

    def _keep_escalation_time(self, offers: Iterable[Offer], context: Context, changes: Changes) -> None:
        """While an alert is held back, its escalation waits, so that not all steps are due when the reason passes."""
        held = {id(offer) for offer in context.held}
        for offer in offers:
            alert = offer.alert
            if offer.event not in (Event.FIRED, Event.ESCALATED):
                continue
            if id(offer) in held:
                if alert.escalates_from_ms is not None:
                    alert.escalates_from_ms = None
                    changes.change(alert)
            elif alert.escalates_from_ms is None:
                passed = ms(offer.rule.escalation[offer.step - 1].after) if offer.event is Event.ESCALATED else 0
                alert.escalates_from_ms = context.now_ms - passed
                changes.change(alert)

    def _mark_queued(self, messages: list[Routed], now_ms: int, changes: Changes) -> None:
        for message in messages:
            changes.drafts.append(message.draft)
            self._told[message.draft.event, message.draft.group] = now_ms
            for offer in message.offers:
                alert = offer.alert
                alert.notified_ms = now_ms
                changes.change(alert)
                if offer.event is Event.RESOLVED:
                    alert.owes = False
                elif offer.event is Event.ESCALATED:
                    alert.escalated = offer.step
                else:
                    self._notified[alert.rule_id, alert.key] = now_ms

    def _mark_dropped(self, dropped: Iterable[Offer], now_ms: int, changes: Changes) -> None:
        """An escalation or a repeat that no channel takes must not be offered again in every cycle."""
        for offer in dropped:
            offer.alert.owes = False
            if offer.event is Event.ESCALATED:
                offer.alert.escalated = offer.step
            elif offer.event is Event.REPEATED:
                offer.alert.notified_ms = now_ms
            changes.change(offer.alert)
