"""Statements on the tables ``dashboards`` and ``dashboard_versions``; those on the links are in ``shares.py``."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from bongsu.core.errors import Conflict, InvalidInput, NotFound, TooMany
from bongsu.server.dashboards.access import GRANTS, Grant
from bongsu.server.dashboards.document import Dashboard, parse_dashboard
from bongsu.server.database.tables import dashboard_shares, dashboard_versions, dashboards

MOST_DASHBOARDS = 2_000
# Of each dashboard; the oldest go.
MOST_VERSIONS = 50


@dataclass(frozen=True, slots=True)
class Summary:
    """What lists show of a document."""

    title: str
    description: str
    tags: Sequence[str]
    widgets: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A dashboard without its document: whose it is and who may do what. ``file``: it comes from this file and is not
    changed here."""

    id: int
    summary: Summary
    owner_id: int
    grants: Sequence[Grant]
    template: bool
    file: str
    revision: int
    created_ms: int
    updated_ms: int
    updated_by: str


@dataclass(frozen=True, slots=True)
class StoredDashboard(Listed):
    """A dashboard with its document."""

    dashboard: Dashboard


@dataclass(frozen=True, slots=True)
class Version:
    """What a dashboard was after it was saved, without its document."""

    revision: int
    saved_ms: int
    saved_by: str
    bytes: int


_LISTED = [column for column in dashboards.c if column.name != "document"]


def _listed(row: Row[Any]) -> dict[str, Any]:
    values = row._mapping
    return {
        **{name: values[name] for name in ("id", "owner_id", "template", "file", "revision", "created_ms")},
        **{name: values[name] for name in ("updated_ms", "updated_by")},
        "summary": Summary(title=values["title"], **json.loads(values["summary"])),
        "grants": GRANTS.validate_json(values["grants"]),
    }


def _dashboard(row: Row[Any]) -> StoredDashboard:
    return StoredDashboard(**_listed(row), dashboard=parse_dashboard(row.document))


def _content(dashboard: Dashboard) -> dict[str, str]:
    """The columns that hold a document and what lists show of it."""
    summary = {
        "description": dashboard.description,
        "tags": dashboard.tags,
        "widgets": len(dashboard.widgets),
    }
    return {
        "title": dashboard.title,
        "summary": json.dumps(summary, ensure_ascii=False),
        "document": dashboard.to_json(),
    }


def load_dashboards(connection: Connection) -> list[Listed]:
    """All of them but templates, by title."""
    query = select(*_LISTED).where(dashboards.c.template.is_(False))
    ordered = query.order_by(func.lower(dashboards.c.title), dashboards.c.id)
    return [Listed(**_listed(row)) for row in connection.execute(ordered)]


def load_templates(connection: Connection) -> list[StoredDashboard]:
    """The templates that people have saved, by title. Those that cannot be read are left out."""
    loaded = []
    for row in connection.execute(select(dashboards).where(dashboards.c.template).order_by(dashboards.c.title)):
        with contextlib.suppress(InvalidInput):
            loaded.append(_dashboard(row))
    return loaded


@dataclass(frozen=True, slots=True)
class FromFile:
    """What is stored of a file."""

    id: int
    revision: int
    document: str


def load_from_files(connection: Connection) -> dict[str, FromFile]:
    """File name -> the dashboard that comes from it."""
    table = dashboards.c
    query = select(table.file, table.id, table.revision, table.document).where(table.file != "")
    return {row.file: FromFile(row.id, row.revision, row.document) for row in connection.execute(query)}


def _row(connection: Connection, dashboard_id: int) -> Row[Any]:
    row = connection.execute(select(dashboards).where(dashboards.c.id == dashboard_id)).first()
    if row is None:
        raise unknown_dashboard(dashboard_id)
    return row


def unknown_dashboard(dashboard_id: int) -> NotFound:
    """The error for a dashboard that does not exist, or not for the caller."""
    return NotFound(f"There is no dashboard {dashboard_id}.", code="unknown_dashboard", field="id")


def find_listed(connection: Connection, dashboard_id: int) -> Listed:
    """A dashboard without its document, which need not be readable. Raises NotFound if there is no such dashboard."""
    return Listed(**_listed(_row(connection, dashboard_id)))


def find_dashboard(connection: Connection, dashboard_id: int) -> StoredDashboard:
    """Raises NotFound if there is no such dashboard, InvalidInput if it cannot be read."""
    return _dashboard(_row(connection, dashboard_id))


