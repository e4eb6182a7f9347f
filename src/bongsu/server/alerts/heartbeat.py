"""The heartbeat: a GET of ``alert_heartbeat_url`` after healthy evaluations. When it stops, Bongsu itself is down."""

import asyncio
import logging

from bongsu.alerts.channels.base import SEND_TIMEOUT_SECONDS
from bongsu.core.clock import Clock
from bongsu.core.units import parse_duration_ms
from bongsu.server.config import Settings

logger = logging.getLogger(__name__)


class Heartbeat:
    """Sends in the background, so that a slow receiver does not delay the evaluation."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._url = settings.alert_heartbeat_url
        self._every_seconds = parse_duration_ms(settings.alert_heartbeat_interval) / 1000
        self._clock = clock
        self._sent = -float("inf")
        self._task: asyncio.Task[None] | None = None

    def send_if_due(self) -> None:
        now = self._clock.monotonic()
        sending = self._task is not None and not self._task.done()
        if self._url and not sending and now - self._sent >= self._every_seconds:
            self._sent = now
            self._task = asyncio.create_task(self._send(), name="heartbeat")

    async def settle(self) -> None:
        """Waits for the heartbeat that is being sent."""
        if self._task is not None:
            await self._task

    async def _send(self) -> None:
        import httpx

        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS), httpx.AsyncClient() as http:
                (await http.get(self._url)).raise_for_status()
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
            # Without the URL, which may contain a token.
            logger.warning("cannot send the heartbeat: %s", type(error).__name__)
