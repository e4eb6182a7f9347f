"""A transaction on the database of the settings, for commands that run beside an API server or without one."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from bongsu.server.config import Settings
from bongsu.server.database.database import open_database
from bongsu.server.database.migrations import upgrade

T = TypeVar("T")


def in_transaction(settings: Settings, function: Callable[[Connection], T]) -> T:
    """Runs ``function`` in a transaction, upgrading the tables first if needed."""

    def change(connection: Connection) -> T:
        upgrade(connection)
        return function(connection)

    async def run() -> T:
        database = open_database(settings.effective_database_url)
        try:
            return await database.write(change)
        finally:
            await database.close()

    return asyncio.run(run())
