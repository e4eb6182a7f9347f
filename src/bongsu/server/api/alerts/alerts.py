"""/api/alerts: what fires, what fired, and who looks after it."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from bongsu.alerts.alert import Alert, Event
from bongsu.alerts.message import MOST_PROCESSES, build, format_value
from bongsu.alerts.rules import Rule, Severity
from bongsu.alerts.silences import NO_NUL
from bongsu.alerts.texts import Language
from bongsu.core.errors import NotFound
from bongsu.server.alerts.explain import Explainer
from bongsu.server.alerts.queries.alerts import (
    acknowledge,
    active_alerts,
    alert_decisions_of,
    alert_history,
    find_alert,
)
from bongsu.server.alerts.queries.notifications import list_notifications
from bongsu.server.alerts.queries.rules import find_rule
from bongsu.server.api.access import Operator, Viewer
from bongsu.server.api.alerts.notifications import (
    NotificationInfo,
    notification_info,
)
from bongsu.server.api.dependencies import PageCursor, RowId, ServerId, ServicesDep
from bongsu.server.api.timerange import parse_range
from bongsu.server.auth.audit import record
from bongsu.server.auth.principal import Principal
from bongsu.server.services import Services

router = APIRouter(prefix="/api/alerts", tags=["alerts"])

AlertState = Literal["pending", "firing", "resolved"]


class AlertInfo(BaseModel):
    """An alert: one rule, one series, from pending to resolved."""

    id: int
    rule_id: int
    rule_name: str
    severity: Severity
    priority: int = Field(description="1 goes first.")
    server_id: int
    server_name: str
    series: str = Field(description="Empty for the server as a whole.")
    state: AlertState
    reason: str = Field(description="Why it is in this state: breach, no_data, recovered, data_stopped, not_watched.")
    since_ms: int = Field(description="When the condition began to hold.")
    fired_ms: int | None
    resolved_ms: int | None
    value: float | None = Field(description="When it last changed state, or was told.")
    threshold: float | None
    no_data: bool = Field(description="It fires because there is no data.")
    flapping: bool = Field(description="It came and went; it ends after 15 minutes of quiet.")
    acknowledged_ms: int | None
    acknowledged_by: str
    acknowledged_comment: str
    notified_ms: int | None = Field(description="When a notification was last queued; null: nobody was told.")


class Alerts(BaseModel):
    """A page of alerts."""

    alerts: list[AlertInfo]
    next: str | None = Field(description="Pass it as `cursor` for the next page; null on the last.")


class DecisionInfo(BaseModel):
    """What a stage did with the alert, and why."""

    time_ms: int
    event: Event
    stage: str = Field(description="inhibit, silence, dedupe, route, send or record.")
    outcome: str
    detail: str


class TopProcess(BaseModel):
    """A process that took much at that moment."""

    name: str
    user: str
    cpu_ratio: float
    memory_bytes: int


class AlertRecord(BaseModel):
    """All about one alert."""

    alert: AlertInfo
    summary: str = Field(description="One sentence, in the language asked for.")
    value_text: str
    trend_per_hour: float | None = Field(description="Change of the metric in an hour.")
    processes_ms: int | None
    processes: list[TopProcess]
    decisions: list[DecisionInfo] = Field(description="Each stage's decisions, oldest first.")
    notifications: list[NotificationInfo]


class Acknowledge(BaseModel):
    """Who looks after it may say so."""

    comment: str = Field("", max_length=1_000, pattern=NO_NUL)


def alert_info(alert: Alert) -> AlertInfo:
    """As the API shows it."""
    return AlertInfo.model_validate(alert, from_attributes=True)


def _visible(alert: Alert, user: Principal, services: Services) -> Alert:
    """Raises NotFound when the alert is of a server that does not exist for the user."""
    if user.restricted and alert.server_id not in user.view(services.registry).by_id:
        raise NotFound(f"There is no alert {alert.id}.", code="unknown_alert", field="id")
    return alert


@router.get("/active", operation_id="list_active_alerts", summary="What fires, or is about to")
async def active(
    services: ServicesDep,
    user: Viewer,
    state: Annotated[Literal["pending", "firing"] | None, Query(description="Both when left out.")] = None,
    server: Annotated[list[ServerId], Query(description="Server ids.")] = [],
    severity: Annotated[list[Severity], Query()] = [],
) -> Alerts:
    """The most urgent first."""
    visible = user.view(services.registry).by_id
    found = [
        alert
        for alert in await services.database.read(active_alerts)
        if alert.server_id in visible
        and (state is None or alert.state == state)
        and (not server or alert.server_id in server)
        and (not severity or alert.severity in severity)
    ]
    return Alerts(alerts=[alert_info(alert) for alert in found], next=None)


@router.get("/history", operation_id="list_alert_history", summary="What fired")
async def history(
    services: ServicesDep,
    user: Viewer,
    start: Annotated[str, Query(description="Unix ms, ISO 8601, or relative: -6h, -7d.")] = "-7d",
    end: Annotated[str, Query(description="As `start`; not included.")] = "now",
    rule: Annotated[str | None, Query(max_length=100, pattern=NO_NUL, description="Name of a rule.")] = None,
    server: Annotated[list[ServerId], Query(description="Server ids.")] = [],
    severity: Annotated[list[Severity], Query()] = [],
    state: Annotated[list[AlertState], Query()] = [],
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: PageCursor = None,
) -> Alerts:
    """Alerts that began in the range, the newest first, those that still fire as well."""
    start_ms, end_ms = parse_range(start, end, services.clock.now_ms())
    if user.restricted:
        visible = user.view(services.registry).by_id
        server = [one for one in server or visible if one in visible]
        if not server:
            return Alerts(alerts=[], next=None)
    found = await services.database.read(
        lambda connection: alert_history(
            connection,
            start_ms=start_ms,
            end_ms=end_ms,
            before_id=cursor,
            limit=limit + 1,
            rule=rule,
            server_ids=server,
            severities=[one.value for one in severity],
            states=state,
        )
    )
    page = found[:limit]
    return Alerts(alerts=[alert_info(one) for one in page], next=str(page[-1].id) if len(found) > limit else None)


@router.get("/{id}", operation_id="get_alert", summary="All about one alert")
async def one(
    services: ServicesDep,
    user: Viewer,
    id: RowId,
    language: Annotated[Language, Query(description="Of `summary`.")] = "en",
) -> AlertRecord:
    """Why it fires, what ran at that moment, who was told and what their service answered, or why nobody was."""

    def read(connection: Connection) -> tuple[Alert, Rule | None, list[Any], list[Any]]:
        alert = _visible(find_alert(connection, id), user, services)
        try:
            rule = find_rule(connection, alert.rule_id).rule
        except NotFound:
            rule = None
        sent = list_notifications(connection, alert_id=id, limit=1_000)
        return alert, rule, alert_decisions_of(connection, id), sent

    alert, rule, decisions, sent = await services.database.read(read)
    now_ms = services.clock.now_ms()
    summary, value_text, trend, processes_ms, processes = "", format_value(alert.value, ""), None, None, []
    if rule is not None:
        explainer = Explainer(services.database, services.settings.limits)
        found = await explainer.explain(alert, rule, "UTC", now_ms, chart=False)
        event = Event.RESOLVED if alert.state == "resolved" else Event.FIRED
        message = build(
            [alert], rule, found, number=0, event=event, language=language, zone="UTC", now_ms=now_ms, public_url=""
        )
        summary, value_text = message.summary, dict(message.facts)[message.text("value")]
        trend, processes_ms = found.trend, found.processes_ms
        processes = [
            TopProcess(name=p.name, user=p.user, cpu_ratio=p.cpu_ratio, memory_bytes=p.memory_bytes)
            for p in list(found.processes)[:MOST_PROCESSES]
        ]
    return AlertRecord(
        alert=alert_info(alert),
        summary=summary,
        value_text=value_text,
        trend_per_hour=trend,
        processes_ms=processes_ms,
        processes=processes,
        decisions=[
            DecisionInfo(time_ms=time_ms, event=Event(event), stage=stage, outcome=outcome, detail=detail)
            for time_ms, event, stage, outcome, detail in decisions
        ],
        notifications=[notification_info(one) for one in sent],
    )


@router.post("/{id}/acknowledge", operation_id="acknowledge_alert", summary="Say that you look after it")
async def acknowledge_one(services: ServicesDep, user: Operator, id: RowId, request: Acknowledge) -> AlertInfo:
    """It is not repeated and does not escalate any more. The first one to say so is recorded."""
    now_ms = services.clock.now_ms()

    def store(connection: Connection) -> Alert:
        _visible(find_alert(connection, id), user, services)
        record(connection, now_ms, user, "alert.acknowledge", f"alert {id}", after={"comment": request.comment})
        return acknowledge(connection, id, user.name, request.comment, now_ms)

    return alert_info(await services.database.write(store))
