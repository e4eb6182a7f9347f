"""What a background job is."""

import asyncio
from abc import ABC, abstractmethod

from bongsu.core.clock import Clock
from bongsu.server.config import Settings
from bongsu.server.database.database import Database


class Job(ABC):
    """Something the worker does every ``every_seconds``.

    Each of its transactions is short (under ~10 ms), and whatever it does may be cut off at any point and be done
    again.
    """

    name: str
    every_seconds: float

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self.settings = settings
        self.database = database
        self.clock = clock

    @abstractmethod
    async def run(self, stopping: asyncio.Event) -> None:
        """Does all there is to do now; returns early, between two transactions, when ``stopping`` is set."""

    async def close(self) -> None:  # noqa: B027
        """At an orderly end of the worker, after the last ``run``; nothing by default."""
