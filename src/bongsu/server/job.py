"""The base class of background jobs."""

import asyncio
from abc import ABC, abstractmethod

from bongsu.core.clock import Clock
from bongsu.server.config import Settings
from bongsu.server.database.database import Database


class Job(ABC):
    """Something the worker does every ``every_seconds``, beside the other jobs.

    Each of its transactions is short (under ~10 ms), and whatever it does may be cut off at any point and done again.
    """

    name: str
    every_seconds: float

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self.settings = settings
        self.database = database
        self.clock = clock

    @abstractmethod
    async def run(self, stopping: asyncio.Event) -> None:
        """Does, or starts, what is due now, and returns; early, between two transactions, when ``stopping`` is set."""

    async def close(self) -> None:  # noqa: B027
        """Ends what ``run`` has started. Called once, when the worker stops, after the last ``run``."""
