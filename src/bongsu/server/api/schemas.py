"""Schemas that several resources share."""

from pydantic import BaseModel, Field

from bongsu.alerts.notes import Note, Value
from bongsu.core.series import Kind


class ErrorDetail(BaseModel):
    """Why a request was refused."""

    code: str = Field(description="For programs; stable.", examples=["unknown_server"])
    message: str = Field(description="For people; names the field and the limit.")
    field: str | None = Field(None, description="The place in the request.", examples=["frames[3].values"])
    limit: float | None = Field(None, description="The limit that was exceeded, if there is one.")


class ErrorBody(BaseModel):
    """The format of every error."""

    error: ErrorDetail


class SeriesInfo(BaseModel):
    """A series."""

    metric: str = Field(examples=["filesystem_used_bytes"])
    labels: dict[str, str] = Field(examples=[{"mountpoint": "/"}])
    type: str = Field(description="The family: cpu, memory, disk, network, ...", examples=["disk"])
    unit: str = Field(description="Base unit, empty for a count.", examples=["bytes"])
    kind: Kind = Field(description="gauge, or counter: only rises, resets to 0.")


class Problem(BaseModel):
    """A present problem."""

    code: str = Field(examples=["disk_full"])
    message: str
    parameters: dict[str, Value] = Field(description="What the message names, for translation; as those of notes.")
    since_ms: int


def problem(note: Note, since_ms: int) -> Problem:
    return Problem(code=note.code, message=note.text, parameters=note.parameters, since_ms=since_ms)
