"""/api/account: one's own account."""

from typing import Annotated

import segno
from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from bongsu.core.errors import Conflict, InvalidInput, NotFound
from bongsu.server.api.access import Person, Viewer
from bongsu.server.api.browser import LoginRate
from bongsu.server.api.dependencies import ServicesDep
from bongsu.server.api.people import Name, Secret, User, shown
from bongsu.server.auth.audit import record
from bongsu.server.auth.directory import PEOPLE
from bongsu.server.auth.principal import Principal
from bongsu.server.auth.queries import accounts
from bongsu.server.auth.queries.accounts import UserRecord
from bongsu.server.services import Services

router = APIRouter(prefix="/api/account", tags=["account"])


class Profile(BaseModel):
    """What one may change of oneself."""

    name: Name


class NewPassword(BaseModel):
    """A change of password."""

    current: Secret
    new: Secret


class Password(BaseModel):
    """Proof that it is the person, and not somebody at their open page."""

    password: Secret


class NewSecondFactor(BaseModel):
    """A secret that is not in use until a code of it was seen."""

    secret: str
    address: str = Field(description="`otpauth:`, as authenticator apps take it.")
    qr_svg: str = Field(description="The address as a picture.")


class Code(BaseModel):
    """Of the authenticator app."""

    code: str = Field(max_length=16)


class Session(BaseModel):
    """A login."""

    id: str
    current: bool
    address: str
    user_agent: str
    created_ms: int
    last_used_ms: int
    expires_ms: int


class Sessions(BaseModel):
    """One's logins, newest first."""

    sessions: list[Session]


@router.get("", operation_id="get_account", summary="Who one is")
async def account(services: ServicesDep, user: Viewer) -> User:
    """Of an API token: its owner, with the role and the tags that the token has."""
    return shown(_own(services, user)).model_copy(update={"role": user.role, "tags": dict(user.tags)})


@router.patch("", operation_id="update_account", summary="Change one's name")
async def update(services: ServicesDep, user: Person, wanted: Profile) -> User:
    """The address and the role are for an admin to change."""
    before = _own(services, user)

    def store(connection: Connection) -> None:
        accounts.update_user(connection, user.id, name=wanted.name)
        _note(connection, services, user, "user.update", {"name": before.name}, {"name": wanted.name})

    await services.auth.directory.change(PEOPLE, store)
    return shown(_own(services, user))


@router.put("/password", operation_id="change_password", summary="Change one's password", status_code=204)
async def change_password(
    services: ServicesDep, user: Person, wanted: NewPassword, _: Annotated[None, LoginRate]
) -> None:
    """Ends all other sessions."""
    own = _own(services, user)
    await services.auth.login.check_password(own, wanted.current, user.address, field="current")
    services.auth.passwords.check(wanted.new, email=own.email, field="new")
    hashed = await services.auth.passwords.hash(wanted.new)

    def store(connection: Connection) -> None:
        accounts.update_user(connection, user.id, password_hash=hashed)
        accounts.end_sessions(connection, user.id, but=user.session_id)
        _note(connection, services, user, "user.change_password")

    await services.auth.directory.change(PEOPLE, store)


@router.get("/sessions", operation_id="list_sessions", summary="Where one is logged in")
async def sessions(services: ServicesDep, user: Person) -> Sessions:
    """Those that have not expired."""
    now_ms = services.clock.now_ms()
    found = [one for one in services.auth.directory.sessions.values() if one.user_id == user.id]
    return Sessions(
        sessions=[
            Session(
                id=one.id,
                current=one.id == user.session_id,
                address=one.address,
                user_agent=one.user_agent,
                created_ms=one.created_ms,
                last_used_ms=one.rotated_ms,
                expires_ms=one.expires_ms,
            )
            for one in sorted(found, key=lambda one: -one.created_ms)
            if one.expires_ms > now_ms
        ]
    )


