"""/api/alerts: active alerts, the history of alerts, and acknowledging them."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from bongsu.alerts.alert import Alert, Event, Outcome, Stage
from bongsu.alerts.message import Explanation, build, format_value
from bongsu.alerts.notes import Note
from bongsu.alerts.rules import Rule, Severity
from bongsu.alerts.silences import NO_NUL
from bongsu.alerts.texts import Language
from bongsu.alerts.watched import BONGSU
from bongsu.core.errors import InvalidInput, NotFound
from bongsu.server.alerts.explain import Explainer
from bongsu.server.alerts.queries.alerts import acknowledge, active_alerts, alert_history, find_alert
from bongsu.server.alerts.queries.decisions import StoredDecision, load_decisions
from bongsu.server.alerts.queries.notifications import StoredNotification, list_notifications
from bongsu.server.alerts.queries.rules import find_rule
from bongsu.server.api.access import Operator, Viewer
from bongsu.server.api.alerts.notifications import NotificationInfo, notification_info
from bongsu.server.api.dependencies import PageCursor, RowId, ServerId, ServicesDep
from bongsu.server.api.timerange import parse_range
from bongsu.server.auth.audit import record
from bongsu.server.auth.principal import Principal
from bongsu.server.services import Services

router = APIRouter(prefix="/api/alerts", tags=["alerts"])

AlertState = Literal["pending", "firing", "resolved"]


class AlertInfo(BaseModel):
    """An alert: one series that breaches one rule, from pending to firing to resolved."""

    id: int
    rule_id: int
    rule_name: str
    severity: Severity
    priority: int = Field(description="1 is the most urgent.")
    server_id: int
    server_name: str
    series: str = Field(description="Empty for the server as a whole.")
    state: AlertState
    reason: str = Field(description="Why it is in this state: breach, no_data, recovered, data_stopped, not_watched.")
    since_ms: int = Field(description="When the breach began.")
    fired_ms: int | None
    resolved_ms: int | None
    value: float | None = Field(description="The value at the last change of state or notification.")
    threshold: float | None
    no_data: bool = Field(description="It fires because there is no data.")
    flapping: bool = Field(
        description="It fired several times within an hour; it resolves after 15 minutes without a breach."
    )
    acknowledged_ms: int | None
    acknowledged_by: str
    acknowledged_comment: str
    notified_ms: int | None = Field(description="When a notification was last queued; null: never.")


class Alerts(BaseModel):
    """A page of alerts."""

    alerts: list[AlertInfo]
    next: str | None = Field(description="Pass it as `cursor` for the next page; null on the last page.")


class DecisionInfo(BaseModel):
    """What a stage of the notification pipeline did with the alert, and why."""

    time_ms: int
    event: Event
    stage: str = Field(description=f"One of: {', '.join(Stage)}.")
    outcome: str = Field(description=f"One of: {'; '.join(Outcome)}.")
    detail: str = Field(description="Why, in English.")
    notes: list[Note] = Field(
        description="What `detail` says, for translation. Empty for decisions that earlier versions recorded."
    )


class TopProcess(BaseModel):
    """A process that used much CPU or memory at that moment."""

    name: str
    user: str
    cpu_ratio: float
    memory_bytes: int


class TopContainer(BaseModel):
    """A container that the alert is about, or that used much at that moment."""

    name: str
    state: str
    exit_code: int
    oom_kills: int
    restarts: int
    cpu_ratio: float
    memory_bytes: int


class AlertRecord(BaseModel):
    """An alert with everything that is known about it."""

    alert: AlertInfo
    summary: str = Field(description="One sentence in the requested language.")
    value_text: str
    trend_per_hour: float | None = Field(description="Change of the metric per hour; null: unknown.")
    processes_ms: int | None
    processes: list[TopProcess]
    containers_ms: int | None
    containers: list[TopContainer]
    decisions: list[DecisionInfo] = Field(description="The decisions of all stages, oldest first.")
    notifications: list[NotificationInfo]


class Acknowledge(BaseModel):
    """An acknowledgement."""

    comment: str = Field("", max_length=1_000, pattern=NO_NUL)


def _info(alert: Alert) -> AlertInfo:
    return AlertInfo.model_validate(alert, from_attributes=True)


def _visible(alert: Alert, user: Principal, services: Services) -> Alert:
    """Raises NotFound if the user may not see the alert's server."""
    if user.restricted and alert.server_id not in user.view(services.registry).by_id:
        raise NotFound(f"There is no alert {alert.id}.", code="unknown_alert", field="id")
    return alert


