"""One evaluation cycle: reads new frames, advances the states of alerts, and queues notifications.

Memory holds what the database holds, and is ahead of it only within a cycle. When a commit fails, the cycle's memory is
discarded and read again.
"""

import math
from collections import defaultdict
from collections.abc import Collection

from bongsu.alerts.alert import Alert, Event
from bongsu.alerts.conditions import ServerDown
from bongsu.alerts.engine import Policy, advance
from bongsu.alerts.fleet import Fleet
from bongsu.alerts.measure import measure
from bongsu.alerts.pipeline import DEDUPE_WINDOW_MS, Context, Routed, offers_for, run
from bongsu.alerts.ports import Changes, Source, Store
from bongsu.alerts.rules import Rule
from bongsu.alerts.state import Move, Reason, SeriesKey, State, StoredState, Table, Transition
from bongsu.arrays import Values

AlertKey = tuple[int, SeriesKey]  # rule id, series


def finite_or_none(value: float) -> float | None:
    """For storage, which has neither NaN nor infinity."""
    return value if math.isfinite(value) else None


class Cycle:
    """Evaluates the rules for one worker's shards."""

    def __init__(self, store: Store, source: Source) -> None:
        self.fleet = Fleet()
        self._store = store
        self._source = source
        self._shards: frozenset[int] | None = None
        self._rules: dict[int, Rule] = {}
        # With deleted rules: the end of their alerts may still have to be notified.
        self._known_rules: dict[int, Rule] = {}
        self._policies: dict[int, Policy] = {}
        self._tables: dict[int, Table] = {}
        self._values: dict[int, Values] = {}
        # Pending and firing alerts.
        self._alerts: dict[AlertKey, Alert] = {}
        # Resolved alerts whose end has not been notified yet.
        self._owing: list[Alert] = []
        # When each firing was last notified; only as far back as dedupe looks.
        self._notified: dict[AlertKey, int] = {}
        self._loaded = False

    async def run(self, shards: Collection[int], now_ms: int) -> Changes:
        """Runs one cycle. Returns what it stored."""
        if self._shards != frozenset(shards):
            self._shards, self._loaded = frozenset(shards), False
        rules = await self._store.rules()
        if rules is not None:
            self._rules = dict(rules)
            self._known_rules |= self._rules
            self._policies = {rule_id: Policy.of(rule) for rule_id, rule in self._rules.items()}
        servers_changed = await self._source.refresh(self.fleet, self._shards, now_ms)
        if rules is not None:
            self.fleet.set_rules(self._rules)
        if not self._loaded:
            await self._load(now_ms)
        if servers_changed or rules is not None:
            self._rearrange_tables(now_ms)
        await self._source.take_new(self.fleet, now_ms)
        await self._source.fill(self.fleet, now_ms)
        try:
            changes = await self._evaluate(now_ms)
            if changes:
                await self._store.commit(changes, now_ms)
        except BaseException:
            self._loaded = False
            raise
        return changes

    async def _load(self, now_ms: int) -> None:
        """Reads the alerts of the shards from the store."""
        stored = await self._store.remembered(self._shards or (), now_ms)
        self._alerts = {(alert.rule_id, alert.key): alert for alert in stored.open if alert.state != "resolved"}
        self._owing = [alert for alert in stored.open if alert.state == "resolved"]
        self._notified = stored.notified
        states: dict[int, dict[SeriesKey, StoredState]] = defaultdict(dict)
        for (rule_id, key), alert in self._alerts.items():
            states[rule_id][key] = StoredState(
                State.FIRING if alert.state == "firing" else State.PENDING,
                alert.since_ms,
                alert.fired_ms or -1,
                alert.flapping,
                alert.no_data,
            )
        self._tables = {}
        for rule_id, watch in self.fleet.watches.items():
            table = self._tables[rule_id] = Table.of(watch.keys, now_ms)
            table.restore(states[rule_id])
        for rule_id, key, fired_ms in stored.firings:
            if rule_id in self._tables:
                self._tables[rule_id].firings.setdefault(key, []).append(fired_ms)
        self._loaded = True

    def _rearrange_tables(self, now_ms: int) -> None:
        """Adapts the tables to the keys that the rules watch now."""
        before = self._tables
        self._tables = {
            rule_id: before[rule_id].rearranged(watch.keys, now_ms)
            if rule_id in before
            else Table.of(watch.keys, now_ms)
            for rule_id, watch in self.fleet.watches.items()
        }

    async def _evaluate(self, now_ms: int) -> Changes:
        acknowledgements = await self._store.acknowledgements()
        for alert in self._alerts.values() if acknowledgements else ():
            if alert.id in acknowledgements:
                alert.acknowledged_ms, alert.acknowledged_by, alert.acknowledged_comment = acknowledgements[alert.id]
        changes = Changes()
        # By identity, because new alerts have no id yet.
        changed: dict[int, Alert] = {}
        self._end_unwatched(now_ms, changes, changed)
        for rule_id, policy in self._policies.items():
            readings = measure(self.fleet, rule_id, now_ms)
            self._tables[rule_id], transitions = advance(policy, self._tables[rule_id], readings, now_ms)
            self._values[rule_id] = readings.values
            for transition in transitions:
                self._apply(rule_id, transition, now_ms, changes, changed)
        await self._notify(now_ms, changes, changed)
        withdrawn = {id(alert) for alert in changes.withdrawn}
        changes.changed = [alert for alert in changed.values() if id(alert) not in withdrawn]
        return changes

    def _end_unwatched(self, now_ms: int, changes: Changes, changed: dict[int, Alert]) -> None:
        watched = {rule_id: set(watch.keys) for rule_id, watch in self.fleet.watches.items()} if self._alerts else {}
        for (rule_id, key), alert in list(self._alerts.items()):
            if key not in watched.get(rule_id, ()):
                nan = math.nan
                move = Move.RESOLVED if alert.state == "firing" else Move.WITHDRAWN
                end = Transition(key, move, Reason.NOT_WATCHED, nan, alert.threshold or nan, alert.since_ms)
                self._apply(rule_id, end, now_ms, changes, changed)

    def _apply(
        self, rule_id: int, transition: Transition, now_ms: int, changes: Changes, changed: dict[int, Alert]
    ) -> None:
        alert_key = rule_id, transition.key
        alert = self._alerts.get(alert_key)
        if alert is None:
            alert = self._alerts[alert_key] = self._new_alert(rule_id, transition)
        alert.reason = transition.reason.value
        alert.value, alert.threshold = finite_or_none(transition.value), finite_or_none(transition.threshold)
        changed[id(alert)] = alert
        match transition.move:
            case Move.PENDING:
                alert.state = "pending"
            case Move.FIRED:
                alert.state, alert.fired_ms = "firing", now_ms
                alert.flapping, alert.no_data = transition.flapping, transition.reason is Reason.NO_DATA
            case Move.WITHDRAWN:
                del self._alerts[alert_key]
                changes.withdrawn.append(alert)
            case Move.RESOLVED:
                del self._alerts[alert_key]
                alert.state, alert.resolved_ms = "resolved", now_ms
                alert.owes = alert.notified_ms is not None
                if alert.owes:
                    self._owing.append(alert)

    def _new_alert(self, rule_id: int, transition: Transition) -> Alert:
        rule, server = self._rules[rule_id], self.fleet.servers[transition.key.server_id]
        return Alert(
            0,
            rule_id,
            rule.name,
            rule.severity,
            rule.effective_priority,
            server.id,
            server.name,
            transition.key.series,
            "pending",
            transition.reason.value,
            transition.since_ms,
        )

    async def _notify(self, now_ms: int, changes: Changes, changed: dict[int, Alert]) -> None:
        self._notified = {
            alert_key: notified_ms
            for alert_key, notified_ms in self._notified.items()
            if now_ms - notified_ms < DEDUPE_WINDOW_MS
        }
        for alert in self._owing:
            if alert.rule_id not in self._known_rules:
                alert.owes = False
                changed[id(alert)] = alert
        offers = offers_for([*self._alerts.values(), *self._owing], self._known_rules, now_ms)
        if not offers:
            return
        context = Context(
            now_ms,
            await self._store.channels(),
            await self._store.silences(now_ms),
            self._down(),
            {server.id: server.tags for server in self.fleet.servers.values()},
            self._notified,
        )
        messages = run(offers, context)
        changes.decisions += context.decisions
        for decision in context.decisions:
            changed[id(decision.alert)] = decision.alert
        self._mark_queued(messages, now_ms, changes, changed)
        for offer in context.dropped:
            # An escalation or a repeat that no channel takes must not be offered again in every cycle.
            changed[id(offer.alert)] = offer.alert
            offer.alert.owes = False
            if offer.event is Event.ESCALATED:
                offer.alert.escalated = offer.step
            elif offer.event is Event.REPEATED:
                offer.alert.notified_ms = now_ms
        self._owing = [alert for alert in self._owing if alert.owes]

    def _mark_queued(self, messages: list[Routed], now_ms: int, changes: Changes, changed: dict[int, Alert]) -> None:
        for message in messages:
            changes.drafts.append(message.draft)
            for offer in message.offers:
                alert = offer.alert
                alert.notified_ms = now_ms
                changed[id(alert)] = alert
                if offer.event is Event.RESOLVED:
                    alert.owes = False
                elif offer.event is Event.ESCALATED:
                    alert.escalated = offer.step
                else:
                    self._notified[alert.rule_id, alert.key] = now_ms
        self._refresh_values(
            [offer.alert for message in messages for offer in message.offers if offer.event is not Event.RESOLVED]
        )

    def _refresh_values(self, alerts: list[Alert]) -> None:
        """Sets the present values: a message tells the value of now, not of when the alert fired."""
        for rule_id in {alert.rule_id for alert in alerts}:
            values = dict(zip(self._tables[rule_id].keys, self._values[rule_id].tolist(), strict=True))
            for alert in alerts:
                if alert.rule_id == rule_id and alert.key in values:
                    value = finite_or_none(values[alert.key])
                    alert.value = alert.value if value is None else value

    def _down(self) -> dict[int, Alert]:
        """Server id -> the alert that says that the server is down."""
        return {
            key.server_id: alert
            for (rule_id, key), alert in self._alerts.items()
            if alert.state == "firing"
            and rule_id in self._rules
            and isinstance(self._rules[rule_id].condition, ServerDown)
        }
