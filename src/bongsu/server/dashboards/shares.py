"""Shares: links that show a dashboard to whoever has them, without a login. Statements on ``dashboard_shares``.

A share shows what the user who made it may see, as long as that user may share the dashboard.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, func, select

from bongsu.core.errors import Conflict, Forbidden, NotFound, TooMany
from bongsu.core.units import HOUR_MS
from bongsu.server.auth.principal import Principal, Role
from bongsu.server.auth.queries.accounts import UserRecord
from bongsu.server.auth.tokens import digest
from bongsu.server.dashboards.access import right_of
from bongsu.server.dashboards.queries import Listed
from bongsu.server.database.dialect import insert_or_ignore
from bongsu.server.database.tables import dashboard_shares

Redacted = Literal["hosts", "addresses", "mountpoints"]

# Of each dashboard.
MOST_SHARES = 50
KEY_PURPOSE = "key of a share"
PASS_PURPOSE = "pass of a share"  # noqa: S105 - a name
# How long a password need not be typed again.
PASS_MS = 12 * HOUR_MS
_ALGORITHM = "HS256"


@dataclass(frozen=True, slots=True)
class Share:
    """A link as stored. ``key``: the last part of it, encrypted; ``expires_ms`` 0: never."""

    id: int
    dashboard_id: int
    name: str
    key: bytes = field(repr=False)
    status_page: bool
    redact: frozenset[Redacted]
    origins: Sequence[str]
    password_hash: str | None = field(repr=False)
    user_id: int
    created_ms: int
    expires_ms: int

    def has_expired(self, now_ms: int) -> bool:
        """Whether its time is over."""
        return 0 < self.expires_ms <= now_ms


def unknown_share() -> NotFound:
    """The error for a link that does not work, whatever the reason: whoever guesses learns nothing."""
    return NotFound("This link does not exist, has expired or was revoked.", code="unknown_share", field="key")


def sharer_of(share: Share, dashboard: Listed, users: Mapping[int, UserRecord]) -> Principal | None:
    """Whose eyes a share sees with; None: that user may not share the dashboard any more."""
    user = users.get(share.user_id)
    if user is None or user.disabled:
        return None
    principal = Principal("user", user.id, user.id, user.email, Role(user.role), tags=frozenset(user.tags.items()))
    return principal if may_share(principal, dashboard) else None


def may_share(principal: Principal, dashboard: Listed) -> bool:
    """Whether somebody may make links to a dashboard: operators that may change it."""
    right = right_of(principal, dashboard.owner_id, dashboard.grants)
    return right == "change" and principal.role.includes(Role.operator)


def sign_pass(secret: bytes, share: Share, now_ms: int) -> tuple[str, int]:
    """Proves for PASS_MS that somebody knew the password of a share. Returns it, and when it expires (Unix ms)."""
    import jwt

    expires_ms = min(now_ms + PASS_MS, share.expires_ms or now_ms + PASS_MS)
    claims = {"share": share.id, "password": _password_mark(share), "until_ms": expires_ms}
    return jwt.encode(claims, secret, _ALGORITHM), expires_ms


def check_pass(secret: bytes, share: Share, token: str | None, now_ms: int) -> None:
    """Raises Forbidden if a share has a password, and this is no pass for it."""
    if share.password_hash is None:
        return
    import jwt

    try:
        claims = jwt.decode(token or "", secret, [_ALGORITHM])
        valid = claims["share"] == share.id and claims["password"] == _password_mark(share)
        valid = valid and now_ms < int(claims["until_ms"])
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
        valid = False
    if not valid:
        raise Forbidden("This link needs a password.", code="password_needed")


def _password_mark(share: Share) -> str:
    """Another password makes the passes of the one before invalid."""
    return digest(share.password_hash or "").hex()[:16]


def _share(row: Row[Any]) -> Share:
    values = {name: value for name, value in row._mapping.items() if name != "key_hash"}
    lists = {"redact": frozenset(json.loads(values["redact"])), "origins": json.loads(values["origins"])}
    return Share(**{**values, **lists})


def load_shares(connection: Connection, dashboard_id: int) -> list[Share]:
    """The links to a dashboard, oldest first."""
    table = dashboard_shares
    query = select(table).where(table.c.dashboard_id == dashboard_id).order_by(table.c.id)
    return [_share(row) for row in connection.execute(query)]


def find_share(connection: Connection, key: str) -> Share:
    """The share of a link. Raises NotFound if there is none."""
    row = connection.execute(select(dashboard_shares).where(dashboard_shares.c.key_hash == digest(key))).first()
    if row is None:
        raise unknown_share()
    return _share(row)


def add_share(connection: Connection, key: str, encrypted: bytes, values: Mapping[str, Any]) -> Share:
    """Stores a link that ends with ``key``. ``values``: its other columns.

    Raises:
        Conflict: another status page has this address.
        TooMany: the dashboard has MOST_SHARES already.
    """
    count = select(func.count()).where(dashboard_shares.c.dashboard_id == values["dashboard_id"])
    if (connection.scalar(count) or 0) >= MOST_SHARES:
        raise TooMany(
            f"This dashboard has {MOST_SHARES} links already; revoke some first.",
            code="too_many_shares",
            limit=MOST_SHARES,
        )
    lists = {"redact": json.dumps(sorted(values["redact"])), "origins": json.dumps(list(values["origins"]))}
    row = {**values, **lists, "key_hash": digest(key), "key": encrypted}
    if connection.execute(insert_or_ignore(connection, dashboard_shares).values(row)).rowcount == 0:
        raise Conflict(f"There is a status page with the address {key} already.", code="address_taken", field="address")
    return find_share(connection, key)


def delete_share(connection: Connection, dashboard_id: int, share_id: int) -> Share:
    """Revokes a link. Raises NotFound if the dashboard has no such link."""
    one = dashboard_shares.c.id == share_id, dashboard_shares.c.dashboard_id == dashboard_id
    row = connection.execute(select(dashboard_shares).where(*one)).first()
    if row is None:
        raise NotFound(f"There is no link {share_id} to this dashboard.", code="unknown_share", field="share_id")
    connection.execute(delete(dashboard_shares).where(*one))
    return _share(row)
