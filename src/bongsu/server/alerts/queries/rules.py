"""Statements on rules, and the import of a rules file."""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, exists, func, insert, select, update

from bongsu.alerts.rules import Rule
from bongsu.alerts.rules_file import parse_rule
from bongsu.core.errors import Conflict, InvalidInput, NotFound
from bongsu.server.database.tables import alert_rules, alerts
from bongsu.server.database.turns import Turn, take_turn


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A row of the table."""

    id: int
    rule: Rule
    # Fingerprint of the rule when it was last imported from a file; empty: a person created it.
    imported: str
    deleted: bool
    created_ms: int
    updated_ms: int

    @property
    def edited(self) -> bool:
        """Whether a person changed the rule after it was imported."""
        return bool(self.imported) and fingerprint(self.rule) != self.imported


def encode(rule: Rule) -> str:
    """The JSON that is stored."""
    return json.dumps(rule.document(), ensure_ascii=False, sort_keys=True)


def fingerprint(rule: Rule) -> str:
    """A hash of the rule's document."""
    return hashlib.sha256(encode(rule).encode()).hexdigest()


_COLUMNS = (
    alert_rules.c.id,
    alert_rules.c.document,
    alert_rules.c.imported,
    alert_rules.c.deleted,
    alert_rules.c.created_ms,
    alert_rules.c.updated_ms,
)


def load_rules(
    connection: Connection, *, deleted: bool = False, unreadable: dict[int, str] | None = None
) -> list[StoredRule]:
    """All rules by name. ``deleted``: also rules that have been deleted. Those that this version cannot read are left
    out; ``unreadable`` receives their ids, and why."""
    query = select(*_COLUMNS).order_by(alert_rules.c.name)
    if not deleted:
        query = query.where(~alert_rules.c.deleted)
    loaded = []
    for rule_id, document, *columns in connection.execute(query):
        try:
            loaded.append(StoredRule(rule_id, parse_rule(json.loads(document)), *columns))
        except (InvalidInput, ValueError) as error:
            is_deleted = columns[1]
            if unreadable is not None and not is_deleted:
                unreadable[rule_id] = f"its document cannot be read: {error}"
    return loaded


def rules_version(connection: Connection) -> tuple[int, int, int]:
    """A value that changes whenever a rule changes."""
    newest = func.coalesce(func.max(alert_rules.c.updated_ms), 0), func.coalesce(func.max(alert_rules.c.id), 0)
    row = connection.execute(select(func.count(), *newest).where(~alert_rules.c.deleted)).one()
    return row[0], row[1], row[2]


def find_rule(connection: Connection, rule_id: int, *, deleted: bool = False) -> StoredRule:
    """A rule. ``deleted``: also if it has been deleted.

    Raises:
        NotFound: there is no such rule.
        InvalidInput: this version cannot read it.
    """
    row = _row(connection, rule_id, deleted=deleted)
    rule_id, document, *columns = row
    return StoredRule(rule_id, parse_rule(json.loads(document)), *columns)


def rule_document(connection: Connection, rule_id: int) -> Any:
    """A rule as it is stored, even if this version cannot read it. Raises NotFound if there is no such rule."""
    return json.loads(_row(connection, rule_id).document)


def _row(connection: Connection, rule_id: int, *, deleted: bool = False) -> Any:
    query = select(*_COLUMNS).where(alert_rules.c.id == rule_id)
    row = connection.execute(query if deleted else query.where(~alert_rules.c.deleted)).first()
    if row is None:
        raise NotFound(f"There is no rule {rule_id}.", code="unknown_rule", field="id")
    return row


def _next_updated_ms(connection: Connection, now_ms: int) -> int:
    """``now_ms``, or later: two changes in one millisecond, or after the clock was set back, are two versions."""
    newest = connection.scalar(select(func.max(alert_rules.c.updated_ms)))
    return max(now_ms, (newest or 0) + 1)


def _conflict(rule: Rule) -> Conflict:
    return Conflict(f"There is already a rule named {rule.name!r}.", code="rule_exists", field="name")


