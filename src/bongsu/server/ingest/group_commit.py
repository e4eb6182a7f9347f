"""Group commit: the frames of many requests in one transaction; each request continues when its frames are on disk.

A transaction costs one sync of the disk, some milliseconds, whether it holds one frame or a thousand. While one commit
runs, the next one collects, so the latency of a request is at most two commits plus PERIOD_SECONDS.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from bongsu.core.errors import BongsuError, Unavailable
from bongsu.server.database.database import Database
from bongsu.server.storage.batches import Batch, SomeStoredAlready, store

logger = logging.getLogger(__name__)

# A commit begins this long after the previous one began, or as soon as ENOUGH_BATCHES requests wait: at 100 requests/s
# two or three share a sync, at 5,000/s nobody waits. With 64 busy connections, always waiting 4 ms costs 35 %.
PERIOD_SECONDS = 0.02
ENOUGH_BATCHES = 16
# Batches in one transaction; the rest wait for the next one, so that no transaction takes longer than some tens of
# milliseconds.
MAX_BATCHES = 2_048


class GroupCommit:
    """Writes batches in groups. Calls ``committed(batches, counts)`` on the event loop after each commit."""

    def __init__(
        self,
        database: Database,
        *,
        queue_bytes: int,
        committed: Callable[[list[Batch], list[int]], None],
        failed: Callable[[Unavailable], None],
    ) -> None:
        self._database = database
        self._queue_limit = queue_bytes
        self._committed = committed
        self._failed = failed
        self._queue: list[tuple[Batch, asyncio.Future[int]]] = []
        self._queued_bytes = 0
        self._arrived = asyncio.Event()
        self._enough = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def queued_bytes(self) -> int:
        """Bytes of values that wait for the disk."""
        return self._queued_bytes

    def start(self) -> None:
        """Starts writing. Needs a running event loop."""
        self._task = asyncio.create_task(self._run(), name="group-commit")

    async def stop(self) -> None:
        """Writes what is queued and stops."""
        while self._queue:
            await asyncio.wait([future for _, future in self._queue])
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def commit(self, batch: Batch, size_bytes: int) -> int:
        """Returns the number of new frames when the batch is on disk.

        Raises:
            Unavailable: the queue or the disk is full. Nothing of the batch was stored.
        """
        self._check_queue(size_bytes)
        future = self._put(batch, size_bytes)
        try:
            return await future
        finally:
            self._queued_bytes -= size_bytes

    async def commit_all(self, batches: Sequence[tuple[Batch, int]]) -> None:
        """Returns when these batches, each with its size in bytes, are on disk; they may be parts of different groups.

        Raises:
            Unavailable: the queue or the disk is full. Some of them may have been stored.
        """
        size_bytes = sum(size for _, size in batches)
        self._check_queue(size_bytes)
        futures = [self._put(batch, size) for batch, size in batches]
        errors: list[Exception] = []
        try:
            for future in futures:
                try:
                    await future
                except Exception as error:
                    errors.append(error)
        finally:
            self._queued_bytes -= size_bytes
            for future in futures:
                future.cancel()  # those that nobody waits for any more
        if errors:
            raise errors[0]

    def _check_queue(self, size_bytes: int) -> None:
        if self._queued_bytes + size_bytes > self._queue_limit:
            raise Unavailable("Too many frames are waiting for the disk.", code="queue_full")

    def _put(self, batch: Batch, size_bytes: int) -> asyncio.Future[int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._queue.append((batch, future))
        self._queued_bytes += size_bytes
        self._arrived.set()
        if len(self._queue) >= ENOUGH_BATCHES:
            self._enough.set()
        return future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time() - PERIOD_SECONDS
        while True:
            await self._arrived.wait()
            wait = began + PERIOD_SECONDS - loop.time()
            if wait > 0 and len(self._queue) < ENOUGH_BATCHES:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._enough.wait(), wait)
            began = loop.time()
            group, self._queue = self._queue[:MAX_BATCHES], self._queue[MAX_BATCHES:]
            if not self._queue:
                self._arrived.clear()
            self._enough.clear()
            await self._write(group)

    async def _write(self, group: list[tuple[Batch, asyncio.Future[int]]]) -> None:
        batches = [batch for batch, _ in group]
        try:
            try:
                counts = await self._database.write(lambda connection: store(connection, batches))
            except SomeStoredAlready:
                counts = await self._database.write(lambda connection: store(connection, batches, each=True))
        except Unavailable as error:
            self._failed(error)
            _fail(group, error)
        except Exception as error:
            if len(group) > 1:
                # One of them is the cause; the others must not share its fate.
                for single in group:
                    await self._write([single])
                return
            if not isinstance(error, BongsuError):
                logger.exception("a request of server %d could not be stored", batches[0].server_id)
            _fail(group, error)
        else:
            try:
                self._committed(batches, counts)
            except Exception:  # the frames are stored: the agents need not know, and the next group must be written
                logger.exception("%d requests were stored but not counted", len(group))
            for (_, future), count in zip(group, counts, strict=True):
                if not future.done():  # cancelled: nobody is waiting
                    future.set_result(count)


def _fail(group: list[tuple[Batch, asyncio.Future[int]]], error: Exception) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(error)
