"""/api/alerts/channels: where notifications are sent. For admins."""

import json
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from bongsu.alerts.channels import ChannelError
from bongsu.alerts.channels.addresses import Addresses
from bongsu.alerts.message import build_test
from bongsu.alerts.notes import Code, Note, note
from bongsu.core.errors import Forbidden
from bongsu.server.alerts.channel_fields import ChannelType, channel_types
from bongsu.server.alerts.channels import (
    ChannelSettings,
    changed_config,
    check_config,
    encode,
    open_channel,
    secrets_of,
    serves_only,
    settings_of,
)
from bongsu.server.alerts.queries.channels import (
    StoredChannel,
    delete_channel,
    find_channel,
    load_channels,
    store_channel,
    unknown_channel,
)
from bongsu.server.alerts.queries.rules import load_rules
from bongsu.server.api.access import Admin
from bongsu.server.api.dependencies import RowId, ServicesDep
from bongsu.server.auth.audit import record
from bongsu.server.auth.principal import Principal
from bongsu.server.services import Services
from bongsu.server.vault import Vault, WrongSecret

router = APIRouter(prefix="/api/alerts/channels", tags=["alerts"])

# Rules that a warning names.
MOST_NAMED = 5


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
    warnings: list[str] = Field(description="What the change means for rules; empty in lists.")
    notes: list[Note] = Field(description="The warnings, for translation.")


class Deleted(BaseModel):
    """The outcome of deleting a channel."""

    warnings: list[str] = Field(description="What it means for rules.")
    notes: list[Note] = Field(description="The warnings, for translation.")


class Channels(BaseModel):
    """All channels."""

    channels: list[ChannelInfo]


class ChannelTypes(BaseModel):
    """All types of channels."""

    types: list[ChannelType]


class TestResult(BaseModel):
    """The outcome of a test message."""

    sent: bool
    answer: str = Field(description="The status that the service answered, or why the message could not be sent.")
    notes: list[Note] = Field(description="What `answer` says, for translation.")
    retryable: bool | None = Field(description="Whether a notification would be retried; null if the message was sent.")


def _facts(stored: StoredChannel) -> dict[str, Any]:
    """For the audit log, without secrets."""
    facts: dict[str, Any] = json.loads(stored.document)
    return facts


def _info(stored: StoredChannel, vault: Vault, warnings: Sequence[Note] = ()) -> ChannelInfo:
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
        warnings=[warning.text for warning in warnings],
        notes=list(warnings),
    )


class _Access:
    """Which channels the caller may use: one who sees only some servers must not touch what notifies of others."""

    def __init__(self, services: Services, user: Principal) -> None:
        self._restricted = user.restricted
        self._others = [
            (server.id, server.agent.name, server.tags)
            for server in services.registry.records()
            if not user.may_see(server)
        ]

    def only(self, connection: Connection, stored_channels: list[StoredChannel]) -> list[StoredChannel]:
        """Those that the caller may use."""
        if not self._restricted:
            return stored_channels
        rules = [stored.rule for stored in load_rules(connection)]
        return [
            stored
            for stored in stored_channels
            if serves_only(stored.name, settings_of(stored).default, rules, self._others)
        ]

    def find(self, connection: Connection, channel_id: int) -> StoredChannel:
        """Raises NotFound for a channel that does not exist, or that the caller may not use."""
        stored = find_channel(connection, channel_id)
        if not self.only(connection, [stored]):
            raise unknown_channel(channel_id)
        return stored

    def check(self, connection: Connection, channel: ChannelSettings) -> None:
        """Raises Forbidden for settings with which a channel would notify of servers that the caller may not see."""
        if not self._restricted:
            return
        rules = [stored.rule for stored in load_rules(connection)]
        if not serves_only(channel.name, channel.default, rules, self._others):
            raise Forbidden(
                "This channel would notify of servers that you may not see, as a default or because of the rules that "
                "name it.",
                code="restricted",
                field="default" if channel.default else "name",
            )


def _readable(stored: StoredChannel) -> bool:
    """Whether this version can read it; /api/health tells which it cannot."""
    try:
        settings_of(stored)
    except ValueError:
        return False
    return True


def _warnings(connection: Connection, old_name: str) -> list[Note]:
    """What it means for rules that a channel is no longer there under this name, or has been changed."""
    settings = [settings_of(stored) for stored in load_channels(connection) if _readable(stored)]
    names = {channel.name for channel in settings}
    warnings = []
    orphans = [
        stored.rule.name
        for stored in load_rules(connection)
        if old_name not in names
        and old_name in {*stored.rule.channels, *(name for step in stored.rule.escalation for name in step.channels)}
    ]
    if orphans:
        named = ", ".join([*orphans[:MOST_NAMED], *(["…"] if len(orphans) > MOST_NAMED else [])])
        warnings.append(note(Code.RULES_NAME_CHANNEL, channel=old_name, rules=named))
    if not any(channel.default and channel.enabled for channel in settings):
        warnings.append(note(Code.NO_DEFAULT_CHANNEL))
    return warnings


