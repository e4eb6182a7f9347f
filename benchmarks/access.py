"""Agents of a benchmark. Their tokens are written to the database before the server starts, because enrolling 1,000
agents is slow."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from sqlalchemy import Connection

from bongsu.core.samples import AgentIdentity
from bongsu.core.units import DAY_MS
from bongsu.server.auth.queries.accounts import ApiTokenRecord, UserRecord, add_api_token, add_user
from bongsu.server.auth.queries.agents import (
    ANY_NUMBER,
    AgentTokenRecord,
    EnrolmentRecord,
    add_agent_token,
    add_enrolment,
)
from bongsu.server.auth.tokens import Prefix, digest, new_token
from bongsu.server.database.database import open_database
from bongsu.server.database.migrations import upgrade

# Busy agents push hundreds of times a second.
ENVIRONMENT = {
    "BONGSU_RATE_LIMITS__AGENT_PER_SECOND": "1000000",
    "BONGSU_RATE_LIMITS__WRITER_PER_SECOND": "1000000",
    "BONGSU_RATE_LIMITS__ADDRESS": "1000000/minute",
    "BONGSU_RATE_LIMITS__USER": "1000000/minute",
}


def agent_id(number: int) -> str:
    """Of the agent with this number."""
    return f"bench-{number:06d}"


def agent(number: int, interval_ms: int) -> AgentIdentity:
    """The agent with this number."""
    return AgentIdentity(agent_id(number), f"bench-{number}", "1", interval_ms)


def make_tokens(data_dir: Path, agent_ids: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Returns the API token of a viewer, and the tokens of the agents by agent id."""
    viewer = new_token(Prefix.API)
    tokens = {agent_id: new_token(Prefix.AGENT) for agent_id in agent_ids}

    def store(connection: Connection) -> None:
        upgrade(connection)
        user = add_user(connection, UserRecord(0, "bench@bongsu.test", "bench", "viewer", 1))
        assert user is not None
        add_api_token(connection, ApiTokenRecord(0, user.id, "bench", digest(viewer), "viewer", 1, 0, 0))
        for agent_id, token in tokens.items():
            add_agent_token(connection, AgentTokenRecord(0, agent_id, agent_id, digest(token), 0, 1))

    _write(data_dir, store)
    return viewer, tokens


def make_writer_token(data_dir: Path) -> str:
    """An API token that may write samples."""
    return make_standard_tokens(data_dir)[0]


def make_standard_tokens(data_dir: Path) -> tuple[str, str]:
    """API tokens that may write samples, and read everything."""
    writer, viewer = new_token(Prefix.API), new_token(Prefix.API)

    def store(connection: Connection) -> None:
        upgrade(connection)
        user = add_user(connection, UserRecord(0, "bench@bongsu.test", "bench", "operator", 1))
        assert user is not None
        for token, scope in ((writer, "writer"), (viewer, "viewer")):
            add_api_token(connection, ApiTokenRecord(0, user.id, scope, digest(token), scope, 1, 0, 0))

    _write(data_dir, store)
    return writer, viewer


def make_enrolment_token(data_dir: Path) -> str:
    """An enrolment token for any number of agents."""
    token, now_ms = new_token(Prefix.ENROLMENT), int(time.time() * 1000)
    record = EnrolmentRecord(0, "bench", digest(token), "bench", now_ms, now_ms + DAY_MS, ANY_NUMBER)
    _write(data_dir, lambda connection: add_enrolment(connection, record))
    return token


def _write(data_dir: Path, change: Callable[[Connection], object]) -> None:
    async def run() -> None:
        database = open_database(os.environ.get("BONGSU_DATABASE_URL") or f"sqlite:///{data_dir / 'bongsu.db'}")
        await database.write(change)
        await database.close()

    asyncio.run(run())