@router.delete("/sessions", operation_id="end_sessions", summary="Log out everywhere", status_code=204)
async def end_sessions(services: ServicesDep, user: Person) -> None:
    """This session too. API tokens go on."""

    def store(connection: Connection) -> None:
        accounts.end_sessions(connection, user.id)
        accounts.update_user(connection, user.id, new_version=True)
        _note(connection, services, user, "session.end_all")

    await services.auth.directory.change(PEOPLE, store)


@router.delete("/sessions/{session_id}", operation_id="end_session", summary="Log out elsewhere", status_code=204)
async def end_session(services: ServicesDep, user: Person, session_id: str) -> None:
    """Ends one of one's sessions."""

    def store(connection: Connection) -> bool:
        found = accounts.end_session(connection, session_id, user.id)
        if found:
            _note(connection, services, user, "session.end")
        return found

    known = session_id in services.auth.directory.sessions
    if not known or not await services.auth.directory.change(PEOPLE, store):
        raise NotFound("There is no such session.", code="unknown_session", field="session_id")


@router.post("/second-factor", operation_id="begin_second_factor", summary="A secret for an authenticator app")
async def begin_second_factor(
    services: ServicesDep, user: Person, given: Password, _: Annotated[None, LoginRate]
) -> NewSecondFactor:
    """Nothing changes until a code confirms it."""
    own = _own(services, user)
    if own.totp_enabled:
        raise Conflict("There is a second factor already; take it away first.", code="second_factor_exists")
    await services.auth.login.check_password(own, given.password, user.address)
    secret, encrypted = services.auth.second_factor.new()
    await services.auth.directory.change(
        PEOPLE, lambda connection: accounts.update_user(connection, user.id, totp_secret=encrypted)
    )
    address = services.auth.second_factor.address(secret, own.email)
    picture = segno.make(address, error="m").svg_inline(scale=4, border=4, dark="#000", light="#fff")
    return NewSecondFactor(secret=secret, address=address, qr_svg=picture)


@router.put("/second-factor", operation_id="confirm_second_factor", summary="Turn it on", status_code=204)
async def confirm_second_factor(
    services: ServicesDep, user: Person, given: Code, _: Annotated[None, LoginRate]
) -> None:
    """From now on a code is needed to log in."""
    own = _own(services, user)
    if own.totp_secret is None or own.totp_enabled:
        raise Conflict("Ask for a secret first.", code="no_second_factor")
    step = services.auth.second_factor.step(own, given.code.replace(" ", ""), services.clock.now_ms())
    if step is None:
        raise InvalidInput("The code is wrong. Is the clock of the phone right?", code="wrong_code", field="code")

    def store(connection: Connection) -> None:
        accounts.update_user(connection, user.id, totp_enabled=True, totp_step=step)
        _note(connection, services, user, "user.update", {"second_factor": False}, {"second_factor": True})

    await services.auth.directory.change(PEOPLE, store)


@router.delete("/second-factor", operation_id="delete_second_factor", summary="Turn it off", status_code=204)
async def delete_second_factor(
    services: ServicesDep, user: Person, given: Password, _: Annotated[None, LoginRate]
) -> None:
    """The password is enough again."""
    own = _own(services, user)
    await services.auth.login.check_password(own, given.password, user.address)

    def store(connection: Connection) -> None:
        accounts.update_user(connection, user.id, totp_enabled=False, totp_secret=None)
        _note(connection, services, user, "user.update", {"second_factor": own.totp_enabled}, {"second_factor": False})

    await services.auth.directory.change(PEOPLE, store)


def _own(services: Services, user: Principal) -> UserRecord:
    return services.auth.directory.users[user.user_id]


def _note(
    connection: Connection,
    services: Services,
    user: Principal,
    action: str,
    before: dict[str, object] | None = None,
    after: dict[str, object] | None = None,
) -> None:
    now_ms = services.clock.now_ms()
    record(connection, now_ms, user, action, f"user {user.user_id}", before=before, after=after)
