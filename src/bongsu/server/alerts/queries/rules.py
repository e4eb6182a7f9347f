"""Rules in and out."""

import hashlib
import json
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from bongsu.alerts.rulebook import parse_rule
from bongsu.alerts.rules import Rule
from bongsu.core.errors import Conflict, NotFound
from bongsu.server.database.tables import alert_rules


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule and where it comes from."""

    id: int
    rule: Rule
    # Hash of the document as it last came from a file; empty: made by a person.
    imported: str
    deleted: bool
    created_ms: int
    updated_ms: int

    @property
    def edited(self) -> bool:
        """Whether a person changed what came from a file."""
        return bool(self.imported) and fingerprint(self.rule) != self.imported


def encode(rule: Rule) -> str:
    """The document as stored."""
    return json.dumps(rule.document(), ensure_ascii=False, sort_keys=True)


def fingerprint(rule: Rule) -> str:
    """Equal for equal rules."""
    return hashlib.sha256(encode(rule).encode()).hexdigest()


_COLUMNS = (
    alert_rules.c.id,
    alert_rules.c.document,
    alert_rules.c.imported,
    alert_rules.c.deleted,
    alert_rules.c.created_ms,
    alert_rules.c.updated_ms,
)


def load_rules(connection: Connection, *, deleted: bool = False) -> list[StoredRule]:
    """All rules by name; those that were deleted but came from a file only when asked for."""
    query = select(*_COLUMNS).order_by(alert_rules.c.name)
    if not deleted:
        query = query.where(~alert_rules.c.deleted)
    return [
        StoredRule(number, parse_rule(json.loads(document)), *rest)
        for number, document, *rest in connection.execute(query)
    ]


def rules_version(connection: Connection) -> tuple[int, int, int]:
    """Changes whenever a rule does."""
    newest = func.coalesce(func.max(alert_rules.c.updated_ms), 0), func.coalesce(func.max(alert_rules.c.id), 0)
    row = connection.execute(select(func.count(), *newest).where(~alert_rules.c.deleted)).one()
    return row[0], row[1], row[2]


def find_rule(connection: Connection, number: int) -> StoredRule:
    """Raises NotFound."""
    row = connection.execute(select(*_COLUMNS).where(alert_rules.c.id == number, ~alert_rules.c.deleted)).first()
    if row is None:
        raise NotFound(f"There is no rule {number}.", code="unknown_rule", field="id")
    return StoredRule(row[0], parse_rule(json.loads(row[1])), *row[2:])


def _later(connection: Connection, now_ms: int) -> int:
    """Two changes within a millisecond, or on a clock that was set back, are two versions."""
    newest = connection.scalar(select(func.max(alert_rules.c.updated_ms)))
    return max(now_ms, (newest or 0) + 1)


def _conflict(rule: Rule) -> Conflict:
    return Conflict(f"There is a rule {rule.name!r} already.", code="rule_exists", field="name")


def add_rule(connection: Connection, rule: Rule, now_ms: int, *, imported: str = "") -> int:
    """Its id. A rule of that name that was deleted comes back to life.

    Raises:
        Conflict: the name is taken.
    """
    now_ms = _later(connection, now_ms)
    old = connection.execute(
        select(alert_rules.c.id, alert_rules.c.deleted, alert_rules.c.imported).where(alert_rules.c.name == rule.name)
    ).first()
    if old is not None and not old.deleted:
        raise _conflict(rule)
    values = {"document": encode(rule), "imported": imported, "deleted": False, "updated_ms": now_ms}
    if old is not None:
        # It keeps the mark of the file, so that the file leaves it alone.
        values["imported"] = imported or old.imported
        connection.execute(update(alert_rules).where(alert_rules.c.id == old.id).values(values))
        return int(old.id)
    row = insert(alert_rules).values(name=rule.name, created_ms=now_ms, **values).returning(alert_rules.c.id)
    return int(connection.execute(row).scalar_one())


def change_rule(connection: Connection, number: int, rule: Rule, now_ms: int, *, imported: str | None = None) -> None:
    """Raises NotFound, or Conflict when the new name is taken."""
    find_rule(connection, number)
    values: dict[str, object] = {
        "name": rule.name,
        "document": encode(rule),
        "updated_ms": _later(connection, now_ms),
    }
    if imported is not None:
        values["imported"] = imported
    taken = select(alert_rules.c.id).where(alert_rules.c.name == rule.name, alert_rules.c.id != number)
    if connection.scalar(taken) is not None:
        raise _conflict(rule)
    try:
        connection.execute(update(alert_rules).where(alert_rules.c.id == number).values(values))
    except IntegrityError:
        raise _conflict(rule) from None


def delete_rule(connection: Connection, number: int, now_ms: int) -> None:
    """One that came from a file is remembered as deleted, so that the next start does not bring it back."""
    stored = find_rule(connection, number)
    mine = alert_rules.c.id == number
    if stored.imported:
        later = _later(connection, now_ms)
        connection.execute(update(alert_rules).where(mine).values(deleted=True, updated_ms=later))
    else:
        connection.execute(delete(alert_rules).where(mine))


@dataclass(slots=True)
class Imported:
    """What an import did, by names of rules."""

    created: list[str]
    updated: list[str]
    unchanged: list[str]
    # Changed or deleted by hand, and therefore left alone.
    kept: list[str]


def import_rules(connection: Connection, rules: list[Rule], now_ms: int) -> Imported:
    """Creates and updates by name. What a person changed or deleted stays as the person wants it; rules that the file
    does not name any more stay as well."""
    known = {stored.rule.name: stored for stored in load_rules(connection, deleted=True)}
    done = Imported([], [], [], [])
    for rule in rules:
        stored = known.get(rule.name)
        mark = fingerprint(rule)
        if stored is None:
            add_rule(connection, rule, now_ms, imported=mark)
            done.created.append(rule.name)
        elif stored.deleted or fingerprint(stored.rule) not in (stored.imported, mark):
            done.kept.append(rule.name)
        elif stored.imported == mark and fingerprint(stored.rule) == mark:
            done.unchanged.append(rule.name)
        else:
            change_rule(connection, stored.id, rule, now_ms, imported=mark)
            done.updated.append(rule.name)
    return done
