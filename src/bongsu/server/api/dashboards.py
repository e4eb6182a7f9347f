"""/api/dashboards: what people compose of widgets, save and share."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from bongsu.core.errors import Forbidden, InvalidInput
from bongsu.server.api.access import Viewer
from bongsu.server.api.dependencies import RowId, ServicesDep
from bongsu.server.auth.audit import record
from bongsu.server.auth.principal import Principal, Role
from bongsu.server.dashboards.access import Grant, Grants, Right, right_of
from bongsu.server.dashboards.document import Dashboard
from bongsu.server.dashboards.queries import (
    Listed,
    StoredDashboard,
    add_dashboard,
    change_dashboard,
    change_grants,
    delete_dashboard,
    find_dashboard,
    find_listed,
    find_version,
    load_dashboards,
    load_templates,
    load_versions,
    unknown_dashboard,
)
from bongsu.server.dashboards.templates import built_in_templates
from bongsu.server.services import Services

router = APIRouter(prefix="/api/dashboards", tags=["dashboards"])


class DashboardSummary(BaseModel):
    """A dashboard in a list."""

    id: int
    title: str
    description: str
    tags: list[str]
    widgets: int
    revision: int
    right: Right = Field(description="What you may do with it.")
    mine: bool
    shared: bool = Field(description="Whether others than its owner and admins may see it.")
    file: str = Field(description="It comes from this file, and is changed there; empty: people made it.")
    updated_ms: int
    updated_by: str


class DashboardList(BaseModel):
    """Dashboards, by title."""

    dashboards: list[DashboardSummary]


class DashboardInfo(DashboardSummary):
    """A dashboard with its document."""

    dashboard: Dashboard
    grants: list[Grant]
    created_ms: int


class NewDashboard(BaseModel):
    """A dashboard to add."""

    dashboard: Dashboard
    grants: Grants | None = Field(None, description="Who else may see or change it; null: nobody.")
    template: bool = Field(False, description="Whether it is a template, which others begin with.")


class ChangedDashboard(BaseModel):
    """A changed document."""

    dashboard: Dashboard
    revision: int = Field(ge=1, le=2**31 - 1, description="The revision that was changed.")


class ChangedGrants(BaseModel):
    """Who may see or change it from now on."""

    grants: Grants


class DashboardVersion(BaseModel):
    """What a dashboard was after it was saved."""

    revision: int
    saved_ms: int
    saved_by: str
    bytes: int


class DashboardVersions(BaseModel):
    """The versions that are kept, newest first."""

    versions: list[DashboardVersion]


class DashboardTemplate(BaseModel):
    """What a new dashboard can begin with."""

    key: str = Field(description="`built-in:NAME`, or `dashboard:ID` of a saved one.")
    dashboard: Dashboard
    right: Right


class DashboardTemplates(BaseModel):
    """Templates: the built-in ones first."""

    templates: list[DashboardTemplate]


def _summary(stored: Listed, user: Principal, right: Right) -> dict[str, Any]:
    return {
        "id": stored.id,
        "title": stored.summary.title,
        "description": stored.summary.description,
        "tags": stored.summary.tags,
        "widgets": stored.summary.widgets,
        "revision": stored.revision,
        "right": right,
        "mine": stored.owner_id == user.user_id,
        "shared": bool(stored.grants),
        "file": stored.file,
        "updated_ms": stored.updated_ms,
        "updated_by": stored.updated_by,
    }


def _right(stored: Listed, user: Principal) -> Right | None:
    right = right_of(user, stored.owner_id, stored.grants)
    return "see" if right and stored.file else right


def _info(stored: StoredDashboard, user: Principal) -> DashboardInfo:
    return DashboardInfo(
        **_summary(stored, user, _right(stored, user) or "see"),
        dashboard=stored.dashboard,
        grants=list(stored.grants),
        created_ms=stored.created_ms,
    )


def _check(connection: Connection, user: Principal, dashboard_id: int, wanted: Right = "see") -> Listed:
    """Raises NotFound if the user may not see it, Forbidden if the user may not change it."""
    stored = find_listed(connection, dashboard_id)
    right = _right(stored, user)
    if right is None:
        raise unknown_dashboard(dashboard_id)
    if wanted == "change" and stored.file:
        raise Forbidden(f"This dashboard comes from the file {stored.file}: change it there.", code="from_file")
    if wanted == "change" and right != "change":
        raise Forbidden("You may see this dashboard, but not change it.", code="not_yours")
    return stored


def _check_grants(services: Services, user: Principal, grants: list[Grant]) -> None:
    if grants and not user.role.includes(Role.operator):
        raise Forbidden("Sharing a dashboard requires the role operator.")
    unknown = [
        grant.user_id for grant in grants if grant.user_id and grant.user_id not in services.auth.directory.users
    ]
    if unknown:
        raise InvalidInput(f"There is no user {unknown[0]}.", code="unknown_user", field="grants")


def _facts(stored: Listed) -> dict[str, Any]:
    return {"title": stored.summary.title, "widgets": stored.summary.widgets, "revision": stored.revision}


@router.get("", operation_id="list_dashboards", summary="List dashboards")
async def dashboards(
    services: ServicesDep,
    user: Viewer,
    tag: Annotated[list[str], Query(description="Only dashboards that have all of these tags.")] = [],
) -> DashboardList:
    """Lists the dashboards that you may see, by title, without templates."""
    return DashboardList(
        dashboards=[
            DashboardSummary(**_summary(stored, user, right))
            for stored in await services.database.read(load_dashboards)
            if set(tag) <= set(stored.summary.tags) and (right := _right(stored, user))
        ]
    )


@router.post("", operation_id="create_dashboard", summary="Create a dashboard", status_code=201)
async def create(services: ServicesDep, user: Viewer, new: NewDashboard) -> DashboardInfo:
    """Adds a dashboard of yours, also from an export. Only you and admins see it unless `grants` says otherwise; who
    shares it, or saves it as a template, must be an operator."""
    grants = new.grants or []
    _check_grants(services, user, grants)
    if user.kind != "user" and not user.role.includes(Role.operator):
        raise Forbidden("Creating a dashboard with an API token requires the scope operator.")
    if new.template and not user.role.includes(Role.operator):
        raise Forbidden("Saving a template requires the role operator.")
    now_ms = services.clock.now_ms()

    def store(connection: Connection) -> StoredDashboard:
        stored = add_dashboard(
            connection,
            new.dashboard,
            owner_id=user.user_id,
            by=user.name,
            grants=grants,
            now_ms=now_ms,
            template=new.template,
        )
        record(connection, now_ms, user, "dashboard.create", f"dashboard {stored.id}", after=_facts(stored))
        return stored

    return _info(await services.database.write(store), user)


@router.get("/templates", operation_id="list_dashboard_templates", summary="List templates")
async def templates(services: ServicesDep, user: Viewer) -> DashboardTemplates:
    """Lists what a new dashboard can begin with: the built-in templates, and those that people have saved."""
    built_in = [
        DashboardTemplate(key=f"built-in:{name}", dashboard=dashboard, right="see")
        for name, dashboard in built_in_templates().items()
    ]
    saved = [
        DashboardTemplate(key=f"dashboard:{stored.id}", dashboard=stored.dashboard, right=right)
        for stored in await services.database.read(load_templates)
        if (right := _right(stored, user))
    ]
    return DashboardTemplates(templates=built_in + saved)


@router.get("/schema", operation_id="get_dashboard_schema", summary="Get the JSON Schema of a dashboard")
async def schema(user: Viewer) -> dict[str, Any]:
    """The JSON Schema of the document that exports and files hold."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Dashboard.model_json_schema()}


