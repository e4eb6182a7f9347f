"""The document of a dashboard, as the API, files and exports have it."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bongsu.core.errors import InvalidInput
from bongsu.server.dashboards.widgets import NO_NUL, Text, Widget

MOST_WIDGETS = 60
# As JSON.
MOST_BYTES = 256 * 1024

Range = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}[mhd]$", examples=["1h", "7d"])]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Variable(_Part):
    """A choice that people make above the widgets, which use it as ``$name``."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")
    title: Text = ""
    type: Literal["server", "tag", "label"]
    of: Text = Field("", description="The name of the tag or label whose values can be chosen, such as `mountpoint`.")
    multiple: bool = True
    values: list[Text] = Field([], max_length=100, description="What is chosen at first; empty: all.")

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if (self.type != "server") is not bool(self.of):
            raise ValueError("of must name the tag or label, and nothing for servers")
        return self


class Dashboard(_Part):
    """What a dashboard shows. An export is exactly this."""

    format: Literal[1] = 1
    title: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")
    description: str = Field("", max_length=1_000, pattern=NO_NUL)
    tags: list[Annotated[str, Field(min_length=1, max_length=50, pattern=NO_NUL)]] = Field([], max_length=10)
    range: Range = "1h"
    refresh: Literal["live", "10s", "1m", "5m", "off"] = "live"
    variables: list[Variable] = Field([], max_length=10)
    widgets: list[Widget] = Field([], max_length=MOST_WIDGETS)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        for field, names in (
            ("variables", [variable.name for variable in self.variables]),
            ("widgets", [widget.id for widget in self.widgets]),
        ):
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"{field}: there are two of {min(twice)!r}")
        if len(self.to_json()) > MOST_BYTES:
            raise ValueError(f"must not be larger than {MOST_BYTES // 1024} KiB")
        return self

    def to_json(self) -> str:
        """The document as it is stored and exported: all fields, so that a later default changes nothing."""
        return self.model_dump_json()


def parse_dashboard(text: str | bytes) -> Dashboard:
    """A dashboard from JSON. Raises InvalidInput if it is none; the message names the field."""
    try:
        return Dashboard.model_validate_json(text)
    except ValidationError as error:
        raise _invalid(error, "dashboard") from None


def parse_document(document: object, where: str) -> Dashboard:
    """A dashboard from what a file holds. ``where``: how errors name it.

    Raises:
        InvalidInput: it is no dashboard; the message names the field.
    """
    try:
        return Dashboard.model_validate(document)
    except ValidationError as error:
        raise _invalid(error, where) from None


def _invalid(error: ValidationError, where: str) -> InvalidInput:
    problem = error.errors()[0]
    field = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    return InvalidInput(f"{where}: {field or 'document'}: {message}.", code="invalid_dashboard", field=field or None)
