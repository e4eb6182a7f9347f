"""One look at everything: new frames in, states on, notifications queued.

Memory holds what the database holds, and runs ahead of it only within a cycle: when a commit fails, what is in memory
is thrown away and read again.
"""

import math
from collections import defaultdict
from collections.abc import Collection

from bongsu.alerts.alert import Alert, Event
from bongsu.alerts.conditions import ServerDown
from bongsu.alerts.engine import Policy, advance
from bongsu.alerts.fleet import Fleet
from bongsu.alerts.measure import measure
from bongsu.alerts.pipeline import WINDOW_MS, Context, offers, run
from bongsu.alerts.ports import Changes, Source, Store
from bongsu.alerts.rules import Rule
from bongsu.alerts.state import Move, Reason, SeriesKey, State, Stored, Table, Transition
from bongsu.arrays import Values

Id = tuple[int, SeriesKey]  # rule id, key


def number(value: float) -> float | None:
    """For storage: what is no finite number is none."""
    return value if math.isfinite(value) else None


class Cycle:
    """Evaluates one worker's shards."""

    def __init__(self, store: Store, source: Source) -> None:
        self.fleet = Fleet()
        self._store = store
        self._source = source
        self._shards: frozenset[int] | None = None
        self._rules: dict[int, Rule] = {}
        # Deleted ones as well: that their alerts are over has yet to be told.
        self._known: dict[int, Rule] = {}
        self._policies: dict[int, Policy] = {}
        self._tables: dict[int, Table] = {}
        self._values: dict[int, Values] = {}
        self._alerts: dict[Id, Alert] = {}
        # Resolved, and not told yet.
        self._owing: list[Alert] = []
        self._told: dict[Id, int] = {}
        self._loaded = False

    async def run(self, shards: Collection[int], now_ms: int) -> Changes:
        """One cycle. Returns what it stored."""
        if self._shards != frozenset(shards):
            self._shards, self._loaded = frozenset(shards), False
        rules = await self._store.rules()
        if rules is not None:
            self._rules = dict(rules)
            self._known |= self._rules
            self._policies = {number: Policy.of(rule) for number, rule in self._rules.items()}
        moved = await self._source.refresh(self.fleet, self._shards, now_ms)
        if rules is not None:
            self.fleet.set_rules(self._rules)
        if not self._loaded:
            await self._remember(now_ms)
        if moved or rules is not None:
            self._arrange(now_ms)
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

    async def _remember(self, now_ms: int) -> None:
        stored = await self._store.remembered(self._shards or (), now_ms)
        self._alerts = {(one.rule_id, one.key): one for one in stored.open if one.state != "resolved"}
        self._owing = [one for one in stored.open if one.state == "resolved"]
        self._told = stored.told
        states: dict[int, dict[SeriesKey, Stored]] = defaultdict(dict)
        for (rule_id, key), alert in self._alerts.items():
            state = State.FIRING if alert.state == "firing" else State.PENDING
            states[rule_id][key] = Stored(state, alert.since_ms, alert.fired_ms or -1, alert.flapping, alert.no_data)
        self._tables = {}
        for rule_id, watch in self.fleet.watches.items():
            table = self._tables[rule_id] = Table.of(watch.keys, now_ms)
            table.restore(states[rule_id])
        for rule_id, key, fired_ms in stored.firings:
            if rule_id in self._tables:
                self._tables[rule_id].firings.setdefault(key, []).append(fired_ms)
        self._loaded = True

    def _arrange(self, now_ms: int) -> None:
        """Tables for the keys that the rules have now."""
        old = self._tables
        self._tables = {
            rule_id: old[rule_id].rearranged(watch.keys, now_ms) if rule_id in old else Table.of(watch.keys, now_ms)
            for rule_id, watch in self.fleet.watches.items()
        }

    async def _evaluate(self, now_ms: int) -> Changes:
        acknowledged = await self._store.acknowledgements()
        for alert in self._alerts.values() if acknowledged else ():
            if alert.id in acknowledged:
                alert.acknowledged_ms, alert.acknowledged_by, alert.acknowledged_comment = acknowledged[alert.id]
        changes = Changes()
        touched: dict[int, Alert] = {}  # by identity: new ones have no id yet
        self._end_unwatched(now_ms, changes, touched)
        for rule_id, policy in self._policies.items():
            readings = measure(self.fleet, rule_id, now_ms)
            table, moves = advance(policy, self._tables[rule_id], readings, now_ms)
            self._tables[rule_id] = table
            self._values[rule_id] = readings.values
            for move in moves:
                self._apply(rule_id, move, now_ms, changes, touched)
        await self._notify(now_ms, changes, touched)
        gone = {id(alert) for alert in changes.withdrawn}
        changes.changed = [alert for alert in touched.values() if id(alert) not in gone]
        return changes

    def _end_unwatched(self, now_ms: int, changes: Changes, touched: dict[int, Alert]) -> None:
        watched = {rule_id: set(watch.keys) for rule_id, watch in self.fleet.watches.items()} if self._alerts else {}
        for (rule_id, key), alert in list(self._alerts.items()):
            if key not in watched.get(rule_id, ()):
                nan = math.nan
                move = Move.RESOLVED if alert.state == "firing" else Move.WITHDRAWN
                ended = Transition(key, move, Reason.NOT_WATCHED, nan, alert.threshold or nan, alert.since_ms)
                self._apply(rule_id, ended, now_ms, changes, touched)

    def _apply(self, rule_id: int, move: Transition, now_ms: int, changes: Changes, touched: dict[int, Alert]) -> None:
        alert = self._alerts.get((rule_id, move.key))
        if alert is None:
            alert = self._new(rule_id, move)
            self._alerts[rule_id, move.key] = alert
        alert.reason = move.reason.value
        alert.value, alert.threshold = number(move.value), number(move.threshold)
        touched[id(alert)] = alert
        match move.move:
            case Move.PENDING:
                alert.state = "pending"
            case Move.FIRED:
                alert.state, alert.fired_ms = "firing", now_ms
                alert.flapping, alert.no_data = move.flapping, move.reason is Reason.NO_DATA
            case Move.WITHDRAWN:
                del self._alerts[rule_id, move.key]
                changes.withdrawn.append(alert)
            case Move.RESOLVED:
                del self._alerts[rule_id, move.key]
                alert.state, alert.resolved_ms = "resolved", now_ms
                alert.owes = alert.notified_ms is not None
                if alert.owes:
                    self._owing.append(alert)

    def _new(self, rule_id: int, move: Transition) -> Alert:
        rule, server = self._rules[rule_id], self.fleet.servers[move.key.server_id]
        return Alert(
            0,
            rule_id,
            rule.name,
            rule.severity,
            rule.effective_priority,
            server.id,
            server.name,
            move.key.series,
            "pending",
            move.reason.value,
            move.since_ms,
        )

    async def _notify(self, now_ms: int, changes: Changes, touched: dict[int, Alert]) -> None:
        self._told = {one: at for one, at in self._told.items() if now_ms - at < WINDOW_MS}
        for alert in self._owing:
            if alert.rule_id not in self._known:
                alert.owes = False
                touched[id(alert)] = alert
        owed = offers([*self._alerts.values(), *self._owing], self._known, now_ms)
        if not owed:
            return
        context = Context(
            now_ms,
            await self._store.channels(),
            await self._store.silences(now_ms),
            self._down(),
            {server.id: server.tags for server in self.fleet.servers.values()},
            self._told,
        )
        routed = run(owed, context)
        changes.decisions += context.decisions
        for decision in context.decisions:
            touched[id(decision.alert)] = decision.alert
        for one in routed:
            changes.drafts.append(one.draft)
            for offer in one.offers:
                alert = offer.alert
                alert.notified_ms = now_ms
                touched[id(alert)] = alert
                if offer.event is Event.RESOLVED:
                    alert.owes = False
                elif offer.event is Event.ESCALATED:
                    alert.escalated = offer.step
                else:
                    self._told[alert.rule_id, alert.key] = now_ms
        self._refresh_values(
            [offer.alert for one in routed for offer in one.offers if offer.event is not Event.RESOLVED]
        )
        for offer in context.dropped:
            # An escalation to nobody must not come again at each cycle; nor may a repeat.
            touched[id(offer.alert)] = offer.alert
            offer.alert.owes = False
            if offer.event is Event.ESCALATED:
                offer.alert.escalated = offer.step
            elif offer.event is Event.REPEATED:
                offer.alert.notified_ms = now_ms
        self._owing = [alert for alert in self._owing if alert.owes]

    def _refresh_values(self, alerts: list[Alert]) -> None:
        """What is told is the value as it is now, not as it was when the alert fired."""
        for rule_id in {alert.rule_id for alert in alerts}:
            now = dict(zip(self._tables[rule_id].keys, self._values[rule_id].tolist(), strict=True))
            for alert in alerts:
                if alert.rule_id == rule_id and alert.key in now:
                    value = number(now[alert.key])
                    alert.value = alert.value if value is None else value

    def _down(self) -> dict[int, Alert]:
        return {
            key.server_id: alert
            for (rule_id, key), alert in self._alerts.items()
            if alert.state == "firing"
            and rule_id in self._rules
            and isinstance(self._rules[rule_id].condition, ServerDown)
        }