@router.get("/active", operation_id="list_active_alerts", summary="List active alerts")
async def active(
    services: ServicesDep,
    user: Viewer,
    state: Annotated[Literal["pending", "firing"] | None, Query(description="If omitted, both.")] = None,
    server: Annotated[list[ServerId], Query(description="Server ids; all servers if omitted.")] = [],
    severity: Annotated[list[Severity], Query()] = [],
) -> Alerts:
    """Lists pending and firing alerts, most urgent first."""
    visible = set(user.view(services.registry).by_id)
    if not user.restricted:
        visible.add(BONGSU)
    matches = [
        alert
        for alert in await services.database.read(active_alerts)
        if alert.server_id in visible
        and (state is None or alert.state == state)
        and (not server or alert.server_id in server)
        and (not severity or alert.severity in severity)
    ]
    return Alerts(alerts=[_info(alert) for alert in matches], next=None)


@router.get("/history", operation_id="list_alert_history", summary="List the history of alerts")
async def history(
    services: ServicesDep,
    user: Viewer,
    start: Annotated[str, Query(description="Unix ms, ISO 8601, or relative: -6h, -7d.")] = "-7d",
    end: Annotated[str, Query(description="As `start`; not included in the range.")] = "now",
    rule: Annotated[str | None, Query(max_length=100, pattern=NO_NUL, description="The name of a rule.")] = None,
    server: Annotated[list[ServerId], Query(description="Server ids; all servers if omitted.")] = [],
    severity: Annotated[list[Severity], Query()] = [],
    state: Annotated[list[AlertState], Query()] = [],
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: PageCursor = None,
) -> Alerts:
    """Lists alerts that began in the range, newest first, including those that are still active."""
    start_ms, end_ms = parse_range(start, end, services.clock.now_ms())
    if user.restricted:
        visible = user.view(services.registry).by_id
        server = [server_id for server_id in server or visible if server_id in visible]
        if not server:
            return Alerts(alerts=[], next=None)
    matches = await services.database.read(
        lambda connection: alert_history(
            connection,
            start_ms=start_ms,
            end_ms=end_ms,
            before_id=cursor,
            limit=limit + 1,
            rule=rule,
            server_ids=server,
            severities=[level.value for level in severity],
            states=state,
        )
    )
    page = matches[:limit]
    return Alerts(alerts=[_info(alert) for alert in page], next=str(page[-1].id) if len(matches) > limit else None)


@router.get("/{id}", operation_id="get_alert", summary="Get an alert")
async def get(
    services: ServicesDep,
    user: Viewer,
    id: RowId,
    language: Annotated[Language, Query(description="The language of `summary`.")] = "en",
) -> AlertRecord:
    """Returns the alert with its cause, the top containers and processes at that moment, and all notifications and
    decisions."""

    def read(connection: Connection) -> tuple[Alert, Rule | None, list[StoredDecision], list[StoredNotification]]:
        alert = _visible(find_alert(connection, id), user, services)
        try:
            rule = find_rule(connection, alert.rule_id, deleted=True).rule
        except (NotFound, InvalidInput):
            rule = None
        notifications = list_notifications(connection, alert_id=id, limit=1_000)
        return alert, rule, load_decisions(connection, id), notifications

    alert, rule, decisions, notifications = await services.database.read(read)
    now_ms = services.clock.now_ms()
    summary, value_text, explanation = "", format_value(alert.value, ""), Explanation()
    if rule is not None:
        explainer = Explainer(services.database, services.settings.limits)
        explanation = await explainer.explain(alert, rule, "UTC", now_ms, chart=False)
        event = Event.RESOLVED if alert.state == "resolved" else Event.FIRED
        message = build(
            [alert],
            rule,
            explanation,
            notification_id=0,
            event=event,
            language=language,
            zone="UTC",
            now_ms=now_ms,
            public_url="",
        )
        summary, value_text = message.summary, dict(message.facts).get(message.text("value"), "")
    return AlertRecord(
        alert=_info(alert),
        summary=summary,
        value_text=value_text,
        trend_per_hour=explanation.trend,
        processes_ms=explanation.processes_ms,
        processes=[TopProcess.model_validate(one, from_attributes=True) for one in explanation.processes],
        containers_ms=explanation.containers_ms,
        containers=[TopContainer.model_validate(one, from_attributes=True) for one in explanation.containers],
        decisions=[DecisionInfo(**decision._asdict()) for decision in decisions],
        notifications=[notification_info(notification) for notification in notifications],
    )


@router.post("/{id}/acknowledge", operation_id="acknowledge_alert", summary="Acknowledge an alert")
async def acknowledge_alert(services: ServicesDep, user: Operator, id: RowId, request: Acknowledge) -> AlertInfo:
    """Ends repeats and escalation. If the alert is already acknowledged, the first acknowledgement stays."""
    now_ms = services.clock.now_ms()

    def store(connection: Connection) -> Alert:
        _visible(find_alert(connection, id), user, services)
        record(connection, now_ms, user, "alert.acknowledge", f"alert {id}", after={"comment": request.comment})
        return acknowledge(connection, id, user.name, request.comment, now_ms)

    return _info(await services.database.write(store))
