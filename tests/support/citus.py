"""Databases on a real Citus, whose coordinator ``BONGSU_TEST_CITUS_URL`` names: a database in which the extension is
installed and the worker nodes are added, and a user who may create databases on all of them.

Each test has a database of its own, with the same name on each node: a copy of a template on each.
"""

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import asyncpg
import pytest
from sqlalchemy import URL, make_url

from bongsu.core.clock import SystemClock
from bongsu.server.commands.distribute import distribute
from bongsu.server.database.database import open_database
from bongsu.server.database.migrations import upgrade
from tests.support.postgres import run

VARIABLE = "BONGSU_TEST_CITUS_URL"
# As few as show that a query goes to several, on two nodes: making a database takes its time for each.
SHARDS = 4
_PREFIX = f"bongsu_test_{os.getpid()}"
_numbers = itertools.count(1)


def citus_url() -> str | None:
    """The coordinator; None: there is none to test with."""
    return os.environ.get(VARIABLE) or None


class Citus:
    """The nodes of a Citus: the coordinator, then its workers."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._nodes: list[tuple[str, int]] = [(self._url.host or "localhost", self._url.port or 5432)]
        self._made: set[str] = set()
        run(self._find_workers())

    def url(self, name: str, node: int = 0) -> URL:
        """The database of this name on a node."""
        host, port = self._nodes[node]
        return self._url.set(database=name, host=host, port=port)

    def new(self, name: str, template: str | None = None) -> str:
        """Makes a database on all nodes. Returns its URL on the coordinator."""
        run(self._on_all(partial(self._create, name, template or "template1")))
        self._made.add(name)
        if template is None:
            run(self._join(name))
        return self.url(name).render_as_string(hide_password=False)

    def drop(self, name: str) -> None:
        """Drops a database on all nodes."""
        run(self._on_all(partial(self._drop, name)))
        self._made.discard(name)

    def drop_all(self) -> None:
        """Drops what was made."""
        for name in list(self._made):
            self.drop(name)

    async def _find_workers(self) -> None:
        connection = await self._connect(str(self._url.database))
        rows = await connection.fetch("SELECT nodename, nodeport FROM pg_dist_node WHERE groupid <> 0 ORDER BY nodeid")
        await connection.close()
        self._nodes += [(row["nodename"], row["nodeport"]) for row in rows]

    async def _on_all(self, function: Callable[[asyncpg.Connection], Awaitable[None]]) -> None:
        async def on(node: int) -> None:
            connection = await self._connect("postgres", node)
            try:
                await function(connection)
            finally:
                await connection.close()

        await asyncio.gather(*(on(node) for node in range(len(self._nodes))))

    @staticmethod
    async def _create(name: str, template: str, connection: asyncpg.Connection) -> None:
        # The daemon of Citus is connected to the template.
        others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1"
        await connection.execute(others, template)
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')

    @staticmethod
    async def _drop(name: str, connection: asyncpg.Connection) -> None:
        for attempt in range(1, 6):
            try:
                await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
                return
            except asyncpg.ObjectInUseError:  # the daemon of Citus has just started again
                if attempt == 5:
                    raise

    async def _join(self, name: str) -> None:
        """Installs Citus in a new database, and adds the workers."""
        for node in range(len(self._nodes)):
            connection = await self._connect(name, node)
            await connection.execute("CREATE EXTENSION citus")
            await connection.close()
        connection = await self._connect(name)
        await connection.execute("SELECT citus_set_coordinator_host($1, $2)", *self._nodes[0])
        for host, port in self._nodes[1:]:
            await connection.execute("SELECT citus_add_node($1, $2)", host, port)
        await connection.close()

    async def _connect(self, name: str, node: int = 0) -> asyncpg.Connection:
        return await asyncpg.connect(self.url(name, node).render_as_string(hide_password=False))


async def _make_tables(url: str) -> None:
    database = open_database(url)
    await database.write(upgrade, patient=True)
    async for _ in distribute(database, SystemClock(), SHARDS):
        pass
    await database.close()


@pytest.fixture(scope="session")
def citus() -> Iterator[Citus]:
    """The nodes."""
    url = citus_url()
    if url is None:
        pytest.skip(f"{VARIABLE} is not set")
    nodes = Citus(url)
    yield nodes
    nodes.drop_all()


@pytest.fixture(scope="session")
def citus_templates(citus: Citus) -> tuple[str, str]:
    """The names of two databases: with Citus alone, and with all tables distributed."""
    empty, full = f"{_PREFIX}_empty", f"{_PREFIX}_full"
    citus.new(empty)
    run(_make_tables(citus.new(full, empty)))
    return empty, full


@pytest.fixture
def new_citus_database(citus: Citus, citus_templates: tuple[str, str]) -> Iterator[Callable[..., str]]:
    """Each call makes a database, with all tables distributed if not ``empty``, and returns its URL; it is dropped after
    the test."""
    names: list[str] = []

    def new(*, empty: bool = False) -> str:
        names.append(f"{_PREFIX}_{next(_numbers)}")
        return citus.new(names[-1], citus_templates[0 if empty else 1])

    yield new
    for name in names:
        citus.drop(name)
