"""/api/alerts/silences: silences and maintenance windows."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from bongsu.alerts.silences import Silence
from bongsu.core.errors import InvalidInput
from bongsu.server.alerts.queries.silences import (
    StoredSilence,
    add_silence,
    change_silence,
    delete_silence,
    find_silence,
    load_silences,
    silence_document,
)
from bongsu.server.api.access import Operator, Viewer
from bongsu.server.api.dependencies import RowId, ServicesDep
from bongsu.server.auth.audit import record

router = APIRouter(prefix="/api/alerts/silences", tags=["alerts"])


class SilenceInfo(BaseModel):
    """A stored silence."""

    id: int
    silence: Silence
    active_until_ms: int | None = Field(description="When it ends, if it is active now; null: it is not.")
    created_by: str
    created_ms: int


class Silences(BaseModel):
    """Silences, newest first."""

    silences: list[SilenceInfo]


def _info(stored: StoredSilence, now_ms: int) -> SilenceInfo:
    return SilenceInfo(
        id=stored.id,
        silence=stored.silence,
        active_until_ms=stored.silence.until(now_ms),
        created_by=stored.created_by,
        created_ms=stored.created_ms,
    )


def _facts(silence: Silence) -> dict[str, Any]:
    return silence.model_dump(mode="json", exclude_defaults=True)


def _check(silence: Silence, now_ms: int) -> None:
    if silence.ends_ms is not None and silence.ends_ms <= now_ms:
        raise InvalidInput("ends_ms is in the past.", field="ends_ms")


@router.get("", operation_id="list_silences", summary="List silences")
async def silences(
    services: ServicesDep,
    user: Viewer,
    over: Annotated[bool, Query(description="Include silences that have ended.")] = False,
) -> Silences:
    """Lists silences and maintenance windows that are active or will be, newest first."""
    now_ms = services.clock.now_ms()
    stored_silences = await services.database.read(
        lambda connection: load_silences(connection, None if over else now_ms)
    )
    return Silences(silences=[_info(stored, now_ms) for stored in stored_silences])


@router.post("", operation_id="create_silence", summary="Create a silence", status_code=201)
async def create(services: ServicesDep, user: Operator, silence: Silence) -> SilenceInfo:
    """Alerts still fire and are recorded, but nobody is notified. Alerts that still fire at the end are sent then."""
    user.check_sees_all()
    now_ms = services.clock.now_ms()
    _check(silence, now_ms)

    def store(connection: Connection) -> StoredSilence:
        stored = add_silence(connection, silence, user.name, now_ms)
        record(connection, now_ms, user, "silence.create", f"silence {stored.id}", after=_facts(silence))
        return stored

    return _info(await services.database.write(store), now_ms)


@router.get("/{id}", operation_id="get_silence", summary="Get a silence")
async def get(services: ServicesDep, user: Viewer, id: RowId) -> SilenceInfo:
    stored = await services.database.read(lambda connection: find_silence(connection, id))
    return _info(stored, services.clock.now_ms())


@router.put("/{id}", operation_id="change_silence", summary="Change a silence")
async def change(services: ServicesDep, user: Operator, id: RowId, silence: Silence) -> SilenceInfo:
    """Replaces the silence."""
    user.check_sees_all()
    now_ms = services.clock.now_ms()
    _check(silence, now_ms)

    def store(connection: Connection) -> StoredSilence:
        before = silence_document(connection, id)
        record(connection, now_ms, user, "silence.update", f"silence {id}", before=before, after=_facts(silence))
        return change_silence(connection, id, silence)

    return _info(await services.database.write(store), now_ms)


@router.delete("/{id}", operation_id="delete_silence", summary="Delete a silence", status_code=204)
async def delete(services: ServicesDep, user: Operator, id: RowId) -> None:
    """Takes effect at once: alerts that still fire are sent after the next evaluation."""
    user.check_sees_all()
    now_ms = services.clock.now_ms()

    def store(connection: Connection) -> None:
        before = silence_document(connection, id)
        delete_silence(connection, id)
        record(connection, now_ms, user, "silence.delete", f"silence {id}", before=before)

    await services.database.write(store)