@router.get("/{id}", operation_id="get_dashboard", summary="Get a dashboard")
async def get(services: ServicesDep, user: Viewer, id: RowId) -> DashboardInfo:
    """The document, its revision, and who may do what."""

    def load(connection: Connection) -> StoredDashboard:
        _check(connection, user, id)
        return find_dashboard(connection, id)

    return _info(await services.database.read(load), user)


@router.put("/{id}", operation_id="change_dashboard", summary="Change a dashboard")
async def change(services: ServicesDep, user: Viewer, id: RowId, changed: ChangedDashboard) -> DashboardInfo:
    """Replaces the document. If somebody has saved the dashboard since the `revision` that you changed, nothing is
    overwritten: the answer is 409 `dashboard_changed`, whose `limit` is the present revision."""
    now_ms = services.clock.now_ms()

    def store(connection: Connection) -> StoredDashboard:
        before = _check(connection, user, id, "change")
        after = change_dashboard(
            connection, id, changed.dashboard, revision=changed.revision, by=user.name, now_ms=now_ms
        )
        facts = _facts(before), _facts(after)
        record(connection, now_ms, user, "dashboard.update", f"dashboard {id}", before=facts[0], after=facts[1])
        return after

    return _info(await services.database.write(store), user)


@router.put("/{id}/grants", operation_id="share_dashboard", summary="Share a dashboard")
async def share(services: ServicesDep, user: Viewer, id: RowId, changed: ChangedGrants) -> DashboardInfo:
    """Replaces who else may see or change it. Needs the role operator."""
    _check_grants(services, user, changed.grants)
    now_ms = services.clock.now_ms()

    def store(connection: Connection) -> StoredDashboard:
        before = _check(connection, user, id, "change")
        after = change_grants(connection, id, changed.grants)
        facts = [{"grants": [grant.model_dump(mode="json") for grant in one.grants]} for one in (before, after)]
        record(connection, now_ms, user, "dashboard.share", f"dashboard {id}", before=facts[0], after=facts[1])
        return after

    return _info(await services.database.write(store), user)


@router.delete("/{id}", operation_id="delete_dashboard", summary="Delete a dashboard", status_code=204)
async def delete(services: ServicesDep, user: Viewer, id: RowId) -> None:
    """Deletes the dashboard and all its versions; export it first to have it back."""
    now_ms = services.clock.now_ms()

    def store(connection: Connection) -> None:
        before = _check(connection, user, id, "change")
        delete_dashboard(connection, id)
        record(connection, now_ms, user, "dashboard.delete", f"dashboard {id}", before=_facts(before))

    await services.database.write(store)


@router.get("/{id}/versions", operation_id="list_dashboard_versions", summary="List the versions of a dashboard")
async def versions(services: ServicesDep, user: Viewer, id: RowId) -> DashboardVersions:
    """The last 50 versions, newest first. The first in the list is the present one."""

    def load(connection: Connection) -> list[DashboardVersion]:
        _check(connection, user, id)
        return [
            DashboardVersion(revision=one.revision, saved_ms=one.saved_ms, saved_by=one.saved_by, bytes=one.bytes)
            for one in load_versions(connection, id)
        ]

    return DashboardVersions(versions=await services.database.read(load))


@router.get("/{id}/versions/{revision}", operation_id="get_dashboard_version", summary="Get a version of a dashboard")
async def version(
    services: ServicesDep, user: Viewer, id: RowId, revision: Annotated[int, Path(ge=1, le=2**31 - 1)]
) -> Dashboard:
    """The document as it was then. To restore it, save it as a change of the present revision."""

    def load(connection: Connection) -> Dashboard:
        _check(connection, user, id)
        return find_version(connection, id, revision)

    return await services.database.read(load)
