"""Answers to a shared dashboard: a thousand people who look at it cost as much as one."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any

MOST_ANSWERS = 256
MOST_BYTES = 32 << 20


@dataclass(slots=True)
class _Kept:
    until: float
    answer: "asyncio.Task[bytes]"

    @property
    def succeeded(self) -> bool:
        return self.answer.done() and not self.answer.cancelled() and self.answer.exception() is None

    @property
    def bytes(self) -> int:
        return len(self.answer.result()) if self.succeeded else 0


class RecentAnswers:
    """One per process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._kept: dict[Hashable, _Kept] = {}

    async def get(self, key: Hashable, seconds: float, make: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        """The answer for a key, made at most once in so many seconds. One that failed is made again for the next."""
        now = self._monotonic()
        self._forget(now)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = _Kept(now + seconds, asyncio.create_task(make(), name="shared answer"))
        # Whoever goes away does not take the answer from the others.
        return await asyncio.shield(kept.answer)

    def _forget(self, now: float) -> None:
        """What is too old or failed, and the oldest of too much."""
        self._kept = {
            key: kept
            for key, kept in self._kept.items()
            if now < kept.until and (kept.succeeded or not kept.answer.done())
        }
        size = sum(kept.bytes for kept in self._kept.values())
        for key in list(self._kept):
            if len(self._kept) < MOST_ANSWERS and size <= MOST_BYTES:
                break
            size -= self._kept.pop(key).bytes
