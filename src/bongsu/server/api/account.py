"""/api/account: the account of the caller."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from bongsu.core.errors import Conflict, InvalidInput, NotFound
from bongsu.server.api.access import Person, Viewer
from bongsu.server.api.dependencies import ServicesDep
from bongsu.server.api.people import Name, Secret, User, shown
from bongsu.server.auth.audit import record
from bongsu.server.auth.directory import PEOPLE
from bongsu.server.auth.principal import Principal
from bongsu.server.auth.queries import accounts
from bongsu.server.auth.queries.accounts import UserRecord
from bongsu.server.services import Services

router = APIRouter(prefix="/api/account", tags=["account"])


async def limit_password_rate(services: ServicesDep, user: Person) -> None:
    """A dependency of endpoints where a password or a code can be tried. By session: attempts of others at the same
    address must not keep a person from changing the password. Raises TooMany."""
    await services.rate_limiter.login(user.session_id)


PasswordRate = Annotated[None, Depends(limit_password_rate)]


class Profile(BaseModel):
    """What people may change in their own account."""

    name: Name


class NewPassword(BaseModel):
    """A change of password."""

    current: Secret
    new: Secret


class Password(BaseModel):
    """Proves that it is the person, and not somebody at their open page."""

    password: Secret


class NewSecondFactor(BaseModel):
    """A new secret, which is not in use until a code has confirmed it."""

    secret: str
    address: str = Field(description="The `otpauth:` address for authenticator apps.")
    qr_svg: str = Field(description="The address as a QR code.")


class Code(BaseModel):
    """A code from the authenticator app."""

    code: str = Field(max_length=16)


class Session(BaseModel):
    """A session."""

    id: str
    current: bool
    address: str
    user_agent: str
    created_ms: int
    last_used_ms: int
    expires_ms: int


class AccountSessions(BaseModel):
    """The sessions of the caller, newest first."""

    sessions: list[Session]


@router.get("", operation_id="get_account", summary="Get your own account")
async def account(services: ServicesDep, user: Viewer) -> User:
    """For an API token: its owner, with the role and tags of the token."""
    return shown(_own(services, user)).model_copy(update={"role": user.role, "tags": dict(user.tags)})


@router.patch("", operation_id="update_account", summary="Change your name")
async def update(services: ServicesDep, user: Person, body: Profile) -> User:
    """Only an admin can change the email address and the role."""
    before = _own(services, user)

    def store(connection: Connection) -> None:
        accounts.update_user(connection, user.id, name=body.name)
        _note(connection, services, user, "user.update", {"name": before.name}, {"name": body.name})

    await services.auth.directory.change(PEOPLE, store)
    return shown(_own(services, user))


@router.put("/password", operation_id="change_password", summary="Change your password", status_code=204)
async def change_password(services: ServicesDep, user: Person, body: NewPassword, _: PasswordRate) -> None:
    """Ends all other sessions."""
    own = _own(services, user)
    await services.auth.login.check_password(
        own, body.current, address=user.address, session_id=user.session_id, field="current"
    )
    services.auth.passwords.check(body.new, email=own.email, field="new")
    hashed = await services.auth.passwords.hash(body.new)

    def store(connection: Connection) -> None:
        accounts.update_user(connection, user.id, password_hash=hashed)
        accounts.end_sessions(connection, user.id, but=user.session_id)
        _note(connection, services, user, "user.change_password")

    await services.auth.directory.change(PEOPLE, store)


@router.get("/sessions", operation_id="list_sessions", summary="List your sessions")
async def sessions(services: ServicesDep, user: Person) -> AccountSessions:
    """Sessions that have not expired."""
    now_ms = services.clock.now_ms()
    own = [session for session in services.auth.directory.sessions.values() if session.user_id == user.id]
    return AccountSessions(
        sessions=[
            Session(
                id=session.id,
                current=session.id == user.session_id,
                address=session.address,
                user_agent=session.user_agent,
                created_ms=session.created_ms,
                last_used_ms=session.rotated_ms,
                expires_ms=session.expires_ms,
            )
            for session in sorted(own, key=lambda session: -session.created_ms)
            if session.expires_ms > now_ms
        ]
    )


@router.delete("/sessions", operation_id="end_sessions", summary="Log out everywhere", status_code=204)
async def end_sessions(services: ServicesDep, user: Person) -> None:
    """Ends all sessions, including this one. API tokens remain valid."""

    def store(connection: Connection) -> None:
        accounts.end_sessions(connection, user.id)
        accounts.update_user(connection, user.id, new_version=True)
        _note(connection, services, user, "session.end_all")

    await services.auth.directory.change(PEOPLE, store)


@router.delete("/sessions/{session_id}", operation_id="end_session", summary="End a session", status_code=204)
async def end_session(services: ServicesDep, user: Person, session_id: str) -> None:
    """Ends one of your sessions."""

    def store(connection: Connection) -> bool:
        ended = accounts.end_session(connection, session_id, user.id)
        if ended:
            _note(connection, services, user, "session.end")
        return ended

    known = session_id in services.auth.directory.sessions
    if not known or not await services.auth.directory.change(PEOPLE, store):
        raise NotFound("There is no such session.", code="unknown_session", field="session_id")


@router.post("/second-factor", operation_id="begin_second_factor", summary="Begin to set up a second factor")
async def begin_second_factor(services: ServicesDep, user: Person, body: Password, _: PasswordRate) -> NewSecondFactor:
    """Returns a secret for an authenticator app. Nothing changes until a code confirms it."""
    own = _own(services, user)
    if own.totp_enabled:
        raise Conflict("There is a second factor already; turn it off first.", code="second_factor_exists")
    await services.auth.login.check_password(own, body.password, address=user.address, session_id=user.session_id)
    secret, encrypted = services.auth.second_factor.new()
    await services.auth.directory.change(
        PEOPLE, lambda connection: accounts.update_user(connection, user.id, totp_secret=encrypted)
    )
    address = services.auth.second_factor.address(secret, own.email)
    import segno

    picture = segno.make(address, error="m").svg_inline(scale=4, border=4, dark="#000", light="#fff")
    return NewSecondFactor(secret=secret, address=address, qr_svg=picture)


@router.put(
    "/second-factor", operation_id="confirm_second_factor", summary="Turn the second factor on", status_code=204
)
async def confirm_second_factor(services: ServicesDep, user: Person, body: Code, _: PasswordRate) -> None:
    """From now on, logging in requires a code."""
    own = _own(services, user)
    if own.totp_secret is None or own.totp_enabled:
        raise Conflict("Begin with POST /api/account/second-factor.", code="no_second_factor")
    step = services.auth.second_factor.step(own, body.code.replace(" ", ""), services.clock.now_ms())
    if step is None:
        raise InvalidInput("The code is wrong. Is the clock of your phone right?", code="wrong_code", field="code")

    def store(connection: Connection) -> None:
        accounts.update_user(connection, user.id, totp_enabled=True, totp_step=step)
        _note(connection, services, user, "user.update", {"second_factor": False}, {"second_factor": True})

    await services.auth.directory.change(PEOPLE, store)


@router.delete(
    "/second-factor", operation_id="delete_second_factor", summary="Turn the second factor off", status_code=204
)
async def delete_second_factor(services: ServicesDep, user: Person, body: Password, _: PasswordRate) -> None:
    """From now on, the password is enough to log in."""
    own = _own(services, user)
    await services.auth.login.check_password(own, body.password, address=user.address, session_id=user.session_id)

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
