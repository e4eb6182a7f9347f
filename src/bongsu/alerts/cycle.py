"""One evaluation cycle: reads new frames, advances the states of alerts, and queues notifications.

Memory holds what the database holds, and is ahead of it only within a cycle. When a commit fails, the cycle's memory is
discarded and read again. Whatever cannot be evaluated (a rule, a document, a server) is left out and reported; it never
stops the rest.
"""

import logging
import math
from collections import defaultdict
from collections.abc import Collection, Mapping

import numpy as np

from bongsu.alerts.alert import Alert
from bongsu.alerts.conditions import PromQLCondition, ServerDown
from bongsu.alerts.engine import Policy, advance
from bongsu.alerts.fleet import Fleet
from bongsu.alerts.measure import measure
from bongsu.alerts.notifier import Notifier
from bongsu.alerts.ports import AlertKey, Changes, Remembered, Report, Source, Store
from bongsu.alerts.presence import Presence
from bongsu.alerts.rules import Rule
from bongsu.alerts.state import Move, Reason, State, StoredState, Subject, Table, Transition
from bongsu.arrays import Values
from bongsu.core.events import EventType

logger = logging.getLogger(__name__)

# A cycle that comes later than this many intervals after the last, but at least 10 s, is a pause of the worker, not a
# silence of the servers.
PAUSE_INTERVALS, LEAST_PAUSE_MS = 3, 10_000
# A backlog that is replayed for longer than this is worth a mention.
BLIND_MS = 300_000


def finite_or_none(value: float) -> float | None:
    """For storage, which has neither NaN nor infinity."""
    return value if math.isfinite(value) else None


