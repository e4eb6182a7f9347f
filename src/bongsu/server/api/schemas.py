"""Schemas that several resources share."""

from collections.abc import Iterable

from pydantic import BaseModel, Field

from bongsu.alerts.notes import Note
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


class NoteInfo(BaseModel):
    """A sentence, with what is needed to say it in another language."""

    code: str = Field(description="For programs; stable.", examples=["silenced"])
    parameters: dict[str, str | int | float] = Field(
        description="What the sentence names. Times end with `_ms`, durations with `_seconds`, sizes with `_bytes`.",
        examples=[{"kind": "silence", "silence_id": 3, "until_ms": 1750000060000}],
    )
    text: str = Field(description="The sentence in English.", examples=["silence 3 until 2025-06-15T15:07:40Z"])


def note_infos(notes: Iterable[Note]) -> list[NoteInfo]:
    return [NoteInfo(code=note.code, parameters=note.parameters, text=note.text) for note in notes]


class Problem(BaseModel):
    """A present problem."""

    code: str = Field(examples=["disk_full"])
    message: str
    since_ms: int
