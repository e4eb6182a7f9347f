"""/api/users: people and their roles. For admins; those who see only some servers change nothing here, or they could
give themselves the others."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from bongsu.core.errors import Conflict, NotFound
from bongsu.server.api.access import AdminPerson
from bongsu.server.api.dependencies import ServicesDep
from bongsu.server.api.people import Name, Secret, Tags, User, facts, shown
from bongsu.server.auth.audit import record
from bongsu.server.auth.directory import PEOPLE
from bongsu.server.auth.emails import normal_email
from bongsu.server.auth.principal import Role
from bongsu.server.auth.queries import accounts
from bongsu.server.auth.queries.accounts import UserRecord
from bongsu.server.services import Services

router = APIRouter(prefix="/api/users", tags=["users"])


class Users(BaseModel):
    """All users."""

    users: list[User]


class NewUser(BaseModel):
    """A new user."""

    email: str = Field(max_length=254)
    name: Name
    role: Role = Role.viewer
    password: Secret = Field(description="An initial password, which the person should change.")
    tags: Tags = {}


class UserChange(BaseModel):
    """What is omitted does not change."""

    name: Name | None = None
    role: Role | None = None
    tags: Tags | None = None
    disabled: bool | None = None
    password: Secret | None = Field(
        None, description="A new password; ends all sessions of the person, and revokes their API tokens."
    )
    revoke_api_tokens: bool = Field(
        True,
        description="With a new password: also revokes the API tokens of the person, which somebody else may have.",
    )
    second_factor: Annotated[
        bool | None, Field(description="false: turns it off, for people who have lost their phone.")
    ] = None


class LastAdmin(Conflict):
    """There must be at least one admin who can log in."""

    code = "last_admin"


@router.get("", operation_id="list_users", summary="List users")
async def users(services: ServicesDep, user: AdminPerson) -> Users:
    """Oldest first."""
    return Users(users=[shown(user) for _, user in sorted(services.auth.directory.users.items())])


@router.post("", operation_id="create_user", summary="Create a user", status_code=201)
async def create(services: ServicesDep, user: AdminPerson, body: NewUser) -> User:
    """Tell the person the password in some other way."""
    user.check_sees_all()
    email = normal_email(body.email)
    services.auth.passwords.check(body.password, email=email)
    hashed = await services.auth.passwords.hash(body.password)
    now_ms = services.clock.now_ms()
    new = UserRecord(0, email, body.name, body.role, now_ms, tags=body.tags, password_hash=hashed)

    def store(connection: Connection) -> UserRecord | None:
        stored = accounts.add_user(connection, new)
        if stored is not None:
            record(connection, now_ms, user, "user.create", f"user {stored.id}", after=facts(stored))
        return stored

    stored = await services.auth.directory.change(PEOPLE, store)
    if stored is None:
        raise Conflict("There is a user with this email address already.", code="email_taken", field="email")
    return shown(stored)


@router.patch("/{user_id}", operation_id="update_user", summary="Change a user")
async def update(services: ServicesDep, user: AdminPerson, user_id: int, body: UserChange) -> User:
    """Takes effect at once, also for people who are logged in."""
    user.check_sees_all()
    before = _existing(services, user_id)
    values = body.model_dump(exclude_none=True, exclude={"password", "second_factor", "revoke_api_tokens"})
    if body.password is not None:
        services.auth.passwords.check(body.password, email=before.email)
        values["password_hash"] = await services.auth.passwords.hash(body.password)
    if body.second_factor is False:
        values |= {"totp_enabled": False, "totp_secret": None}
    ends = body.password is not None or body.disabled is True

    def store(connection: Connection) -> None:
        if values:
            accounts.update_user(connection, user_id, new_version=ends, **values)
        if ends:
            accounts.end_sessions(connection, user_id)
        told: dict[str, object] = {}
        if body.password is not None:
            revoked = accounts.revoke_api_tokens(connection, user_id) if body.revoke_api_tokens else 0
            told = {"password": "changed", "revoked_api_tokens": revoked}
        if not accounts.count_admins(connection):
            raise LastAdmin
        after = next(user for user in accounts.load_users(connection) if user.id == user_id)
        record(
            connection,
            services.clock.now_ms(),
            user,
            "user.update",
            f"user {user_id}",
            before=facts(before),
            after=facts(after) | told,
        )

    await services.auth.directory.change(PEOPLE, store)
    return shown(_existing(services, user_id))


@router.delete("/{user_id}", operation_id="delete_user", summary="Delete a user", status_code=204)
async def delete(services: ServicesDep, user: AdminPerson, user_id: int) -> None:
    """Ends their sessions and deletes their API tokens. Their entries in the audit log remain."""
    user.check_sees_all()
    before = _existing(services, user_id)

    def store(connection: Connection) -> None:
        accounts.delete_user(connection, user_id)
        if not accounts.count_admins(connection):
            raise LastAdmin
        now_ms = services.clock.now_ms()
        record(connection, now_ms, user, "user.delete", f"user {user_id}", before=facts(before))

    await services.auth.directory.change(PEOPLE, store)


def _existing(services: Services, user_id: int) -> UserRecord:
    user = services.auth.directory.users.get(user_id)
    if user is None:
        raise NotFound(f"There is no user {user_id}.", code="unknown_user", field="user_id")
    return user
