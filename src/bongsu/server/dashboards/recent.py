"""Answers to a shared dashboard: a thousand people who look at it cost as much as one."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any

# Some 100 KB each.
MOST_ANSWERS = 256


@dataclass(slots=True)
class _Kept:
    until: float
    answer: "asyncio.Task[bytes]"


class RecentAnswers:
    """One per process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._kept: dict[Hashable, _Kept] = {}

    async def get(self, key: Hashable, seconds: float, make: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        """The answer for a key, made at most once in so many seconds. One that failed is made again for the next."""
        now = self._monotonic()
        kept = self._kept.get(key)
        if kept is None or kept.until <= now or (kept.answer.done() and not _succeeded(kept.answer)):
            self._make_room(now)
            kept = self._kept[key] = _Kept(now + seconds, asyncio.create_task(make(), name="shared answer"))
        # Whoever goes away does not take the answer from the others.
        return await asyncio.shield(kept.answer)

    def _make_room(self, now: float) -> None:
        if len(self._kept) < MOST_ANSWERS:
            return
        over = [key for key, kept in self._kept.items() if kept.until <= now]
        for key in over or list(self._kept)[: MOST_ANSWERS // 4]:
            del self._kept[key]


def _succeeded(task: "asyncio.Task[bytes]") -> bool:
    return not task.cancelled() and task.exception() is None