def add_dashboard(
    connection: Connection,
    dashboard: Dashboard,
    *,
    owner_id: int,
    by: str,
    grants: Sequence[Grant],
    now_ms: int,
    template: bool = False,
    file: str = "",
) -> StoredDashboard:
    """Raises TooMany if there are MOST_DASHBOARDS already."""
    if (connection.scalar(select(func.count()).select_from(dashboards)) or 0) >= MOST_DASHBOARDS:
        raise TooMany(
            f"There are {MOST_DASHBOARDS} dashboards already; delete some first.",
            code="too_many_dashboards",
            limit=MOST_DASHBOARDS,
        )
    values = {
        **_content(dashboard),
        "owner_id": owner_id,
        "grants": GRANTS.dump_json(list(grants)).decode(),
        "template": template,
        "file": file,
        "revision": 1,
        "created_ms": now_ms,
        "updated_ms": now_ms,
        "updated_by": by,
    }
    dashboard_id = connection.execute(insert(dashboards).values(values).returning(dashboards.c.id)).scalar_one()
    _keep_version(connection, dashboard_id, 1, dashboard, by, now_ms)
    return find_dashboard(connection, dashboard_id)


def change_dashboard(
    connection: Connection, dashboard_id: int, dashboard: Dashboard, *, revision: int, by: str, now_ms: int
) -> StoredDashboard:
    """Replaces the document. ``revision``: the one that was changed.

    Raises:
        NotFound: there is no such dashboard.
        Conflict: somebody has saved it meanwhile.
    """
    values = {
        **_content(dashboard),
        "revision": revision + 1,
        "updated_ms": now_ms,
        "updated_by": by,
    }
    same = dashboards.c.id == dashboard_id, dashboards.c.revision == revision
    if connection.execute(update(dashboards).where(*same).values(values)).rowcount == 0:
        row = _row(connection, dashboard_id)._mapping
        raise Conflict(
            f"{row['updated_by']} has saved this dashboard meanwhile: it has the revision {row['revision']}.",
            code="dashboard_changed",
            field="revision",
            limit=row["revision"],
        )
    _keep_version(connection, dashboard_id, revision + 1, dashboard, by, now_ms)
    return find_dashboard(connection, dashboard_id)


def change_grants(connection: Connection, dashboard_id: int, grants: Sequence[Grant]) -> StoredDashboard:
    """Raises NotFound if there is no such dashboard."""
    values = {"grants": GRANTS.dump_json(list(grants)).decode()}
    if connection.execute(update(dashboards).where(dashboards.c.id == dashboard_id).values(values)).rowcount == 0:
        raise unknown_dashboard(dashboard_id)
    return find_dashboard(connection, dashboard_id)


def delete_dashboard(connection: Connection, dashboard_id: int) -> None:
    """Deletes it, its versions and the links to it. Raises NotFound if there is no such dashboard."""
    connection.execute(delete(dashboard_shares).where(dashboard_shares.c.dashboard_id == dashboard_id))
    connection.execute(delete(dashboard_versions).where(dashboard_versions.c.dashboard_id == dashboard_id))
    if connection.execute(delete(dashboards).where(dashboards.c.id == dashboard_id)).rowcount == 0:
        raise unknown_dashboard(dashboard_id)


def _keep_version(
    connection: Connection, dashboard_id: int, revision: int, dashboard: Dashboard, by: str, now_ms: int
) -> None:
    values = {
        "dashboard_id": dashboard_id,
        "revision": revision,
        "document": dashboard.to_json(),
        "saved_ms": now_ms,
        "saved_by": by,
    }
    connection.execute(insert(dashboard_versions).values(values))
    old = dashboard_versions.c.dashboard_id == dashboard_id, dashboard_versions.c.revision <= revision - MOST_VERSIONS
    connection.execute(delete(dashboard_versions).where(*old))


def load_versions(connection: Connection, dashboard_id: int) -> list[Version]:
    """The versions of a dashboard that are kept, newest first."""
    table = dashboard_versions.c
    query = (
        select(table.revision, table.saved_ms, table.saved_by, func.length(table.document))
        .where(table.dashboard_id == dashboard_id)
        .order_by(table.revision.desc())
    )
    return [Version(*row) for row in connection.execute(query)]


def find_version(connection: Connection, dashboard_id: int, revision: int) -> Dashboard:
    """Raises NotFound if this version is not kept."""
    table = dashboard_versions.c
    query = select(table.document).where(table.dashboard_id == dashboard_id, table.revision == revision)
    document = connection.scalar(query)
    if document is None:
        raise NotFound(
            f"There is no revision {revision} of dashboard {dashboard_id}; the last {MOST_VERSIONS} are kept.",
            code="unknown_revision",
            field="revision",
            limit=MOST_VERSIONS,
        )
    return parse_dashboard(document)