class Cycle:
    """Evaluates the rules for one worker's shards, every ``every_ms``."""

    def __init__(self, store: Store, source: Source, every_ms: int = 10_000) -> None:
        self.fleet = Fleet()
        self._store = store
        self._source = source
        self._every_ms = every_ms
        self._pause_ms = max(PAUSE_INTERVALS * every_ms, LEAST_PAUSE_MS)
        self._notifier = Notifier(store)
        self._presence = Presence()
        self._shards: frozenset[int] | None = None
        self._version: object = None
        self._rules: Mapping[int, Rule] = {}
        # Rules whose documents cannot be read.
        self._unreadable: Mapping[int, str] = {}
        self._tables: dict[int, Table] = {}
        self._values: dict[int, Values] = {}
        # Pending and firing alerts.
        self._alerts: dict[AlertKey, Alert] = {}
        self._loaded = False
        # When the shards had last been evaluated before they were taken over.
        self._evaluated_ms: int | None = None
        # When frames were last read.
        self._looked_ms: int | None = None
        # What the last cycle left out, so that each problem is logged once.
        self._left_out: set[Subject] = set()

    async def run(self, shards: Collection[int], now_ms: int) -> Changes:
        """Runs one cycle. Returns what it stored."""
        if self._shards != frozenset(shards):
            self._shards, self._loaded = frozenset(shards), False
        try:
            report = Report()
            await self._read(self._shards, now_ms, report)
            changes = await self._evaluate(now_ms, report)
            if changes:
                await self._store.commit(changes, now_ms)
        except BaseException:
            self._loaded = False
            raise
        await self._tell(report, now_ms)
        return changes

    async def _read(self, shards: frozenset[int], now_ms: int, report: Report) -> None:
        """Reads rules, servers, alerts and frames. Each part is applied only when all of it has been read."""
        book = await self._store.rules(self._version)
        remembered = None if self._loaded else await self._store.remembered(shards, now_ms)
        open_keys = (
            {key for _, key in self._alerts}
            if remembered is None
            else {alert.key for alert in remembered.open if alert.state != "resolved"}
        )
        await self._source.refresh(self.fleet, shards, now_ms, open_keys, report)
        if book is not None:
            self.fleet.set_rules(book.enabled)
            self._rules, self._unreadable, self._version = book.enabled, book.unreadable, book.version
            self._notifier.rules = book.known
        if remembered is not None:
            self._restore(remembered, now_ms)
        self._rearrange_tables(now_ms)
        self._discount_pause(now_ms)
        await self._source.take_new(self.fleet, now_ms)
        self.fleet.deaf = not self.fleet.heard_at(now_ms) and not await self._source.listening(now_ms)
        if self.fleet.deaf:
            self.fleet.forgive_silence(now_ms)
        self._looked_ms = now_ms
        await self._source.fill(self.fleet, now_ms, report)
        await self._answer(now_ms, report)

    async def _answer(self, now_ms: int, report: Report) -> None:
        """Has the queries of PromQL rules answered, and watches what is in the answers."""
        rules = {rule_id: rule for rule_id, rule in self._rules.items() if isinstance(rule.condition, PromQLCondition)}
        if not rules:
            return
        answers = await self._source.answers(self.fleet, rules, now_ms, report)
        for rule_id, found in answers.items():
            self.fleet.answer(rule_id, found, {key for of, key in self._alerts if of == rule_id}, now_ms)
        self._rearrange_tables(now_ms)

    def _discount_pause(self, now_ms: int) -> None:
        """Neither a suspended or delayed worker nor a clock that was set makes the servers silent."""
        elapsed_ms = now_ms - self._looked_ms if self._looked_ms is not None else self._every_ms
        if 0 <= elapsed_ms <= self._pause_ms:
            return
        logger.warning("the evaluation of alerts paused for %.0f s, or the clock was set", elapsed_ms / 1000)
        self.fleet.paused(elapsed_ms - self._every_ms)
        for table in self._tables.values():
            table.seen += elapsed_ms - self._every_ms

    def _restore(self, stored: Remembered, now_ms: int) -> None:
        """Takes over the alerts of the shards."""
        self._alerts = {(alert.rule_id, alert.key): alert for alert in stored.open if alert.state != "resolved"}
        self._notifier.take_over(stored)
        self._presence.restore(stored.down)
        self._evaluated_ms = stored.evaluated_ms
        self._tables = {}
        self._rearrange_tables(now_ms)
        for rule_id, key, fired_ms in stored.firings:
            if rule_id in self._tables:
                self._tables[rule_id].firings.setdefault(key, []).append(fired_ms)
        self._loaded = True

    def _rearrange_tables(self, now_ms: int) -> None:
        """Adapts the tables to the keys that the rules watch now. A key that is new there but has an alert, because it
        was left out for a while or the worker has just started, continues its alert."""
        before, self._tables = self._tables, {}
        open_alerts: dict[int, list[Alert]] = defaultdict(list)
        for alert in self._alerts.values():
            open_alerts[alert.rule_id].append(alert)
        for rule_id, watch in self.fleet.watches.items():
            table = before.get(rule_id) or Table.of([], now_ms)
            if table.keys is not watch.keys and ("rule", rule_id) not in self.fleet.skipped:
                known = set(table.keys) if open_alerts[rule_id] else set()
                table = table.rearranged(watch.keys, now_ms)
                table.restore(
                    {alert.key: self._state_of(alert) for alert in open_alerts[rule_id] if alert.key not in known}
                )
            self._tables[rule_id] = table

    def _state_of(self, alert: Alert) -> StoredState:
        return StoredState(
            State.FIRING if alert.state == "firing" else State.PENDING,
            alert.since_ms,
            alert.fired_ms or -1,
            alert.flapping,
            alert.no_data,
            self._evaluated_ms or -1,
        )

    async def _evaluate(self, now_ms: int, report: Report) -> Changes:
        acknowledgements = await self._store.acknowledgements()
        for alert in self._alerts.values() if acknowledgements else ():
            if alert.id in acknowledgements:
                alert.acknowledged_ms, alert.acknowledged_by, alert.acknowledged_comment = acknowledgements[alert.id]
        report.skipped |= self.fleet.skipped | {("rule", rule_id): why for rule_id, why in self._unreadable.items()}
        self.fleet.skipped = {subject: why for subject, why in self.fleet.skipped.items() if subject[0] == "rule"}
        report.blind = [
            server.id
            for server in self.fleet.servers.values()
            if server.blind_since_ms is not None and now_ms - server.blind_since_ms >= BLIND_MS
        ]
        changes = Changes(events=self._presence.look(self.fleet, now_ms))
        self._end_unwatched(now_ms, changes, report)
        for rule_id in self._rules:
            if ("rule", rule_id) in report.skipped:
                continue
            try:
                policy, readings = Policy.of(self._rules[rule_id]), measure(self.fleet, rule_id, now_ms)
                # Evidence lasts at least until the next evaluation, however seldom that is.
                np.maximum(readings.lasts, self._pause_ms, out=readings.lasts)
                table, transitions = advance(policy, self._tables[rule_id], readings, now_ms)
            except Exception as error:
                report.skipped["rule", rule_id] = f"it cannot be evaluated: {type(error).__name__}"
                if ("rule", rule_id) not in self._left_out:
                    logger.exception("rule %d cannot be evaluated", rule_id)
                continue
            self._tables[rule_id], self._values[rule_id] = table, readings.values
            for transition in transitions:
                self._apply(rule_id, transition, now_ms, changes)
        tags = {server.id: server.tags for server in self.fleet.servers.values()}
        told = await self._notifier.notify(self._alerts.values(), self._down(), tags, now_ms, changes, report)
        self._refresh_values(told)
        return changes

    async def _tell(self, report: Report, now_ms: int) -> None:
        for subject, why in report.skipped.items():
            if subject not in self._left_out:
                logger.error("%s %d is left out of the alerts: %s", *subject, why)
        self._left_out = set(report.skipped)
        await self._store.report(report, now_ms)

    def _end_unwatched(self, now_ms: int, changes: Changes, report: Report) -> None:
        watched = {rule_id: set(watch.keys) for rule_id, watch in self.fleet.watches.items()} if self._alerts else {}
        for (rule_id, key), alert in list(self._alerts.items()):
            # What cannot be read now is no reason to end an alert.
            left_out = ("rule", rule_id) in report.skipped or ("server", key.server_id) in report.skipped
            if key not in watched.get(rule_id, ()) and not left_out:
                nan = math.nan
                move = Move.RESOLVED if alert.state == "firing" else Move.WITHDRAWN
                end = Transition(key, move, Reason.NOT_WATCHED, nan, alert.threshold or nan, alert.since_ms)
                self._apply(rule_id, end, now_ms, changes)

    def _apply(self, rule_id: int, transition: Transition, now_ms: int, changes: Changes) -> None:
        alert_key = rule_id, transition.key
        alert = self._alerts.get(alert_key)
        if alert is None:
            alert = self._alerts[alert_key] = self._new_alert(rule_id, transition)
        alert.reason = transition.reason.value
        alert.value, alert.threshold = finite_or_none(transition.value), finite_or_none(transition.threshold)
        match transition.move:
            case Move.PENDING:
                alert.state, alert.since_ms = "pending", transition.since_ms
            case Move.FIRED:
                alert.state, alert.fired_ms, alert.escalates_from_ms = "firing", now_ms, now_ms
                alert.since_ms = transition.since_ms
                alert.flapping, alert.no_data = transition.flapping, transition.reason is Reason.NO_DATA
                changes.turned.append((EventType.ALERT_FIRED, alert))
            case Move.WITHDRAWN:
                del self._alerts[alert_key]
                changes.withdraw(alert)
                return
            case Move.RESOLVED:
                del self._alerts[alert_key]
                alert.state, alert.resolved_ms = "resolved", now_ms
                alert.owes = alert.notified_ms is not None
                changes.turned.append((EventType.ALERT_RESOLVED, alert))
                if alert.owes:
                    self._notifier.owing.append(alert)
        changes.change(alert)

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

    def _refresh_values(self, alerts: Collection[Alert]) -> None:
        """Sets the present values: a message tells the value of now, not of when the alert fired."""
        for rule_id in {alert.rule_id for alert in alerts} & self._values.keys():
            values = dict(zip(self._tables[rule_id].keys, self._values[rule_id].tolist(), strict=False))
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
