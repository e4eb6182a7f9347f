"""Enrolment: an agent exchanges an enrolment token, shown once, for its own token, which works for no other agent.

An agent that ever had a token cannot enrol again with an enrolment token for new agents: otherwise everybody who holds
one (every machine that was enrolled with it) could take over the name and history of any other server. It needs an
enrolment token that was made for it.
"""

import os
from pathlib import Path

from sqlalchemy import Connection

from bongsu.core.clock import Clock
from bongsu.core.errors import Conflict, InvalidInput, Unauthenticated
from bongsu.core.text import has_control
from bongsu.core.units import DAY_MS
from bongsu.server.auth.audit import Actor, record
from bongsu.server.auth.directory import AGENTS, Directory
from bongsu.server.auth.principal import Principal
from bongsu.server.auth.queries import agents
from bongsu.server.auth.queries.agents import ANY_NUMBER, AgentTokenRecord, EnrolmentRecord
from bongsu.server.auth.tokens import Prefix, digest, new_token
from bongsu.server.fleet.names import check_agent_id

# How long a token remains valid after rotation: the agent uses it until the new one is on its disk.
ROTATED_MS = 10_000
LOCAL_NAME = "this machine (bongsu up)"
LOCAL_MS = DAY_MS


class AlreadyEnrolled(Conflict):
    """This agent was enrolled before; it needs an enrolment token that was made for it."""

    code = "already_enrolled"


class Enrolment:
    """Issues and redeems enrolment tokens; rotates and revokes the tokens of agents."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    async def create(
        self,
        by: Principal | Actor,
        *,
        name: str,
        lifetime_ms: int,
        uses: int = 1,
        tags: dict[str, str] | None = None,
        agent_id: str = "",
    ) -> tuple[EnrolmentRecord, str]:
        """A new enrolment token; only its hash is stored."""
        token = new_token(Prefix.ENROLMENT)
        now_ms = self._clock.now_ms()
        new = EnrolmentRecord(
            0, name, digest(token), by.name[:255], now_ms, now_ms + lifetime_ms, uses, agent_id, 0, tags or {}
        )

        def store(connection: Connection) -> EnrolmentRecord:
            stored = agents.add_enrolment(connection, new)
            after = {"name": name, "uses": uses, "tags": new.tags, "expires_ms": new.expires_ms}
            record(connection, now_ms, by, "enrolment_token.create", f"enrolment_token {stored.id}", after=after)
            return stored

        return await self._directory.change(AGENTS, store), token

    async def enrol(self, token: str, agent_id: str, name: str, address: str) -> str:
        """Redeems an enrolment token. Returns the token of the agent.

        Raises:
            Unauthenticated: the enrolment token is unknown, used up, expired, or made for another agent.
            AlreadyEnrolled: the agent needs an enrolment token that was made for it.
        """
        check_agent_id(agent_id)
        name = name.strip()
        if not name or len(name.encode("utf-8", "replace")) > 255 or has_control(name):
            raise InvalidInput(
                "name must have 1 to 255 bytes in UTF-8, and no control characters.", field="name", limit=255
            )
        agent_token = new_token(Prefix.AGENT)
        now_ms = self._clock.now_ms()

        def store(connection: Connection) -> None:
            enrolment = agents.enrolment_by_hash(connection, digest(token))
            if enrolment is None or enrolment.expires_ms <= now_ms or enrolment.agent_id not in ("", agent_id):
                raise Unauthenticated(
                    "The enrolment token is not valid or has expired: make a new one (Add server).",
                    code="invalid_enrolment_token",
                )
            if not enrolment.agent_id and agents.knows_agent(connection, agent_id):
                raise AlreadyEnrolled
            if not agents.use_enrolment(connection, enrolment.id, now_ms):
                raise Unauthenticated(
                    "The enrolment token is used up: make a new one (Add server).",
                    code="used_enrolment_token",
                )
            agents.revoke_agent(connection, agent_id, now_ms)
            agents.add_agent_token(
                connection,
                AgentTokenRecord(0, agent_id, name, digest(agent_token), enrolment.id, now_ms, tags=enrolment.tags),
            )
            actor = Actor(f"enrolment_token {enrolment.id}", enrolment.name, address)
            after = {"name": name, "tags": enrolment.tags}
            record(connection, now_ms, actor, "agent.enrol", f"agent {agent_id}", after=after)

        await self._directory.change(AGENTS, store)
        return agent_token

    async def rotate(self, token: str, address: str) -> str:
        """A new token for the agent that holds ``token``, which remains valid for ROTATED_MS.

        A token that was rotated cannot be rotated again, so a stolen old token gives no new one.

        Raises:
            Unauthenticated: the token is unknown, revoked or already rotated.
        """
        grant = self._directory.agents.get(digest(token))
        if grant is None:  # another process may have issued it a moment ago
            await self._directory.look_again()
            grant = self._directory.agents.get(digest(token))
        now_ms = self._clock.now_ms()
        if grant is None or grant.expires_ms:
            raise Unauthenticated("The agent's token is not valid, or was revoked or replaced.", code="invalid_token")
        agent_token = new_token(Prefix.AGENT)

        def store(connection: Connection) -> None:
            hashed = digest(agent_token)
            new = AgentTokenRecord(0, grant.agent_id, "", hashed, 0, now_ms, tags=grant.tags)
            agents.forget_expired_agent_tokens(connection, now_ms)
            agents.add_agent_token(connection, new)
            agents.expire_agent_tokens(connection, grant.agent_id, hashed, now_ms + ROTATED_MS)
            actor = Actor(f"agent {grant.agent_id}", grant.agent_id, address)
            record(connection, now_ms, actor, "agent.rotate_token", f"agent {grant.agent_id}")

        await self._directory.change(AGENTS, store)
        return agent_token

    async def revoke(self, agent_id: str, by: Principal, target: str) -> int:
        """Revokes all tokens of an agent. Returns how many were valid."""
        now_ms = self._clock.now_ms()

        def store(connection: Connection) -> int:
            ended = agents.revoke_agent(connection, agent_id, now_ms)
            record(connection, now_ms, by, "agent.revoke", target)
            return ended

        return await self._directory.change(AGENTS, store)

    async def for_this_machine(self, file: Path) -> None:
        """Writes an enrolment token for the agent that ``bongsu up`` starts into a file that only its owner can
        read."""
        by = Actor("system", "bongsu up")

        def forget(connection: Connection) -> None:
            agents.delete_enrolments_named(connection, LOCAL_NAME)

        await self._directory.change(AGENTS, forget)
        _, token = await self.create(by, name=LOCAL_NAME, lifetime_ms=LOCAL_MS)
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        temporary = file.with_name(f"{file.name}.{os.getpid()}")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(token + "\n")
        temporary.replace(file)


__all__ = ["ANY_NUMBER", "AlreadyEnrolled", "Enrolment"]