def add_rule(connection: Connection, rule: Rule, now_ms: int, *, imported: str = "") -> int:
    """Adds a rule, in the row of a deleted rule of that name if there is one. Returns its id.

    Raises:
        Conflict: the name is taken.
    """
    take_turn(connection, Turn.RULES)
    now_ms = _next_updated_ms(connection, now_ms)
    old = connection.execute(
        select(alert_rules.c.id, alert_rules.c.deleted, alert_rules.c.imported).where(alert_rules.c.name == rule.name)
    ).first()
    if old is not None and not old.deleted:
        raise _conflict(rule)
    values = {"document": encode(rule), "imported": imported, "deleted": False, "updated_ms": now_ms}
    if old is not None:
        # It keeps the fingerprint, so that the next import of the file does not change it.
        values["imported"] = imported or old.imported
        connection.execute(update(alert_rules).where(alert_rules.c.id == old.id).values(values))
        return int(old.id)
    row = insert(alert_rules).values(name=rule.name, created_ms=now_ms, **values).returning(alert_rules.c.id)
    return int(connection.execute(row).scalar_one())


def change_rule(connection: Connection, rule_id: int, rule: Rule, now_ms: int, *, imported: str | None = None) -> None:
    """Replaces a rule.

    Raises:
        NotFound: there is no such rule.
        Conflict: the new name is taken.
    """
    take_turn(connection, Turn.RULES)
    _row(connection, rule_id)
    values: dict[str, object] = {
        "name": rule.name,
        "document": encode(rule),
        "updated_ms": _next_updated_ms(connection, now_ms),
    }
    if imported is not None:
        values["imported"] = imported
    taken = select(alert_rules.c.id).where(alert_rules.c.name == rule.name, alert_rules.c.id != rule_id)
    if connection.scalar(taken) is not None:
        raise _conflict(rule)
    connection.execute(update(alert_rules).where(alert_rules.c.id == rule_id).values(values))


def delete_rule(connection: Connection, rule_id: int, now_ms: int) -> None:
    """Deletes a rule. Its row stays, because the end of its alerts has yet to be told. A rule that came from a file
    keeps its name too, so that the next import does not add it again.

    Raises:
        NotFound: there is no such rule.
    """
    stored = _row(connection, rule_id)
    values: dict[str, object] = {"deleted": True, "updated_ms": _next_updated_ms(connection, now_ms)}
    if not stored.imported:
        # No rule can have this name, so another one may take the old name.
        values["name"] = f"\x1f{rule_id}"
    connection.execute(update(alert_rules).where(alert_rules.c.id == rule_id).values(values))


def forget_deleted_rules(connection: Connection) -> None:
    """Deletes the rows of deleted rules that no alert mentions any more."""
    mentioned = exists().where(alerts.c.rule_id == alert_rules.c.id)
    done = alert_rules.c.deleted, alert_rules.c.imported == "", ~mentioned
    connection.execute(delete(alert_rules).where(*done))


@dataclass(slots=True)
class Imported:
    """What an import did: names of rules."""

    created: list[str]
    updated: list[str]
    unchanged: list[str]
    # Not changed, because a person has changed or deleted them.
    kept: list[str]


def import_rules(connection: Connection, rules: list[Rule], now_ms: int, *, retired: Collection[str] = ()) -> Imported:
    """Creates and updates rules by name. Rules that a person changed or deleted do not change, nor do rules that are no
    longer in the file, but for those that nobody changed and whose names are ``retired``: they are deleted."""
    take_turn(connection, Turn.RULES)
    stored_rules = load_rules(connection, deleted=True)
    known = {stored.rule.name: stored for stored in stored_rules if stored.imported or not stored.deleted}
    names = {row.name: row.id for row in connection.execute(select(alert_rules.c.name, alert_rules.c.id))}
    result = Imported([], [], [], [])
    for old in stored_rules:
        if old.rule.name in retired and old.imported and not old.edited and not old.deleted:
            delete_rule(connection, old.id, now_ms)
    for rule in rules:
        stored = known.get(rule.name)
        imported = fingerprint(rule)
        if stored is None and rule.name in names:
            # This version cannot read the stored one.
            change_rule(connection, names[rule.name], rule, now_ms, imported=imported)
            result.updated.append(rule.name)
        elif stored is None:
            add_rule(connection, rule, now_ms, imported=imported)
            result.created.append(rule.name)
        elif stored.deleted or fingerprint(stored.rule) not in (stored.imported, imported):
            result.kept.append(rule.name)
        elif stored.imported == imported and fingerprint(stored.rule) == imported:
            result.unchanged.append(rule.name)
        else:
            change_rule(connection, stored.id, rule, now_ms, imported=imported)
            result.updated.append(rule.name)
    return result
