"""uvicorn's server without its clock, which wakes the process ten times a second."""

import asyncio
from types import FrameType

import uvicorn


class Server(uvicorn.Server):
    """Sleeps until a signal. uvicorn would wake to renew a Date header, which is off, and to check a limit of requests,
    which is not set."""

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._signalled = asyncio.Event()
        if not await self.on_tick(0):
            await self._signalled.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if hasattr(self, "_loop"):  # otherwise it is still starting, and main_loop ends at once
            self._loop.call_soon_threadsafe(self._signalled.set)
