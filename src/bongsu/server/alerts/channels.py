"""The settings of channels. Secrets are encrypted before they reach the database."""

import contextlib
import json
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bongsu.alerts.channels import CHANNELS, Channel, ChannelConfig
from bongsu.alerts.channels.addresses import Addresses
from bongsu.alerts.fields import TimeZone
from bongsu.alerts.pipeline import ChannelRoute
from bongsu.alerts.rules import Name, Rule, Severity
from bongsu.alerts.rules_file import first_problem
from bongsu.alerts.texts import Language
from bongsu.core.errors import InvalidInput
from bongsu.server.alerts.queries.channels import StoredChannel
from bongsu.server.vault import Vault, WrongSecret

if TYPE_CHECKING:
    import httpx

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


def changed_config(settings: ChannelSettings, before: StoredChannel, vault: Vault) -> ChannelConfig:
    """The validated settings of a channel that changes. Secrets that the request omits stay as they are stored.

    They stay only where they were entered for: otherwise anybody who may change the channel could have them sent to a
    server of their own.

    Raises:
        InvalidInput: as ``check_config``, or a stored secret would go to another destination.
    """
    kept: dict[str, str] = {}
    if before.type == settings.type:
        # Stored secrets that cannot be decrypted any more must all be in the request.
        with contextlib.suppress(WrongSecret):
            kept = secrets_of(before, vault)
    config = check_config(settings, kept)
    omitted = sorted(kept.keys() - settings.config.keys())
    if omitted:
        previous = check_config(settings_of(before), kept)
        changed = [name for name in config.destination if getattr(config, name) != getattr(previous, name)]
        if changed:
            raise InvalidInput(
                f"Enter config.{omitted[0]} again: config.{changed[0]} changes, and with it who receives the secret.",
                code="secret_needed",
                field=f"config.{omitted[0]}",
            )
    return config


def serves_only(
    name: str, default: bool, rules: Iterable[Rule], others: Collection[tuple[int, str, dict[str, str]]]
) -> bool:
    """Whether a channel of this name notifies of no server in ``others`` (id, name, tags). A rule whose scope does not
    say which servers it covers counts as covering others, since any server may be added."""
    if default:
        return False
    for rule in rules:
        if name not in {*rule.channels, *(step for escalation in rule.escalation for step in escalation.channels)}:
            continue
        scope = rule.scope
        if not (scope.servers or scope.names or scope.tags) or any(scope.covers(*server) for server in others):
            return False
    return True


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


def open_channel(stored: StoredChannel, vault: Vault, http: "httpx.AsyncClient", addresses: Addresses) -> Channel:
    """A channel that is ready to send.

    Raises:
        WrongSecret: its secrets were encrypted with another secret key.
        InvalidInput: its stored settings are invalid.
    """
    return CHANNELS[stored.type](check_config(settings_of(stored), secrets_of(stored, vault)), http, addresses)


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
