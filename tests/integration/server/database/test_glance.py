"""Readers that poll read only after a commit, where the database tells of one."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
from sqlalchemy import Connection

from bongsu.core.errors import Unavailable
from bongsu.server.database.database import Database, Glance, open_database
from bongsu.server.database.revisions import SERVERS, add_revision, bump_revision, load_revisions


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = open_database(database_url)
    await database.write(partial(add_revision, part=SERVERS))
    await database.read(load_revisions)  # a connection that is opened sets up the file, which counts as a commit
    yield database
    await database.close()


async def revision(glance: Glance) -> int | None:
    found = await glance.read(load_revisions)
    return None if found is None else found[SERVERS]


async def test_what_is_committed_is_seen_by_the_next_look(database: Database, database_url: str) -> None:
    glance = Glance(database)
    first = await revision(glance)
    assert first is not None
    await database.write(partial(bump_revision, part=SERVERS))
    assert await revision(glance) == first + 1
    other = open_database(database_url)
    await other.write(partial(bump_revision, part=SERVERS))
    await other.close()
    assert await revision(glance) == first + 2


async def test_without_a_commit_sqlite_is_not_read_again(database: Database) -> None:
    glance = Glance(database)
    first = await revision(glance)
    await database.read(load_revisions)
    assert await revision(glance) == (None if database.dialect == "sqlite" else first)
    glance.forget()
    assert await revision(glance) == first


async def test_what_could_not_be_read_is_read_the_next_time(database: Database) -> None:
    glance = Glance(database)

    def fail(_: Connection) -> None:
        raise Unavailable

    with pytest.raises(Unavailable):
        await glance.read(fail)
    assert await revision(glance) is not None


async def test_a_commit_while_it_reads_is_not_missed(database: Database) -> None:
    glance = Glance(database)
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def commit() -> None:
        await reading.wait()
        await database.write(partial(bump_revision, part=SERVERS))
        go_on.set()

    class Slow:
        """Reads, and returns when something else has been committed."""

        version = staticmethod(database.version)

        async def read(self, function):  # type: ignore[no-untyped-def]
            result = await database.read(function)
            reading.set()
            await go_on.wait()
            return result

    glance._database = Slow()  # type: ignore[assignment]
    before, _ = await asyncio.gather(revision(glance), commit())
    assert before is not None
    assert await revision(glance) == before + 1
