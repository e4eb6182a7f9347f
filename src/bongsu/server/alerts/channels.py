"""The settings of channels. Secrets are encrypted before they reach the database."""

import json
from typing import Annotated, Any

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bongsu.alerts.channels import CHANNELS, Channel, ChannelConfig
from bongsu.alerts.fields import TimeZone
from bongsu.alerts.pipeline import ChannelRoute
from bongsu.alerts.rules import Name, Severity
from bongsu.alerts.rules_file import first_problem
from bongsu.alerts.texts import Language
from bongsu.core.errors import InvalidInput
from bongsu.server.alerts.queries.channels import StoredChannel
from bongsu.server.vault import Vault

PURPOSE = "channels"


class ChannelSettings(BaseModel):
    """A channel: the settings that all types share, and `config` with those of its type."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    type: str = Field(description=f"One of {', '.join(CHANNELS)}.", examples=["slack"])
    enabled: bool = True
    default: bool = Field(False, description="Gets the alerts of rules that name no channel.")
    language: Language = "en"
    timezone: TimeZone = "UTC"
    min_severity: Severity = Severity.INFO
    send_resolved: bool = True
    config: Annotated[dict[str, Any], Field(description="Settings of this type of channel; see docs/alerts.md.")] = {}


def check_config(settings: ChannelSettings, kept: dict[str, str] | None = None) -> ChannelConfig:
    """The validated settings of its type. ``kept``: stored secrets, for those that the request omits.

    Raises:
        InvalidInput: the type is unknown, or a setting is invalid. The message contains no values.
    """
    channel = CHANNELS.get(settings.type)
    if channel is None:
        raise InvalidInput(
            f"There is no channel type {settings.type!r}; use one of {', '.join(CHANNELS)}.",
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
    """The JSON document and the encrypted secrets that are stored."""
    document = settings.model_dump(mode="json") | {"config": config.shown()}
    return json.dumps(document, ensure_ascii=False), vault.encrypt(json.dumps(config.secrets()).encode(), PURPOSE)


def settings_of(stored: StoredChannel) -> ChannelSettings:
    """The settings without secrets."""
    return ChannelSettings.model_validate_json(stored.document)


def secrets_of(stored: StoredChannel, vault: Vault) -> dict[str, str]:
    """The decrypted secrets.

    Raises:
        WrongSecret: they were encrypted with another secret key.
    """
    secrets: dict[str, str] = json.loads(vault.decrypt(stored.secrets, PURPOSE))
    return secrets


def open_channel(stored: StoredChannel, vault: Vault, http: httpx.AsyncClient) -> Channel:
    """A channel that is ready to send.

    Raises:
        WrongSecret: its secrets were encrypted with another secret key.
        InvalidInput: its stored settings are invalid.
    """
    return CHANNELS[stored.type](check_config(settings_of(stored), secrets_of(stored, vault)), http)


def route_of(stored: StoredChannel) -> ChannelRoute:
    """What the pipeline needs to know of the channel."""
    settings = settings_of(stored)
    return ChannelRoute(
        stored.id,
        settings.name,
        settings.enabled,
        settings.default,
        settings.min_severity,
        settings.send_resolved,
    )
