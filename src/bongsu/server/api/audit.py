"""GET /api/audit: the audit log."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from bongsu.server.api.access import Admin
from bongsu.server.api.dependencies import PageCursor, ServicesDep
from bongsu.server.api.timerange import parse_range
from bongsu.server.auth.audit import load_entries

router = APIRouter(prefix="/api/audit", tags=["audit log"])


class AuditEntry(BaseModel):
    """One change."""

    id: int
    time_ms: int
    actor: str = Field(examples=["user 3"])
    actor_name: str = Field(description="The name at that time.", examples=["kim@example.com"])
    address: str
    action: str = Field(examples=["user.update"])
    target: str = Field(examples=["user 7"])
    before: dict[str, Any] | None = Field(description="Only what changed.")
    after: dict[str, Any] | None


class AuditLog(BaseModel):
    """A page of entries, newest first."""

    entries: list[AuditEntry]
    next: str | None = Field(description="Pass it as `cursor` for the next page; null on the last page.")


@router.get("", operation_id="list_audit_entries", summary="Read the audit log")
async def audit(
    services: ServicesDep,
    user: Admin,
    actor: Annotated[str, Query(max_length=255, description="Part of a name; case does not matter.")] = "",
    action: Annotated[
        str, Query(max_length=64, description="For example `user.update`, or `user` for all actions on users.")
    ] = "",
    target: Annotated[str, Query(max_length=96, description="For example `user 7`.")] = "",
    start: Annotated[str, Query(description="Unix ms, ISO 8601, or relative: -7d.")] = "-365d",
    end: Annotated[str, Query(description="As `start`; not included in the range.")] = "now",
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: PageCursor = None,
) -> AuditLog:
    """Who changed what, and when. It never contains secrets."""
    start_ms, end_ms = parse_range(start, end, services.clock.now_ms())
    entries = await services.database.read(
        lambda connection: load_entries(
            connection,
            actor=actor.replace("\0", ""),
            action=action.replace("\0", ""),
            target=target.replace("\0", ""),
            start_ms=start_ms,
            # "now" should include what has just been done.
            end_ms=end_ms + 1,
            before_id=cursor or 0,
            limit=limit + 1,
        )
    )
    page = entries[:limit]
    return AuditLog(
        entries=[AuditEntry.model_validate(entry, from_attributes=True) for entry in page],
        next=str(page[-1].id) if len(entries) > limit else None,
    )
