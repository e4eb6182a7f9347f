"""API servers that store at the same time, and servers that are deleted meanwhile. SQLite has one writer."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import Connection, text

from bongsu.core.errors import Unavailable
from bongsu.server.database.database import Database, open_database
from bongsu.server.database.dialect import is_distributed
from bongsu.server.database.revisions import SERVERS, add_revision
from bongsu.server.fleet.servers import delete_server
from bongsu.server.storage.batches import Batch, store
from tests.support.pushes import LAYOUT, a_frame

NOW = 1_750_000_000_000


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = open_database(database_url)
    yield opened
    await opened.close()


class Undone(Exception):
    """Ends a transaction without a trace."""


def looks(connection: Connection) -> Iterator[int]:
    """How many transactions wait for a lock, again and again for at least a minute; then the test fails."""
    # On Citus they wait on the nodes.
    waiting = (
        "DISTINCT waiting_gpid) FROM citus_lock_waits"
        if is_distributed(connection)
        else "*) FROM pg_locks WHERE NOT granted"
    )
    for _ in range(6_000):
        connection.execute(text("SELECT pg_sleep(0.01)"))
        yield connection.scalar(text(f"SELECT count({waiting}")) or 0
    raise AssertionError("nobody waited")


@pytest.mark.parametrize("each", [False, True], ids=["at once", "request by request"])
@pytest.mark.parametrize("what", ["layouts", "frames"])
async def test_two_api_servers_that_store_the_same_do_not_wait_for_each_other(
    database: Database, what: str, each: bool
) -> None:
    """Their requests came in opposite orders. Whoever stores one and waits for the next must not be waited for."""
    if database.dialect != "postgresql":
        pytest.skip("SQLite has one writer")
    frames, layouts = ([a_frame(NOW)], []) if what == "frames" else ([], [LAYOUT])
    batches = [Batch(server_id, frames, layouts) for server_id in (1, 2, 3)]
    begun = asyncio.Event()

    def hold_the_second(connection: Connection) -> None:
        store(connection, batches[1:2])
        begun.set()
        next(waiting for waiting in looks(connection) if waiting == 2)
        raise Undone

    holding = asyncio.create_task(database.write(hold_the_second))
    await begun.wait()
    results = await asyncio.gather(
        database.write(lambda connection: store(connection, batches, each=each)),
        database.write(lambda connection: store(connection, batches[::-1], each=each)),
        return_exceptions=True,
    )
    with pytest.raises(Undone):
        await holding
    assert [str(result) for result in results if isinstance(result, Unavailable)] == []


async def test_requests_that_are_counted_one_by_one_are_counted_in_their_order(database: Database) -> None:
    batches = [Batch(server_id, [a_frame(NOW + index) for index in range(server_id)]) for server_id in (3, 1, 2)]
    await database.write(lambda connection: store(connection, [Batch(3, [a_frame(NOW)])]))
    assert await database.write(lambda connection: store(connection, batches, each=True)) == [2, 1, 2]


async def test_no_server_is_deleted_while_frames_of_it_are_stored(database: Database) -> None:
    """The transaction has seen that the server exists, so a deletion waits for its end."""
    if database.dialect != "postgresql":
        pytest.skip("SQLite has one writer")
    await database.write(lambda connection: add_revision(connection, SERVERS))
    deletions: list[asyncio.Task[None]] = []

    def store_slowly(connection: Connection) -> bool:
        store(connection, [Batch(1, [a_frame(NOW)], [LAYOUT])])
        deletion = asyncio.create_task(database.write(lambda connection: delete_server(connection, 1, NOW)))
        deletions.append(deletion)
        next(waiting for waiting in looks(connection) if waiting or deletion.done())
        return deletion.done()

    assert not await database.write(store_slowly)
    await deletions[0]
