"""/api/tokens: API tokens, for programs that act in their owner's name."""

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from bongsu.core.errors import Forbidden, NotFound
from bongsu.core.units import DAY_MS
from bongsu.server.api.access import Person
from bongsu.server.api.dependencies import ServicesDep
from bongsu.server.api.people import Name, Tags
from bongsu.server.auth.audit import record
from bongsu.server.auth.directory import PEOPLE
from bongsu.server.auth.principal import Principal, Role, Scope
from bongsu.server.auth.queries import accounts
from bongsu.server.auth.queries.accounts import ApiTokenRecord
from bongsu.server.auth.tokens import Prefix, digest, new_token
from bongsu.server.services import Services

router = APIRouter(prefix="/api/tokens", tags=["API tokens"])


class NewApiToken(BaseModel):
    """A new API token."""

    name: Name
    scope: Scope = Field(
        Scope.viewer,
        description="The role of the token, never more than that of its owner; or writer: it may only write samples of "
        "servers, for which its owner must be at least an operator.",
    )
    tags: Tags = Field({}, description="The token sees only servers that have all of these tags.")
    days: int = Field(90, ge=0, le=3_650, description="0: it does not expire.")


class ApiToken(BaseModel):
    """A token, without the token itself."""

    id: int
    name: str
    owner: str
    scope: Scope
    tags: dict[str, str]
    created_ms: int
    expires_ms: int = Field(description="0: never.")
    last_used_ms: int = Field(description="To the minute; 0: never.")


class CreatedApiToken(ApiToken):
    """An API token with the token itself, which is shown only once."""

    token: str


class ApiTokens(BaseModel):
    """Your own tokens; for an admin, those of everybody."""

    tokens: list[ApiToken]


@router.get("", operation_id="list_api_tokens", summary="List API tokens")
async def tokens(services: ServicesDep, user: Person) -> ApiTokens:
    """Newest first."""
    visible = [token for token in services.auth.directory.api_tokens.values() if _may_manage(user, token)]
    newest_first = sorted(visible, key=lambda token: -token.id)
    return ApiTokens(tokens=[_shown(services, token) for token in newest_first])


@router.post("", operation_id="create_api_token", summary="Create an API token", status_code=201)
async def create(services: ServicesDep, user: Person, body: NewApiToken) -> CreatedApiToken:
    """The token is shown only here: just its hash is stored."""
    if not user.role.includes(body.scope.role or Role.operator):
        raise Forbidden(f"Your role is {user.role}; a token cannot have a higher one.", field="scope")
    token, now_ms = new_token(Prefix.API), services.clock.now_ms()
    new = ApiTokenRecord(
        0,
        user.user_id,
        body.name,
        digest(token),
        body.scope,
        now_ms,
        now_ms + body.days * DAY_MS if body.days else 0,
        0,
        body.tags,
    )

    def store(connection: Connection) -> ApiTokenRecord:
        stored = accounts.add_api_token(connection, new)
        after = {"name": new.name, "scope": new.scope, "tags": new.tags, "expires_ms": new.expires_ms}
        record(connection, now_ms, user, "api_token.create", f"api_token {stored.id}", after=after)
        return stored

    stored = await services.auth.directory.change(PEOPLE, store)
    return CreatedApiToken(**_shown(services, stored).model_dump(), token=token)


@router.delete("/{token_id}", operation_id="delete_api_token", summary="Delete an API token", status_code=204)
async def delete(services: ServicesDep, user: Person, token_id: int) -> None:
    """The token stops working at once. People may delete their own tokens, admins those of everybody."""
    directory = services.auth.directory
    visible = (token for token in directory.api_tokens.values() if _may_manage(user, token))
    token = next((token for token in visible if token.id == token_id), None)
    if token is None:
        raise NotFound(f"There is no API token {token_id}.", code="unknown_token", field="token_id")

    def store(connection: Connection) -> None:
        accounts.delete_api_token(connection, token_id)
        before = {"name": token.name, "scope": token.scope}
        record(connection, services.clock.now_ms(), user, "api_token.delete", f"api_token {token_id}", before=before)

    await directory.change(PEOPLE, store)


def _may_manage(user: Principal, token: ApiTokenRecord) -> bool:
    return token.user_id == user.user_id or (user.role is Role.admin and not user.restricted)


def _shown(services: Services, token: ApiTokenRecord) -> ApiToken:
    directory = services.auth.directory
    owner = directory.users.get(token.user_id)
    return ApiToken(
        id=token.id,
        name=token.name,
        owner=owner.email if owner else "",
        scope=Scope(token.scope),
        tags=token.tags,
        created_ms=token.created_ms,
        expires_ms=token.expires_ms,
        last_used_ms=max(token.last_used_ms, directory.api_tokens_used_ms.get(token.id, 0)),
    )
