"""/api/alerts/channels: where notifications are sent. For admins."""

from typing import Any

import httpx
from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from bongsu.alerts.channels import ChannelError
from bongsu.alerts.message import build_test
from bongsu.server.alerts.channels import ChannelSettings, check_config, encode, open_channel, secrets_of, settings_of
from bongsu.server.alerts.queries.channels import (
    StoredChannel,
    delete_channel,
    find_channel,
    load_channels,
    store_channel,
)
from bongsu.server.api.access import Admin
from bongsu.server.api.dependencies import RowId, ServicesDep
from bongsu.server.auth.audit import record
from bongsu.server.vault import Vault, WrongSecret

router = APIRouter(prefix="/api/alerts/channels", tags=["alerts"])


class ChannelInfo(BaseModel):
    """A channel, without its secrets."""

    id: int
    channel: ChannelSettings
    secrets: list[str] = Field(
        description="The names of the secret settings that are set; their values are never shown."
    )
    problem: str | None = Field(
        description="Why it cannot be used, for example because the secret key has changed; null: it can."
    )
    created_ms: int
    updated_ms: int


class Channels(BaseModel):
    """All channels."""

    channels: list[ChannelInfo]


class TestResult(BaseModel):
    """The outcome of a test message."""

    sent: bool
    answer: str = Field(description="What the service answered, or why the message could not be sent.")
    retryable: bool | None = Field(description="Whether a notification would be retried; null if the message was sent.")


def _facts(stored: StoredChannel) -> dict[str, Any]:
    """For the audit log, without secrets."""
    return settings_of(stored).model_dump(mode="json")


def _info(stored: StoredChannel, vault: Vault) -> ChannelInfo:
    problem, secrets = None, []
    try:
        secrets = sorted(secrets_of(stored, vault))
    except WrongSecret as error:
        problem = error.message
    return ChannelInfo(
        id=stored.id,
        channel=settings_of(stored),
        secrets=secrets,
        problem=problem,
        created_ms=stored.created_ms,
        updated_ms=stored.updated_ms,
    )


@router.get("", operation_id="list_channels", summary="List channels")
async def channels(services: ServicesDep, user: Admin) -> Channels:
    """Lists channels by name."""
    stored_channels = await services.database.read(load_channels)
    return Channels(channels=[_info(stored, services.vault) for stored in stored_channels])


@router.post("", operation_id="create_channel", summary="Create a channel", status_code=201)
async def create(services: ServicesDep, user: Admin, channel: ChannelSettings) -> ChannelInfo:
    """Secret settings are stored encrypted and never returned."""
    document, secrets = encode(channel, check_config(channel), services.vault)
    now_ms = services.clock.now_ms()

    def store(connection: Connection) -> StoredChannel:
        stored = store_channel(connection, None, channel.name, channel.type, document, secrets, now_ms)
        record(connection, now_ms, user, "channel.create", f"channel {stored.id}", after=_facts(stored))
        return stored

    return _info(await services.database.write(store), services.vault)


@router.get("/{id}", operation_id="get_channel", summary="Get a channel")
async def get(services: ServicesDep, user: Admin, id: RowId) -> ChannelInfo:
    """Returns the channel without its secrets."""
    return _info(await services.database.read(lambda connection: find_channel(connection, id)), services.vault)


@router.put("/{id}", operation_id="change_channel", summary="Change a channel")
async def change(services: ServicesDep, user: Admin, id: RowId, channel: ChannelSettings) -> ChannelInfo:
    """Replaces the channel. Secret settings that are omitted do not change."""
    now_ms = services.clock.now_ms()

    def store(connection: Connection) -> StoredChannel:
        before = find_channel(connection, id)
        kept: dict[str, str] = {}
        if before.type == channel.type:
            try:
                kept = secrets_of(before, services.vault)
            except WrongSecret:
                kept = {}  # They cannot be read any more; the request must contain all of them.
        document, secrets = encode(channel, check_config(channel, kept), services.vault)
        stored = store_channel(connection, id, channel.name, channel.type, document, secrets, now_ms)
        record(connection, now_ms, user, "channel.update", f"channel {id}", before=_facts(before), after=_facts(stored))
        return stored

    return _info(await services.database.write(store), services.vault)


@router.delete("/{id}", operation_id="delete_channel", summary="Delete a channel", status_code=204)
async def delete(services: ServicesDep, user: Admin, id: RowId) -> None:
    """Notifications that are waiting for the channel are dropped."""
    now_ms = services.clock.now_ms()

    def store(connection: Connection) -> None:
        before = find_channel(connection, id)
        delete_channel(connection, id)
        record(connection, now_ms, user, "channel.delete", f"channel {id}", before=_facts(before))

    await services.database.write(store)


@router.post("/{id}/test", operation_id="test_channel", summary="Send a test message")
async def test(services: ServicesDep, user: Admin, id: RowId) -> TestResult:
    """Sends a test message now, without retries, and returns what the service answered."""
    stored = await services.database.read(lambda connection: find_channel(connection, id))
    settings = settings_of(stored)
    message = build_test(
        settings.name, settings.language, settings.timezone, services.clock.now_ms(), services.settings.public_url
    )
    async with httpx.AsyncClient() as http:
        try:
            answer = await open_channel(stored, services.vault, http).send(message)
        except ChannelError as error:
            return TestResult(sent=False, answer=error.message, retryable=error.retryable)
        except WrongSecret as error:
            return TestResult(sent=False, answer=error.message, retryable=False)
    return TestResult(sent=True, answer=answer, retryable=None)
