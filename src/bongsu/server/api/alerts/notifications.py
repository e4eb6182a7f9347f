"""/api/alerts/notifications: notifications that were sent, are waiting, or are dead letters."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from bongsu.alerts.alert import Event
from bongsu.alerts.notes import Note, decode_notes
from bongsu.server.alerts.queries.notifications import StoredNotification, list_notifications, send_again
from bongsu.server.api.access import Operator, Viewer
from bongsu.server.api.dependencies import PageCursor, RowId, ServicesDep
from bongsu.server.auth.audit import record

router = APIRouter(prefix="/api/alerts/notifications", tags=["alerts"])

NotificationState = Literal["queued", "sending", "sent", "dead", "dropped", "superseded"]


class Attempt(BaseModel):
    """An attempt to send a notification."""

    time_ms: int
    outcome: str
    detail: str = Field(description="What the service answered, or why the notification was not sent; in English.")
    notes: list[Note] = Field(
        description="What `detail` says, for translation. Empty for attempts that earlier versions recorded."
    )


class NotificationInfo(BaseModel):
    """A notification: a message to a channel."""

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
    possibly_repeated: bool = Field(description="A worker died while sending it, so it may have been sent twice.")
    log: list[Attempt]


class Notifications(BaseModel):
    """A page of notifications, newest first."""

    notifications: list[NotificationInfo]
    next: str | None = Field(description="Pass it as `cursor` for the next page; null on the last page.")


def notification_info(stored: StoredNotification) -> NotificationInfo:
    values = {name: getattr(stored, name) for name in NotificationInfo.model_fields if name != "possibly_repeated"}
    values["log"] = [entry | {"notes": decode_notes(entry.get("notes", []))} for entry in stored.log]
    return NotificationInfo(**values, possibly_repeated=stored.repeated)


@router.get("", operation_id="list_alert_notifications", summary="List notifications")
async def notifications(
    services: ServicesDep,
    user: Viewer,
    state: Annotated[
        list[NotificationState],
        Query(description="If omitted, all. dead: a dead letter, given up after failed attempts."),
    ] = [],
    channel: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="The id of a channel.")] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: PageCursor = None,
) -> Notifications:
    """Lists notifications with the outcome of each attempt, newest first."""
    user.check_sees_all()
    matches = await services.database.read(
        lambda connection: list_notifications(
            connection, states=state, channel_id=channel, before_id=cursor, limit=limit + 1
        )
    )
    page = matches[:limit]
    return Notifications(
        notifications=[notification_info(notification) for notification in page],
        next=str(page[-1].id) if len(matches) > limit else None,
    )


@router.post("/{id}/send-again", operation_id="send_alert_notification_again", summary="Send a dead letter again")
async def retry(services: ServicesDep, user: Operator, id: RowId) -> NotificationInfo:
    """Queues the notification again, with a full number of attempts."""
    user.check_sees_all()
    now_ms = services.clock.now_ms()

    def store(connection: Connection) -> StoredNotification:
        record(connection, now_ms, user, "notification.send_again", f"notification {id}")
        return send_again(connection, id, now_ms)

    return notification_info(await services.database.write(store))
