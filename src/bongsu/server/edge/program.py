"""uvicorn's server without its clock, which wakes the process ten times a second, and without its lifespan, which makes
a traceback of whatever keeps the application from starting."""

import asyncio
import contextlib
import socket
from contextlib import AbstractAsyncContextManager
from types import FrameType

import uvicorn


class Server(uvicorn.Server):
    """Sleeps until a signal. uvicorn would wake to renew a Date header, which is off, and to check a limit of requests,
    which is not set."""

    def __init__(self, config: uvicorn.Config, lifespan: AbstractAsyncContextManager[None]) -> None:
        """``lifespan`` is entered before the first request and left after the last; what it raises, ``run`` raises."""
        super().__init__(config)
        self._lifespan = lifespan
        self._entered = contextlib.AsyncExitStack()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self._entered.enter_async_context(self._lifespan)
        try:
            await super().startup(sockets)
        except BaseException:
            await self._entered.aclose()
            raise

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        await self._entered.aclose()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._signalled = asyncio.Event()
        if not await self.on_tick(0):
            await self._signalled.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if hasattr(self, "_loop"):  # otherwise it is still starting, and main_loop ends at once
            self._loop.call_soon_threadsafe(self._signalled.set)
