"""What the settings of each type of channel look like, so that a form for them can be built."""

import typing
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, Field, SecretStr
from pydantic.fields import FieldInfo

from bongsu.alerts.channels import CHANNELS


class FieldKind(StrEnum):
    """What a field holds. ``secret``: a text that is stored encrypted and never shown; ``list``: several texts."""

    TEXT = "text"
    SECRET = "secret"  # noqa: S105
    NUMBER = "number"
    FLAG = "flag"
    CHOICE = "choice"
    LIST = "list"


class ChannelField(BaseModel):
    """A setting of one type of channel: a key of `config`."""

    name: str
    kind: FieldKind
    required: bool
    default: str | int | bool | list[str] | None = Field(description="null: there is none.")
    choices: list[str] = Field(description="Of a choice: its values.")
    minimum: int | None = Field(description="Of a number.")
    maximum: int | None = Field(description="Of a number.")
    description: str


class ChannelType(BaseModel):
    """A type of channel."""

    type: str
    fields: list[ChannelField]


_KINDS: dict[Any, FieldKind] = {
    str: FieldKind.TEXT,
    SecretStr: FieldKind.SECRET,
    int: FieldKind.NUMBER,
    bool: FieldKind.FLAG,
    list[str]: FieldKind.LIST,
}


def channel_types() -> list[ChannelType]:
    """Every type of channel, with the fields of its settings in the order in which a form shows them."""
    return [
        ChannelType(type=name, fields=[_field(key, info) for key, info in channel.Config.model_fields.items()])
        for name, channel in CHANNELS.items()
    ]


def _field(name: str, info: FieldInfo) -> ChannelField:
    annotation = info.annotation
    is_choice = typing.get_origin(annotation) is Literal
    limits = {
        bound: value
        for bound in ("ge", "le")
        for constraint in info.metadata
        if (value := getattr(constraint, bound, None)) is not None
    }
    default = None if info.is_required() else info.default
    return ChannelField(
        name=name,
        kind=FieldKind.CHOICE if is_choice else _KINDS[annotation],
        required=info.is_required(),
        default=None if isinstance(default, SecretStr) else default,
        choices=list(typing.get_args(annotation)) if is_choice else [],
        minimum=limits.get("ge"),
        maximum=limits.get("le"),
        description=info.description or "",
    )
