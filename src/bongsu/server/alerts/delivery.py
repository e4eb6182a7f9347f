"""Sends queued notifications, with one task per channel, so that a slow channel does not delay others.

A notification is marked before it is sent, and its outcome is recorded afterwards. If a worker dies in between, the
worker that takes over the channel sends it again, marked as a possible repeat: at least once, never silently lost.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from bongsu.alerts.alert import Alert, Event, Outcome
from bongsu.alerts.channels import CHANNELS, ChannelError
from bongsu.alerts.channels.addresses import Addresses
from bongsu.alerts.message import Message, build
from bongsu.alerts.notes import Code, Note, note
from bongsu.alerts.pipeline import urgency
from bongsu.alerts.rules import Rule
from bongsu.core.clock import Clock
from bongsu.core.errors import BongsuError
from bongsu.server.alerts.acknowledge import acknowledge_url
from bongsu.server.alerts.channels import open_channel, settings_of
from bongsu.server.alerts.explain import Explainer
from bongsu.server.alerts.queries.channels import StoredChannel, find_channel
from bongsu.server.alerts.queries.notifications import StoredNotification, load_notified_alerts
from bongsu.server.alerts.queries.queue import (
    anything_queued,
    hold_channel,
    record_attempt,
    take_next,
    waiting_channels,
)
from bongsu.server.alerts.queries.rules import find_rule
from bongsu.server.config import Settings
from bongsu.server.database.database import Database, Glance
from bongsu.server.database.leases import claim, release, worker_name
from bongsu.server.vault import Vault

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

# 15 s, 30 s, 1 m, ... 30 m, varied at random by up to a fifth. Twelve attempts take some three hours.
FIRST_WAIT_SECONDS = 15.0
LONGEST_WAIT_SECONDS = 1_800.0
MOST_ATTEMPTS = 12
# For all work on one message: reading history, drawing a chart, sending to several numbers.
WHOLE_SECONDS = 20.0
# Longer than one message can take, so that no other worker sends it too. After a crash others wait this long.
LEASE_MS = 28_000


def backoff(attempts: int, retry_after: timedelta | None, chance: float) -> float:
    """Seconds until the next attempt, not before ``retry_after``. ``chance``: a random number from 0 to 1."""
    wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** (attempts - 1)) * (0.8 + 0.4 * chance)
    return max(wait, retry_after.total_seconds() if retry_after else 0.0)


class Delivery:
    """Sends the notifications of the channels whose leases this worker holds."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        vault: Vault,
        http: Callable[[], "httpx.AsyncClient"],
    ) -> None:
        """``http``: called when there is something to send."""
        self._settings = settings
        self._database = database
        self._glance = Glance(database)
        self._clock = clock
        self._vault = vault
        self._http = http
        self._addresses = Addresses(settings.alert_allowed_addresses)
        self._explainer = Explainer(database, settings.limits)
        self._owner = worker_name()
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def start_due(self) -> None:
        """Starts a task for each channel that has notifications to send and no running task."""
        now_ms = self._clock.now_ms()
        channels = await self._glance.read(
            lambda connection: waiting_channels(connection, now_ms) if anything_queued(connection) else None
        )
        if channels is None:
            return
        self._glance.forget()  # what is queued becomes due with time
        for channel_id in channels:
            task = self._tasks.get(channel_id)
            if task is None or task.done():
                self._tasks[channel_id] = asyncio.create_task(self._guarded(channel_id), name=f"channel-{channel_id}")

    async def settle(self) -> None:
        """Waits for the running tasks."""
        await asyncio.gather(*self._tasks.values())

    async def stop(self) -> None:
        """Cancels the running tasks; their notifications will be sent again."""
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
            logger.exception("channel %d: cannot deliver notifications; trying again", channel_id)

    async def _drain(self, channel_id: int) -> None:
        while (notification := await self._database.write(partial(self._take, channel_id))) is not None:
            pause = await self._deliver(notification)
            if pause:
                await asyncio.sleep(pause)

    def _take(self, channel_id: int, connection: Connection) -> StoredNotification | None:
        now_ms = self._clock.now_ms()
        lease = [f"channel/{channel_id}"]
        if not claim(connection, lease, self._owner, now_ms, now_ms + LEASE_MS):
            return None
        notification = take_next(connection, channel_id, self._owner, now_ms)
        if notification is None:
            release(connection, lease, self._owner)
        return notification

    async def _deliver(self, notification: StoredNotification) -> float:
        """Sends a notification and records the outcome. Returns the pause in seconds that the channel needs."""
        pause = 0.0
        message: Message | None = None
        try:
            stored = await self._database.read(lambda connection: find_channel(connection, notification.channel_id))
            channel = open_channel(stored, self._vault, self._http(), self._addresses)
            pause = channel.pause_seconds
            async with asyncio.timeout(WHOLE_SECONDS):
                message = await self._message(notification, stored)
                answer = await channel.send(message)
        except TimeoutError:
            error = ChannelError(note(Code.SENDING_TOO_LONG, limit_seconds=WHOLE_SECONDS), retryable=True)
        except ChannelError as channel_error:
            error = channel_error
        except BongsuError as problem:
            error = ChannelError(note(Code.CHANNEL_UNUSABLE, problem=problem.message), retryable=False)
        except Exception as bug:
            # A bug in a channel must not stop others nor lose the notification. Its text may contain a secret.
            logger.error("notification %d: %s", notification.id, type(bug).__name__)
            error = ChannelError(note(Code.SENDING_FAILED, problem=type(bug).__name__), retryable=True)
        else:
            now_ms = self._clock.now_ms()
            notification.state, notification.sent_ms = "sent", now_ms
            outcome = Outcome.SENT_AGAIN if notification.repeated else Outcome.SENT
            await self._record(notification, outcome, answer, [note(Code.ANSWERED, answer=answer)])
            return pause
        if message is not None:
            notification.delivered = message.delivered
        await self._failed(notification, error)
        return pause

    async def _failed(self, notification: StoredNotification, error: ChannelError) -> None:
        now_ms = self._clock.now_ms()
        attempts = notification.attempts
        if error.retryable and attempts < MOST_ATTEMPTS:
            wait = backoff(attempts, error.retry_after, random.random())  # noqa: S311
            notification.state, notification.due_ms = "queued", now_ms + round(wait * 1000)
            outcome, further = Outcome.FAILED, note(Code.TRIES_AGAIN, attempt=attempts, wait_seconds=round(wait))
            detail = f"{error.message} {further.text}"
        else:
            notification.state = "dead"
            outcome = Outcome.GIVEN_UP
            further = note(Code.GAVE_UP, count=attempts) if error.retryable else note(Code.RETRY_IN_VAIN)
            detail = f"{error.message} ({further.text})"
            logger.warning(
                "gave up on notification %d to %s: %s", notification.id, notification.channel_name, error.message
            )
        held_until_ms = now_ms + round(error.retry_after.total_seconds() * 1000) if error.retry_after else 0
        await self._record(notification, outcome, detail, [error.note, further], held_until_ms)

    async def _record(
        self,
        notification: StoredNotification,
        outcome: Outcome,
        detail: str,
        notes: Sequence[Note],
        held_until_ms: int = 0,
    ) -> None:
        """``held_until_ms``: the service wants nothing before this time, so the channel's other messages wait too."""
        now_ms = self._clock.now_ms()

        def record(connection: Connection) -> None:
            record_attempt(connection, notification, self._owner, now_ms, outcome, detail, notes)
            if held_until_ms:
                hold_channel(connection, notification.channel_id, held_until_ms)

        await self._database.write(record)

    async def _message(self, notification: StoredNotification, stored: StoredChannel) -> Message:
        def read(connection: Connection) -> tuple[list[Alert], Rule]:
            alerts = sorted(load_notified_alerts(connection, notification.id), key=urgency)
            if not alerts:
                raise ChannelError(note(Code.ALERTS_DELETED), retryable=False)
            return alerts, find_rule(connection, alerts[0].rule_id, deleted=True).rule

        settings = settings_of(stored)
        now_ms = self._clock.now_ms()
        alerts, rule = await self._database.read(read)
        explanation = await self._explainer.explain(
            alerts[0], rule, settings.timezone, now_ms, chart=CHANNELS[stored.type].wants_chart
        )
        message = build(
            alerts,
            rule,
            explanation,
            notification_id=notification.id,
            event=Event(notification.event),
            language=settings.language,
            zone=settings.timezone,
            now_ms=notification.created_ms,
            public_url=self._settings.public_url,
            acknowledge_url=acknowledge_url(self._vault, self._settings.public_url, notification.id, now_ms),
            repeated=notification.repeated,
            sent_ms=now_ms,
        )
        message.delivered = list(notification.delivered)
        return message
