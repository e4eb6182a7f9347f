"""/api/alerts/notifications: what was sent, waits, or was given up."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from bongsu.alerts.alert import Event
from bongsu.server.alerts.queries.notifications import list_notifications, send_again
from bongsu.server.api.access import Operator, Viewer
from bongsu.server.api.dependencies import PageCursor, RowId, ServicesDep
from bongsu.server.auth.audit import record

router = APIRouter(prefix="/api/alerts/notifications", tags=["alerts"])

NotificationState = Literal["queued", "sending", "sent", "dead", "dropped"]


class Attempt(BaseModel):
    """One try to send."""

    time_ms: int
    outcome: str
    detail: str = Field(description="What the channel's service answered.")


class NotificationInfo(BaseModel):
    """A message to a channel."""

    id: int
    channel_id: int
    channel_name: str
    event: Event
    rule_name: str
    state: NotificationState
    created_ms: int
    due_ms: int
    sent_ms: int | None
    attempts: int
    possibly_repeated: bool = Field(description="A worker ended while it sent it: it may have arrived twice.")
    log: list[Attempt]


class Notifications(BaseModel):
    """A page of notifications, the newest first."""

    notifications: list[NotificationInfo]
    next: str | None


def notification_info(one: Any) -> NotificationInfo:
    values = {name: getattr(one, name) for name in NotificationInfo.model_fields if name != "possibly_repeated"}
    return NotificationInfo(**values, possibly_repeated=one.repeated)


@router.get("", operation_id="list_alert_notifications", summary="What was sent, waits, or was given up")
async def notifications(
    services: ServicesDep,
    user: Viewer,
    state: Annotated[list[NotificationState], Query(description="dead: given up.")] = [],
    channel: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: PageCursor = None,
) -> Notifications:
    """With what each attempt came to."""
    user.check_sees_all()
    found = await services.database.read(
        lambda connection: list_notifications(
            connection, states=state, channel_id=channel, before_id=cursor, limit=limit + 1
        )
    )
    page = found[:limit]
    following = str(page[-1].id) if len(found) > limit else None
    return Notifications(notifications=[notification_info(one) for one in page], next=following)


@router.post("/{id}/send-again", operation_id="send_alert_notification_again", summary="Send a dead letter again")
async def again(services: ServicesDep, user: Operator, id: RowId) -> NotificationInfo:
    """Back into the queue, with all attempts before it."""
    user.check_sees_all()
    now_ms = services.clock.now_ms()

    def store(connection: Connection) -> Any:
        record(connection, now_ms, user, "notification.send_again", f"notification {id}")
        return send_again(connection, id, now_ms)

    return notification_info(await services.database.write(store))
