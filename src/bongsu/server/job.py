"""The base class of background jobs, and what they do with an item that fails."""

import asyncio
import contextlib
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bongsu.core.clock import Clock
from bongsu.core.errors import Unavailable
from bongsu.core.units import MINUTE_MS
from bongsu.server.config import Settings
from bongsu.server.database.database import Database

logger = logging.getLogger(__name__)

T = TypeVar("T")

# A damaged row stays damaged: trying it at each run would fill the log and take the time of the others.
RETRY_MS = 10 * MINUTE_MS


def from_anywhere(items: Sequence[T]) -> list[T]:
    """The items in the same order, but beginning with any of them: two workers that go through the same items then do
    not meet at each, and each skips what the other has done."""
    first = random.randrange(len(items)) if items else 0  # noqa: S311
    return [*items[first:], *items[:first]]


@dataclass(slots=True)
class Failure:
    """An item that a job could not process."""

    what: str
    reason: str
    since_ms: int
    retry_ms: int


class Failures:
    """The items of a job that failed. Each waits for RETRY_MS before it is tried again; the other items go on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed: dict[Hashable, Failure] = {}

    def waits(self, item: Hashable) -> bool:
        """Whether the item failed and is not due again yet."""
        failure = self._failed.get(item)
        return failure is not None and failure.retry_ms > self._clock.now_ms()

    @contextlib.contextmanager
    def isolated(self, item: Hashable, what: str) -> Iterator[None]:
        """Keeps a failure of this item from the others. ``what``: how to name it to people.

        Raises:
            Unavailable: the whole database fails, not only this item.
        """
        try:
            yield
        except Unavailable:
            raise
        except Exception as error:
            now_ms = self._clock.now_ms()
            known = self._failed.get(item)
            if known is None:
                logger.exception("%s failed; trying it again every %d minutes", what, RETRY_MS // MINUTE_MS)
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            self._failed[item] = Failure(what, reason, known.since_ms if known else now_ms, now_ms + RETRY_MS)
        else:
            if self._failed.pop(item, None):
                logger.info("%s works again", what)

    def forget(self, item: Hashable) -> None:
        """Forgets an item that is gone, or has changed: it need not wait."""
        self._failed.pop(item, None)

    def forget_older(self) -> None:
        """Forgets items that nobody has tried for long: they are gone."""
        before_ms = self._clock.now_ms() - 6 * RETRY_MS
        self._failed = {item: failure for item, failure in self._failed.items() if failure.retry_ms > before_ms}

    def oldest_first(self) -> list[Failure]:
        """The present failures."""
        return sorted(self._failed.values(), key=lambda failure: failure.since_ms)


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
        self.failures = Failures(clock)

    @abstractmethod
    async def run(self, stopping: asyncio.Event) -> None:
        """Does, or starts, what is due now, and returns; early, between two transactions, when ``stopping`` is set."""

    async def close(self) -> None:  # noqa: B027
        """Ends what ``run`` has started. Called once, when the worker stops, after the last ``run``."""
