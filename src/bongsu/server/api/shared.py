"""/api/shared: what whoever has a link to a dashboard sees. Nothing else can be reached with it."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from bongsu.alerts.rules import Severity
from bongsu.core.errors import Forbidden, NotFound
from bongsu.core.units import DAY_MS, parse_duration_ms
from bongsu.server.api.access import Credentials
from bongsu.server.api.dependencies import ServicesDep, address_of
from bongsu.server.api.history_answers import HistoryAnswer
from bongsu.server.api.metrics import CurrentServer
from bongsu.server.api.people import Secret
from bongsu.server.api.schemas import SeriesInfo
from bongsu.server.api.shared_answers import OpenedShare, history_answer, present_answer
from bongsu.server.auth.principal import Principal
from bongsu.server.dashboards.document import Dashboard, Range
from bongsu.server.dashboards.queries import StoredDashboard, find_dashboard
from bongsu.server.dashboards.shares import (
    PASS_PURPOSE,
    Redacted,
    Share,
    check_pass,
    find_share,
    sharer_of,
    sign_pass,
    unknown_share,
)
from bongsu.server.dashboards.shown import redacted, shown_widgets
from bongsu.server.fleet.registry import State
from bongsu.server.services import Services

router = APIRouter(prefix="/api/shared", tags=["shared dashboards"])

Key = Annotated[str, Path(min_length=3, max_length=100, description="The last part of the link.")]

# What the page offers, besides the range of the dashboard. Whoever has the link cannot ask for more work than that.
RANGES = ("15m", "1h", "6h", "24h", "7d", "30d", "365d")
POINTS_STEP = 50
# How long an answer is kept for others who ask the same.
KEEP_SECONDS = 5.0
KEEP_LONGEST_SECONDS = 60.0


class SharedDashboard(BaseModel):
    """A shared dashboard."""

    status_page: bool
    redact: list[Redacted]
    ranges: list[Range] = Field(description="The times that can be shown.")
    dashboard: Dashboard = Field(description="Without what selects servers and series.")


class SharedServer(BaseModel):
    """A server that a shared dashboard names."""

    id: int
    name: str
    state: State
    interval_ms: int


class SharedAlert(BaseModel):
    """An alert that fires."""

    id: int
    rule_name: str
    severity: Severity
    priority: int
    server_id: int
    server_name: str
    series: str
    since_ms: int
    fired_ms: int | None


class SharedGroup(SeriesInfo):
    """The newest samples of several series together. ``min``, ``max``: of what was combined."""

    value: float | None
    min: float | None
    max: float | None


class SharedWidget(BaseModel):
    """What a widget shows now."""

    servers: list[int] = Field(description="Ids of the servers that it selects; empty if it does not tell them apart.")
    current: list[CurrentServer] = Field(description="The newest samples of its series; empty if it combines them.")
    groups: list[SharedGroup] = Field(description="The newest samples, combined; counters as growth per second.")


class SharedPresent(BaseModel):
    """What the widgets of a shared dashboard show now."""

    time_ms: int
    servers: list[SharedServer]
    alerts: list[SharedAlert]
    widgets: dict[str, SharedWidget]


class Unlock(BaseModel):
    """The password of a link."""

    password: Secret


class Pass(BaseModel):
    """Proves that somebody knew the password: pass it as bearer token."""

    token: str
    expires_ms: int


async def find_working_share(services: Services, key: str) -> tuple[Share, StoredDashboard, Principal]:
    """Raises NotFound for a link that does not work."""

    def load(connection: Connection) -> tuple[Share, StoredDashboard]:
        share = find_share(connection, key)
        try:
            return share, find_dashboard(connection, share.dashboard_id)
        except NotFound:
            raise unknown_share() from None

    share, stored = await services.database.read(load)
    sharer = sharer_of(share, stored, services.auth.directory.users)
    if sharer is None or share.has_expired(services.clock.now_ms()):
        raise unknown_share()
    return share, stored, sharer


async def _open(services: Services, key: str, credentials: Credentials) -> OpenedShare:
    """Raises NotFound for a link that does not work, Forbidden without the pass that it needs."""
    share, stored, sharer = await find_working_share(services, key)
    token = credentials.credentials if credentials else None
    check_pass(services.vault.key(PASS_PURPOSE), share, token, services.clock.now_ms())
    versions = share.id, stored.revision, services.auth.directory.people_revision
    return OpenedShare(share, stored, sharer.view(services.registry), versions)


@router.get("/{key}", operation_id="get_shared_dashboard", summary="Get a shared dashboard")
async def document(services: ServicesDep, credentials: Credentials, key: Key) -> SharedDashboard:
    """The document of the dashboard. 403 `password_needed`: unlock it first."""
    opened = await _open(services, key, credentials)
    dashboard = opened.stored.dashboard
    return SharedDashboard(
        status_page=opened.share.status_page,
        redact=sorted(opened.share.redact),
        ranges=_ranges(dashboard),
        dashboard=redacted(dashboard, opened.redactor(services)),
    )


@router.post("/{key}/unlock", operation_id="unlock_shared_dashboard", summary="Unlock a shared dashboard")
async def unlock(services: ServicesDep, request: Request, key: Key, given: Unlock) -> Pass:
    """Checks the password of a link. After several wrong ones, one has to wait."""
    share, _, _ = await find_working_share(services, key)
    address = address_of(request)
    await services.rate_limiter.login(address)
    account = f"share {share.id}"
    await services.auth.lockout.check(account, address, "")
    if not await services.auth.passwords.verify(share.password_hash, given.password):
        await services.auth.lockout.failed(account, address, "")
        raise Forbidden("This password is wrong.", code="wrong_password")
    await services.auth.lockout.succeeded(account, address, "")
    token, expires_ms = sign_pass(services.vault.key(PASS_PURPOSE), share, services.clock.now_ms())
    return Pass(token=token, expires_ms=expires_ms)


@router.get(
    "/{key}/present",
    operation_id="get_shared_present",
    summary="Get what a shared dashboard shows now",
    response_model=SharedPresent,
)
async def present(services: ServicesDep, credentials: Credentials, key: Key) -> Response:
    """The newest samples, the servers and the alerts that the widgets show. Answers may be 5 s old."""
    opened = await _open(services, key, credentials)
    answer = await services.shared_answers.get(
        (opened.key, "present"), KEEP_SECONDS, lambda: present_answer(services, opened)
    )
    return Response(answer, media_type="application/json")


@router.get(
    "/{key}/history",
    operation_id="get_shared_history",
    summary="Get the history of a widget of a shared dashboard",
    response_model=HistoryAnswer,
)
async def history(
    services: ServicesDep,
    credentials: Credentials,
    key: Key,
    widget: Annotated[str, Query(min_length=1, max_length=32)],
    range: Annotated[Range, Query(description="One of the `ranges` of the dashboard.")] = "1h",
    points: Annotated[int, Query(ge=POINTS_STEP, le=500, multiple_of=POINTS_STEP)] = 100,
    before: Annotated[int, Query(ge=0, le=7, description="So many days before: 0, 1 or 7.")] = 0,
) -> Response:
    """The points of the series that a widget shows, until now."""
    opened = await _open(services, key, credentials)
    dashboard = opened.stored.dashboard
    shown = shown_widgets(dashboard).get(widget)
    if shown is None or shown.source is None:
        raise NotFound(f"There is no widget {widget} that shows series.", code="unknown_widget", field="widget")
    if range not in _ranges(dashboard) or before not in (0, 1, 7):
        raise NotFound("This time is not shared.", code="not_shared", field="range")
    range_ms = parse_duration_ms(range, field="range")
    seconds = min(max(KEEP_SECONDS, range_ms / 1000 / points / 2), KEEP_LONGEST_SECONDS)
    answer = await services.shared_answers.get(
        (opened.key, widget, range, points, before),
        seconds,
        lambda: history_answer(services, opened, shown, range_ms, points, before * DAY_MS),
    )
    return Response(answer, media_type="application/json")


def _ranges(dashboard: Dashboard) -> list[str]:
    ranges = {*RANGES, dashboard.range}
    return sorted(ranges, key=lambda range: parse_duration_ms(range, field="range"))
