"""Channels as people set them up, and their secrets, which are encrypted before they reach the database."""

import json
from typing import Annotated, Any

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bongsu.alerts.channels import CHANNELS, Channel, ChannelConfig
from bongsu.alerts.fields import TimeZone
from bongsu.alerts.pipeline import ChannelRoute
from bongsu.alerts.rulebook import first_problem
from bongsu.alerts.rules import Name, Severity
from bongsu.alerts.texts import Language
from bongsu.core.errors import InvalidInput
from bongsu.server.alerts.queries.channels import StoredChannel
from bongsu.server.vault import Vault

PURPOSE = "channels"


class ChannelSettings(BaseModel):
    """What everybody may see of a channel, beside its kind's own settings."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    type: str = Field(description=f"One of {', '.join(CHANNELS)}.", examples=["slack"])
    enabled: bool = True
    default: bool = Field(False, description="Told of every rule that names no channels.")
    language: Language = "en"
    timezone: TimeZone = "UTC"
    min_severity: Severity = Severity.INFO
    send_resolved: bool = True
    config: Annotated[dict[str, Any], Field(description="Settings of this kind of channel; see docs/alerts.md.")] = {}


def check_config(settings: ChannelSettings, kept: dict[str, str] | None = None) -> ChannelConfig:
    """The settings of its kind. ``kept``: secrets that stay where the request names none.

    Raises:
        InvalidInput: no such kind, or a setting that is wrong. The message holds no value.
    """
    channel = CHANNELS.get(settings.type)
    if channel is None:
        raise InvalidInput(
            f"There is no kind of channel {settings.type!r}: use {', '.join(CHANNELS)}.",
            code="unknown_channel_type",
            field="type",
        )
    try:
        return channel.Config.model_validate((kept or {}) | settings.config)
    except ValidationError as error:
        field, message = first_problem(error)
        place = f"config.{field}" if field else "config"
        raise InvalidInput(f"{place}: {message}.", code="invalid_channel", field=place) from None


def encode(settings: ChannelSettings, config: ChannelConfig, vault: Vault) -> tuple[str, bytes]:
    """Document and encrypted secrets, as stored."""
    document = settings.model_dump(mode="json") | {"config": config.shown()}
    return json.dumps(document, ensure_ascii=False), vault.encrypt(json.dumps(config.hidden()).encode(), PURPOSE)


def settings_of(stored: StoredChannel) -> ChannelSettings:
    """What everybody may see."""
    return ChannelSettings.model_validate_json(stored.document)


def secrets_of(stored: StoredChannel, vault: Vault) -> dict[str, str]:
    """What nobody may see.

    Raises:
        WrongSecret: encrypted with another secret key.
    """
    found: dict[str, str] = json.loads(vault.decrypt(stored.secrets, PURPOSE))
    return found


def open_channel(stored: StoredChannel, vault: Vault, http: httpx.AsyncClient) -> Channel:
    """Ready to send.

    Raises:
        WrongSecret, InvalidInput: it cannot be used as stored.
    """
    return CHANNELS[stored.type](check_config(settings_of(stored), secrets_of(stored, vault)), http)


def route_of(stored: StoredChannel) -> ChannelRoute:
    """What routing needs."""
    settings = settings_of(stored)
    return ChannelRoute(
        stored.id,
        settings.name,
        settings.enabled,
        settings.default,
        settings.min_severity,
        settings.send_resolved,
    )