@router.get("", operation_id="list_channels", summary="List channels")
async def channels(services: ServicesDep, user: Admin) -> Channels:
    """Lists channels by name. Admins with tags see only channels that notify of no other servers than theirs."""
    access = _Access(services, user)

    def load(connection: Connection) -> list[StoredChannel]:
        return access.only(connection, [stored for stored in load_channels(connection) if _readable(stored)])

    stored_channels = await services.database.read(load)
    return Channels(channels=[_info(stored, services.vault) for stored in stored_channels])


@router.post("", operation_id="create_channel", summary="Create a channel", status_code=201)
async def create(services: ServicesDep, user: Admin, channel: ChannelSettings) -> ChannelInfo:
    """Secret settings are stored encrypted and never returned."""
    document, secrets = encode(channel, check_config(channel), services.vault)
    now_ms = services.clock.now_ms()
    access = _Access(services, user)

    def store(connection: Connection) -> StoredChannel:
        access.check(connection, channel)
        stored = store_channel(connection, None, channel.name, channel.type, document, secrets, now_ms)
        record(connection, now_ms, user, "channel.create", f"channel {stored.id}", after=_facts(stored))
        return stored

    return _info(await services.database.write(store), services.vault)


@router.get("/types", operation_id="list_channel_types", summary="List types of channels")
async def types(user: Admin) -> ChannelTypes:
    """Lists what can be set for each type of channel."""
    return ChannelTypes(types=channel_types())


@router.get("/{id}", operation_id="get_channel", summary="Get a channel")
async def get(services: ServicesDep, user: Admin, id: RowId) -> ChannelInfo:
    """Returns the channel without its secrets."""
    access = _Access(services, user)
    return _info(await services.database.read(lambda connection: access.find(connection, id)), services.vault)


@router.put("/{id}", operation_id="change_channel", summary="Change a channel")
async def change(services: ServicesDep, user: Admin, id: RowId, channel: ChannelSettings) -> ChannelInfo:
    """Replaces the channel. Secret settings that are omitted do not change. If they would go to another destination,
    the answer is 400 `secret_needed`, and the request must contain them."""
    now_ms = services.clock.now_ms()
    access = _Access(services, user)

    def store(connection: Connection) -> tuple[StoredChannel, list[Note]]:
        before = access.find(connection, id)
        access.check(connection, channel)
        document, secrets = encode(channel, changed_config(channel, before, services.vault), services.vault)
        stored = store_channel(connection, id, channel.name, channel.type, document, secrets, now_ms)
        record(connection, now_ms, user, "channel.update", f"channel {id}", before=_facts(before), after=_facts(stored))
        return stored, _warnings(connection, before.name)

    stored, warnings = await services.database.write(store)
    return _info(stored, services.vault, warnings)


@router.delete("/{id}", operation_id="delete_channel", summary="Delete a channel")
async def delete(services: ServicesDep, user: Admin, id: RowId) -> Deleted:
    """Drops the notifications that are waiting for the channel. Warns if rules still name it, or if no default channel
    is left."""
    now_ms = services.clock.now_ms()
    access = _Access(services, user)

    def store(connection: Connection) -> list[Note]:
        before = access.find(connection, id)
        delete_channel(connection, id)
        record(connection, now_ms, user, "channel.delete", f"channel {id}", before=_facts(before))
        return _warnings(connection, before.name)

    warnings = await services.database.write(store)
    return Deleted(warnings=[warning.text for warning in warnings], notes=warnings)


@router.post("/{id}/test", operation_id="test_channel", summary="Send a test message")
async def test(services: ServicesDep, user: Admin, id: RowId) -> TestResult:
    """Sends a test message now, without retries, and returns the status that the service answered."""
    access = _Access(services, user)
    stored = await services.database.read(lambda connection: access.find(connection, id))
    settings = settings_of(stored)
    message = build_test(
        settings.name, settings.language, settings.timezone, services.clock.now_ms(), services.settings.public_url
    )
    addresses = Addresses(services.settings.alert_allowed_addresses)
    from bongsu.alerts.channels.client import guarded_client

    async with guarded_client(addresses) as http:
        try:
            answer = await open_channel(stored, services.vault, http, addresses).send(message)
        except ChannelError as error:
            outcome, retryable = error.note, error.retryable
        except WrongSecret as error:
            outcome, retryable = note(Code.CHANNEL_UNUSABLE, problem=error.message), False
        else:
            return TestResult(sent=True, answer=answer, notes=[note(Code.ANSWERED, answer=answer)], retryable=None)
    return TestResult(sent=False, answer=outcome.text, notes=[outcome], retryable=retryable)
