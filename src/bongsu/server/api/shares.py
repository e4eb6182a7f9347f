"""/api/dashboards/{id}/shares: links that show a dashboard to whoever has them."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from bongsu.core.errors import Forbidden, InvalidInput
from bongsu.server.api.access import Person
from bongsu.server.api.dependencies import RowId, ServicesDep
from bongsu.server.api.people import Name, Secret
from bongsu.server.auth.audit import record
from bongsu.server.auth.passwords import MAX_LENGTH
from bongsu.server.auth.principal import Principal
from bongsu.server.auth.tokens import Prefix, new_token
from bongsu.server.dashboards.access import right_of
from bongsu.server.dashboards.queries import Listed, find_listed, unknown_dashboard
from bongsu.server.dashboards.shares import (
    KEY_PURPOSE,
    Redacted,
    Share,
    add_share,
    delete_share,
    load_shares,
    may_share,
    sharer_of,
)
from bongsu.server.services import Services
from bongsu.server.vault import WrongSecret

router = APIRouter(prefix="/api/dashboards", tags=["dashboards"])

SHORTEST_PASSWORD = 8
Origin = Annotated[
    str,
    Field(max_length=255, pattern=r"^https?://(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]{1,5})?$"),
]


class NewShare(BaseModel):
    """A link to make."""

    name: Name = Field(description="What people call it; whoever has the link does not see it.")
    expires_ms: int | None = Field(None, ge=1, le=2**53, description="null: never.")
    password: Secret | None = Field(None, description=f"At least {SHORTEST_PASSWORD} characters; null: none is needed.")
    redact: list[Redacted] = Field([], max_length=3, description="What is hidden.")
    origins: list[Origin] = Field(
        [], max_length=20, description="Sites that may embed it, such as `https://intranet.example.com`; empty: none."
    )
    address: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$")] | None = Field(
        None, description="Makes it a public status page at /status/ADDRESS, which can be guessed."
    )


class ShareInfo(BaseModel):
    """A link."""

    id: int
    name: str
    path: str = Field(description="Of the page; empty: it cannot be read with this installation's secret key.")
    status_page: bool
    expires_ms: int | None
    password: bool
    redact: list[Redacted]
    origins: list[str]
    works: bool = Field(description="It has not expired, and who made it may still share the dashboard.")
    created_ms: int
    created_by: str


class Shares(BaseModel):
    """The links to a dashboard, oldest first."""

    shares: list[ShareInfo]


def _check(connection: Connection, user: Principal, dashboard_id: int) -> Listed:
    """Raises NotFound for a dashboard that the user may not see, Forbidden for one that the user may not share."""
    dashboard = find_listed(connection, dashboard_id)
    if right_of(user, dashboard.owner_id, dashboard.grants) is None:
        raise unknown_dashboard(dashboard_id)
    if not may_share(user, dashboard):
        raise Forbidden("Sharing by link requires the role operator and the right to change the dashboard.")
    return dashboard


def _info(services: Services, share: Share, dashboard: Listed) -> ShareInfo:
    try:
        key = services.vault.decrypt(share.key, KEY_PURPOSE).decode()
    except WrongSecret:
        key = ""
    users = services.auth.directory.users
    maker = users.get(share.user_id)
    return ShareInfo(
        id=share.id,
        name=share.name,
        path=f"/{'status' if share.status_page else 'shared'}/{key}" if key else "",
        status_page=share.status_page,
        expires_ms=share.expires_ms or None,
        password=share.password_hash is not None,
        redact=sorted(share.redact),
        origins=list(share.origins),
        works=not share.has_expired(services.clock.now_ms()) and sharer_of(share, dashboard, users) is not None,
        created_ms=share.created_ms,
        created_by=maker.email if maker else "",
    )


def _facts(share: Share) -> dict[str, Any]:
    """What the audit log records: not the link."""
    return {
        "name": share.name,
        "status_page": share.status_page,
        "expires_ms": share.expires_ms,
        "password": share.password_hash is not None,
        "redact": ", ".join(sorted(share.redact)),
        "origins": ", ".join(share.origins),
    }


@router.get("/{id}/shares", operation_id="list_dashboard_shares", summary="List the links to a dashboard")
async def shares(services: ServicesDep, user: Person, id: RowId) -> Shares:
    """Lists the links that show this dashboard without a login. For operators that may change it."""

    def load(connection: Connection) -> tuple[Listed, list[Share]]:
        return _check(connection, user, id), load_shares(connection, id)

    dashboard, loaded = await services.database.read(load)
    return Shares(shares=[_info(services, share, dashboard) for share in loaded])


@router.post("/{id}/shares", operation_id="create_dashboard_share", summary="Share by link", status_code=201)
async def create(services: ServicesDep, user: Person, id: RowId, new: NewShare) -> ShareInfo:
    """Makes a link that shows the dashboard to whoever has it, with the servers that you may see, and nothing else.

    It works until it expires or is revoked, and as long as you may share the dashboard.
    """
    now_ms = services.clock.now_ms()
    if new.expires_ms is not None and new.expires_ms <= now_ms:
        raise InvalidInput("expires_ms must be in the future.", field="expires_ms")
    if new.password is not None and not SHORTEST_PASSWORD <= len(new.password) <= MAX_LENGTH:
        raise InvalidInput(
            f"password must have {SHORTEST_PASSWORD} to {MAX_LENGTH} characters.",
            field="password",
            limit=SHORTEST_PASSWORD,
        )
    await services.database.read(lambda connection: _check(connection, user, id))
    password_hash = None if new.password is None else await services.auth.passwords.hash(new.password)
    key = new.address or new_token(Prefix.SHARE)
    encrypted = services.vault.encrypt(key.encode(), KEY_PURPOSE)
    values = {
        "dashboard_id": id,
        "name": new.name,
        "status_page": new.address is not None,
        "redact": set(new.redact),
        "origins": new.origins,
        "password_hash": password_hash,
        "user_id": user.user_id,
        "created_ms": now_ms,
        "expires_ms": new.expires_ms or 0,
    }

    def store(connection: Connection) -> tuple[Listed, Share]:
        dashboard = _check(connection, user, id)
        share = add_share(connection, key, encrypted, values)
        record(connection, now_ms, user, "dashboard.share_by_link", f"dashboard {id}", after=_facts(share))
        return dashboard, share

    dashboard, share = await services.database.write(store)
    return _info(services, share, dashboard)


@router.delete(
    "/{id}/shares/{share_id}", operation_id="delete_dashboard_share", summary="Revoke a link", status_code=204
)
async def delete(services: ServicesDep, user: Person, id: RowId, share_id: RowId) -> None:
    """The link does not work any more, also where it is open."""
    now_ms = services.clock.now_ms()

    def store(connection: Connection) -> None:
        _check(connection, user, id)
        before = delete_share(connection, id, share_id)
        record(connection, now_ms, user, "dashboard.revoke_link", f"dashboard {id}", before=_facts(before))

    await services.database.write(store)
