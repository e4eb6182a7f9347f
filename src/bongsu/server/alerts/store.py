"""Stores alerts: ``alerts.ports.Store`` on the database."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection

from bongsu.alerts.alert import Alert
from bongsu.alerts.engine import FLAP_WINDOW_MS
from bongsu.alerts.pipeline import DEDUPE_WINDOW_MS, ChannelRoute
from bongsu.alerts.ports import Acknowledgement, Changes, Remembered, Report, RuleBook
from bongsu.alerts.silences import Silence
from bongsu.server.alerts.channels import route_of
from bongsu.server.alerts.queries.alerts import (
    acknowledgements,
    delete_withdrawn,
    event_of,
    load_remembered,
    store_alerts,
)
from bongsu.server.alerts.queries.channels import load_channels
from bongsu.server.alerts.queries.decisions import store_decisions
from bongsu.server.alerts.queries.evaluations import store_evaluation
from bongsu.server.alerts.queries.notifications import queue_notifications
from bongsu.server.alerts.queries.rules import load_rules, rules_version
from bongsu.server.alerts.queries.silences import load_silences
from bongsu.server.database.database import Database
from bongsu.server.database.leases import Shares, check
from bongsu.server.fleet.events import store_events

# A hundred alerts take some 4 ms; ingest waits for the write lock no longer than that.
ALERTS_PER_TRANSACTION = 100


class DatabaseStore:
    """Writes only while the worker holds its leases."""

    def __init__(self, database: Database, shares: Shares) -> None:
        self._database = database
        self._shares = shares

    async def rules(self, version: object) -> RuleBook | None:
        present = await self._database.read(rules_version)
        if present == version:
            return None
        unreadable: dict[int, str] = {}
        stored_rules = await self._database.read(
            lambda connection: load_rules(connection, deleted=True, unreadable=unreadable)
        )
        enabled = {stored.id: stored.rule for stored in stored_rules if stored.rule.enabled and not stored.deleted}
        return RuleBook(present, enabled, {stored.id: stored.rule for stored in stored_rules}, unreadable)

    async def channels(self, report: Report) -> Mapping[str, ChannelRoute]:
        routes = {}
        for stored in await self._database.read(load_channels):
            try:
                routes[stored.name] = route_of(stored)
            except ValueError as error:
                report.skipped["channel", stored.id] = f"its document cannot be read: {type(error).__name__}"
        return routes

    async def silences(self, now_ms: int, report: Report) -> Mapping[int, Silence]:
        unreadable: dict[int, str] = {}
        stored_silences = await self._database.read(
            lambda connection: load_silences(connection, now_ms, unreadable=unreadable)
        )
        report.skipped |= {("silence", silence_id): why for silence_id, why in unreadable.items()}
        return {stored.id: stored.silence for stored in stored_silences}

    async def remembered(self, shards: Collection[int], now_ms: int) -> Remembered:
        return await self._database.read(
            lambda connection: load_remembered(connection, shards, now_ms - DEDUPE_WINDOW_MS, now_ms - FLAP_WINDOW_MS)
        )

    async def acknowledgements(self) -> Mapping[int, Acknowledgement]:
        return await self._database.read(acknowledgements)

    async def commit(self, changes: Changes, now_ms: int) -> None:
        names, owner = self._shares.names(), self._shares.owner
        # Alerts that are stored before their drafts must not be marked as notified yet.
        marks = [(alert, alert.notified_ms, alert.escalated, alert.owes) for alert in changes.changed]
        queued = {id(alert) for draft in changes.drafts for alert in draft.alerts}
        turned = {id(alert): kind for kind, alert in changes.turned}

        def store_changed(connection: Connection, changed: Sequence[Alert]) -> None:
            """Alerts with their events: once stored, an alert does not fire again."""
            store_alerts(connection, changed)
            happened = [(turned[id(alert)], alert) for alert in changed if id(alert) in turned]
            store_events(connection, [event_of(kind, alert, now_ms) for kind, alert in happened])

        one_transaction = len(changes.changed) <= ALERTS_PER_TRANSACTION
        for start in range(0, len(changes.changed), ALERTS_PER_TRANSACTION) if not one_transaction else ():
            part = changes.changed[start : start + ALERTS_PER_TRANSACTION]
            for alert in part:
                if id(alert) in queued:
                    alert.notified_ms, alert.owes = None, alert.state == "resolved"

            def store_part(connection: Connection, part=part) -> None:  # type: ignore[no-untyped-def]
                check(connection, names, owner)
                store_changed(connection, part)

            await self._database.write(store_part)
        for alert, notified_ms, escalated, owes in marks:
            alert.notified_ms, alert.escalated, alert.owes = notified_ms, escalated, owes

        def store_rest(connection: Connection) -> None:
            check(connection, names, owner)
            if one_transaction:
                store_changed(connection, changes.changed)
            delete_withdrawn(connection, changes.withdrawn)
            store_decisions(connection, changes.decisions)
            queue_notifications(connection, changes.drafts, now_ms)
            store_events(connection, changes.events)

        await self._database.write(store_rest)

    async def report(self, report: Report, now_ms: int) -> None:
        names, owner = self._shares.names(), self._shares.owner
        document = {
            "skipped": [[kind, subject_id, why] for (kind, subject_id), why in report.skipped.items()],
            "blind": report.blind,
            "untold": report.untold,
        }

        def store(connection: Connection) -> None:
            check(connection, names, owner)
            store_evaluation(connection, self._shares.shards, document, now_ms)

        await self._database.write(store)
