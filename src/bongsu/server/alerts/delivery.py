"""Sends what is queued: one task a channel, so that a slow one delays no other.

A notification is marked as being sent before it is, and recorded after. A worker that ends in between leaves the mark,
and whoever has the channel next sends it again, marked as possibly a repeat: at least once, never silently lost.
"""

import asyncio
import logging
import random
from datetime import timedelta
from functools import partial

import httpx
from sqlalchemy import Connection

from bongsu.alerts.alert import Alert, Event
from bongsu.alerts.channels import CHANNELS
from bongsu.alerts.errors import ChannelError
from bongsu.alerts.message import Message, build
from bongsu.alerts.pipeline import urgency
from bongsu.alerts.rules import Rule
from bongsu.core.clock import Clock
from bongsu.core.errors import BongsuError, NotFound
from bongsu.server.alerts.acknowledge import acknowledge_url
from bongsu.server.alerts.channels import open_channel, settings_of
from bongsu.server.alerts.explain import Explainer
from bongsu.server.alerts.queries.channels import StoredChannel, find_channel
from bongsu.server.alerts.queries.notifications import (
    StoredNotification,
    alerts_of,
    record,
    take_next,
    waiting_channels,
)
from bongsu.server.alerts.queries.rules import find_rule
from bongsu.server.config import Settings
from bongsu.server.database.database import Database
from bongsu.server.database.leases import claim, release, worker_name
from bongsu.server.vault import Vault

logger = logging.getLogger(__name__)

# 15 s, 30 s, 1 m, ... 30 m, at random within a fifth: twelve attempts reach over some three hours.
FIRST_WAIT_SECONDS = 15.0
LONGEST_WAIT_SECONDS = 1_800.0
MOST_ATTEMPTS = 12
# Of everything about one message: explaining, drawing, sending to several numbers.
WHOLE_SECONDS = 20.0
# Longer than one message can take, so that nobody else sends it meanwhile; after a crash others wait for it.
LEASE_MS = 28_000


def backoff(attempts: int, asked: timedelta | None, chance: float) -> float:
    """Seconds until the next attempt; never before the vendor wants one. ``chance``: 0 to 1."""
    wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** (attempts - 1)) * (0.8 + 0.4 * chance)
    return max(wait, asked.total_seconds() if asked else 0.0)


class Delivery:
    """The notifications of all channels that this worker has the lease of."""

    def __init__(
        self, settings: Settings, database: Database, clock: Clock, vault: Vault, http: httpx.AsyncClient
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._vault = vault
        self._http = http
        self._explainer = Explainer(database, settings.limits)
        self._owner = worker_name()
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def start_due(self) -> None:
        """Starts a task for each channel that has something waiting, unless it has one."""
        for channel_id in await self._database.read(waiting_channels):
            task = self._tasks.get(channel_id)
            if task is None or task.done():
                self._tasks[channel_id] = asyncio.create_task(self._guarded(channel_id), name=f"channel-{channel_id}")

    async def settle(self) -> None:
        """Waits for what is being sent."""
        await asyncio.gather(*self._tasks.values())

    async def stop(self) -> None:
        """Ends what is being sent; it will be sent again."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        leases = [f"channel/{channel_id}" for channel_id in self._tasks]
        if leases:
            await self._database.write(lambda connection: release(connection, leases, self._owner))

    async def _guarded(self, channel_id: int) -> None:
        try:
            await self._drain(channel_id)
        except Exception:
            logger.exception("channel %d: notifications cannot be sent; trying again", channel_id)

    async def _drain(self, channel_id: int) -> None:
        while (one := await self._database.write(partial(self._take, channel_id))) is not None:
            pause = await self._deliver(one)
            if pause:
                await asyncio.sleep(pause)

    def _take(self, channel_id: int, connection: Connection) -> StoredNotification | None:
        now_ms = self._clock.now_ms()
        lease = [f"channel/{channel_id}"]
        if not claim(connection, lease, self._owner, now_ms, now_ms + LEASE_MS):
            return None
        one = take_next(connection, channel_id, self._owner, now_ms)
        if one is None:
            release(connection, lease, self._owner)
        return one

    async def _deliver(self, one: StoredNotification) -> float:
        """Sends one and records it. Returns how long the channel wants to rest."""
        pause = 0.0
        try:
            stored = await self._database.read(lambda connection: find_channel(connection, one.channel_id))
            channel = open_channel(stored, self._vault, self._http)
            pause = channel.pause_seconds
            async with asyncio.timeout(WHOLE_SECONDS):
                message = await self._message(one, stored)
                answer = await channel.send(message)
        except TimeoutError:
            await self._failed(one, ChannelError(f"It took longer than {WHOLE_SECONDS:g} s.", retryable=True))
        except ChannelError as error:
            await self._failed(one, error)
        except NotFound as error:
            await self._failed(one, ChannelError(error.message, retryable=False))
        except BongsuError as error:
            await self._failed(one, ChannelError(f"The channel cannot be used: {error.message}", retryable=False))
        except Exception as error:
            # A bug in a channel must not stop the others, nor lose the notification. Its text may hold a secret.
            logger.error("notification %d: %s", one.id, type(error).__name__)
            await self._failed(one, ChannelError(f"It failed: {type(error).__name__}.", retryable=True))
        else:
            now_ms = self._clock.now_ms()
            one.state, one.sent_ms = "sent", now_ms
            said = "sent, possibly a repeat" if one.repeated else "sent"
            await self._database.write(lambda connection: record(connection, one, now_ms, said, answer))
        return pause

    async def _failed(self, one: StoredNotification, error: ChannelError) -> None:
        now_ms = self._clock.now_ms()
        if error.retryable and one.attempts < MOST_ATTEMPTS:
            wait = backoff(one.attempts, error.retry_after, random.random())  # noqa: S311
            one.state, one.due_ms = "queued", now_ms + round(wait * 1000)
            outcome, detail = "failed", f"{error.message} Attempt {one.attempts}; again in {wait:.0f} s."
        else:
            one.state = "dead"
            why = f"after {one.attempts} attempts" if error.retryable else "trying again would not help"
            outcome, detail = "given up", f"{error.message} ({why})"
            logger.warning("notification %d to %s was given up: %s", one.id, one.channel_name, error.message)
        await self._database.write(lambda connection: record(connection, one, now_ms, outcome, detail))

    async def _message(self, one: StoredNotification, stored: StoredChannel) -> Message:
        def read(connection: Connection) -> tuple[list[Alert], Rule]:
            alerts = sorted(alerts_of(connection, one.id), key=urgency)
            if not alerts:
                raise NotFound("Its alerts are no more.")
            return alerts, find_rule(connection, alerts[0].rule_id).rule

        settings = settings_of(stored)
        now_ms = self._clock.now_ms()
        alerts, rule = await self._database.read(read)
        explanation = await self._explainer.explain(
            alerts[0], rule, settings.timezone, now_ms, chart=CHANNELS[stored.type].wants_chart
        )
        return build(
            alerts,
            rule,
            explanation,
            number=one.id,
            event=Event(one.event),
            language=settings.language,
            zone=settings.timezone,
            now_ms=one.created_ms,
            public_url=self._settings.public_url,
            acknowledge_url=acknowledge_url(self._vault, self._settings.public_url, alerts[0].id, now_ms),
            repeated=one.repeated,
        )
