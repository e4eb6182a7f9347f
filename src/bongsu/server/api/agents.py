"""/api/agents and /api/enrolment-tokens: letting agents in, and keeping them out."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from bongsu.core.errors import NotFound, Unauthenticated
from bongsu.core.units import HOUR_MS
from bongsu.server.api.access import Admin
from bongsu.server.api.browser import LoginRate
from bongsu.server.api.dependencies import ServicesDep, address_of
from bongsu.server.api.people import Name, Tags
from bongsu.server.api.servers import visible_server
from bongsu.server.auth.audit import record
from bongsu.server.auth.directory import AGENTS
from bongsu.server.auth.queries import agents
from bongsu.server.auth.queries.agents import ANY_NUMBER, EnrolmentRecord
from bongsu.server.fleet.servers import set_tags
from bongsu.server.ingest.openapi import BEARER
from bongsu.server.services import Services

router = APIRouter(prefix="/api", tags=["agents"])


class Enrol(BaseModel):
    """A new agent. Its enrolment token is sent as `Authorization: Bearer`."""

    agent_id: str = Field(max_length=64)
    name: str = Field(max_length=255)


class AgentToken(BaseModel):
    """The token of the agent, valid for its `agent_id` only."""

    token: str


class NewEnrolment(BaseModel):
    """A new enrolment token."""

    name: Name
    hours: int = Field(24, ge=1, le=8_760)
    uses: int = Field(1, ge=0, le=100_000, description="How many agents may enrol with it; 0: any number.")
    tags: Tags = Field({}, description="Tags for the servers that enrol with it.")
    server_id: int | None = Field(None, description="Lets this server enrol again after its token was revoked.")


class EnrolmentToken(BaseModel):
    """An enrolment token, without the token itself."""

    id: int
    name: str
    tags: dict[str, str]
    server_id: int | None
    uses_left: int | None = Field(description="null: any number.")
    created_by: str
    created_ms: int
    expires_ms: int
    last_used_ms: int = Field(description="0: never.")


class CreatedEnrolmentToken(EnrolmentToken):
    """An enrolment token with the token itself, which is shown only once."""

    token: str


class EnrolmentTokens(BaseModel):
    """Enrolment tokens, newest first."""

    tokens: list[EnrolmentToken]


class ServerTags(BaseModel):
    """The tags that people set; who may see the server can depend on them."""

    tags: Tags


@router.post(
    "/agents/enrol",
    operation_id="enrol_agent",
    summary="Enrol an agent",
    dependencies=[LoginRate],
    openapi_extra=BEARER,
)
async def enrol(services: ServicesDep, request: Request, body: Enrol) -> AgentToken:
    """For agents. 401: the enrolment token is invalid, expired or used up. 409 `already_enrolled`: this agent had a
    token before, so it needs an enrolment token that was made for it."""
    address = address_of(request)
    token = await services.auth.enrolment.enrol(_bearer(request), body.agent_id, body.name, address)
    return AgentToken(token=token)


@router.post(
    "/agents/rotate",
    operation_id="rotate_agent_token",
    summary="Replace an agent's token",
    dependencies=[LoginRate],
    openapi_extra=BEARER,
)
async def rotate(services: ServicesDep, request: Request) -> AgentToken:
    """For agents, with their present token, which remains valid for ten more seconds and cannot be replaced again."""
    return AgentToken(token=await services.auth.enrolment.rotate(_bearer(request), address_of(request)))


@router.get("/enrolment-tokens", operation_id="list_enrolment_tokens", summary="List enrolment tokens")
async def list_enrolments(services: ServicesDep, user: Admin) -> EnrolmentTokens:
    """Includes tokens that are used up or expired, until somebody deletes them."""
    enrolments = await services.database.read(agents.load_enrolments)
    return EnrolmentTokens(tokens=[_shown(services, enrolment) for enrolment in enrolments])


@router.post(
    "/enrolment-tokens", operation_id="create_enrolment_token", summary="Create an enrolment token", status_code=201
)
async def create(services: ServicesDep, user: Admin, body: NewEnrolment) -> CreatedEnrolmentToken:
    """The token is shown only here: just its hash is stored."""
    agent_id = visible_server(services, user, body.server_id).record.agent.agent_id if body.server_id else ""
    stored, token = await services.auth.enrolment.create(
        user,
        name=body.name,
        lifetime_ms=body.hours * HOUR_MS,
        uses=1 if agent_id else body.uses or ANY_NUMBER,
        # An admin who sees only some servers can only add servers with the same tags.
        tags={**body.tags, **dict(user.tags)},
        agent_id=agent_id,
    )
    return CreatedEnrolmentToken(**_shown(services, stored).model_dump(), token=token)


@router.delete(
    "/enrolment-tokens/{token_id}",
    operation_id="delete_enrolment_token",
    summary="Delete an enrolment token",
    status_code=204,
)
async def delete(services: ServicesDep, user: Admin, token_id: int) -> None:
    """Nobody can enrol with it any more. Agents that did so stay enrolled."""

    def store(connection: Connection) -> None:
        enrolments = agents.load_enrolments(connection)
        enrolment = next((enrolment for enrolment in enrolments if enrolment.id == token_id), None)
        if enrolment is None:
            raise NotFound(f"There is no enrolment token {token_id}.", code="unknown_token", field="token_id")
        agents.delete_enrolment(connection, token_id)
        target, before = f"enrolment_token {token_id}", {"name": enrolment.name}
        record(connection, services.clock.now_ms(), user, "enrolment_token.delete", target, before=before)

    await services.auth.directory.change(AGENTS, store)


@router.delete(
    "/servers/{server_id}/token", operation_id="revoke_agent", summary="Revoke an agent's token", status_code=204
)
async def revoke(services: ServicesDep, user: Admin, server_id: int) -> None:
    """The agent can no longer push. Its data stays; an enrolment token for this server lets it in again."""
    agent_id = visible_server(services, user, server_id).record.agent.agent_id
    await services.auth.enrolment.revoke(agent_id, user, f"server {server_id}")


@router.put("/servers/{server_id}/tags", operation_id="set_server_tags", summary="Set a server's tags")
async def tags(services: ServicesDep, user: Admin, server_id: int, body: ServerTags) -> ServerTags:
    """Replaces the tags that people set; the tags that the agent reports remain."""
    state = visible_server(services, user, server_id)

    def store(connection: Connection) -> None:
        set_tags(connection, server_id, body.tags)
        before, after = {"tags": state.record.own_tags}, {"tags": body.tags}
        target = f"server {server_id}"
        record(connection, services.clock.now_ms(), user, "server.set_tags", target, before=before, after=after)

    await services.fleet.change(store)
    return body


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Send the token as Authorization: Bearer.", field="Authorization")
    return token.strip()


def _shown(services: Services, enrolment: EnrolmentRecord) -> EnrolmentToken:
    state = services.registry.by_agent_id.get(enrolment.agent_id) if enrolment.agent_id else None
    return EnrolmentToken(
        id=enrolment.id,
        name=enrolment.name,
        tags=enrolment.tags,
        server_id=state.record.id if state else None,
        uses_left=None if enrolment.uses_left == ANY_NUMBER else enrolment.uses_left,
        created_by=enrolment.created_by,
        created_ms=enrolment.created_ms,
        expires_ms=enrolment.expires_ms,
        last_used_ms=enrolment.last_used_ms,
    )
