"""Dashboards over the API: who may do what, revisions, versions, bad input, and what survives unchanged."""

import asyncio
import copy
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from bongsu.server.dashboards import queries
from bongsu.server.dashboards.document import MOST_WIDGETS, Dashboard
from bongsu.server.dashboards.templates import built_in_templates
from bongsu.server.database.tables import dashboards
from tests.support.app import RunningApp, api_token, running_app
from tests.support.people import add_person, person_token

TEXT: dict[str, Any] = {
    "id": "notes",
    "type": "text",
    "version": 1,
    "title": "Notes",
    "place": {"x": 0, "y": 0, "w": 6, "h": 4},
    "config": {"markdown": "# Hello\n<b>bold</b>"},
}
# Of a later version of Bongsu.
FOREIGN: dict[str, Any] = {
    "id": "globe",
    "type": "globe",
    "version": 7,
    "title": "",
    "place": {"x": 6, "y": 0, "w": 6, "h": 4},
    "phone": None,
    "config": {"spin": [1, 2.5, None, {"deep": "가"}]},
    "fancy": True,
}
DOCUMENT: dict[str, Any] = {"title": "Mine", "widgets": [TEXT, FOREIGN]}


async def create(app: RunningApp, document: dict[str, Any] = DOCUMENT, **more: Any) -> dict[str, Any]:
    answer = await app.client.post("/api/dashboards", json={"dashboard": document, **more})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def headers_of(app: RunningApp, role: str) -> dict[str, Any]:
    """Headers of a new person with this role, and its id."""
    person = await add_person(app, role)
    return {"id": person.id, "headers": {"Authorization": f"Bearer {await person_token(app, person)}"}}


async def save(app: RunningApp, info: dict[str, Any], revision: int, **changes: Any) -> httpx.Response:
    body = {"dashboard": info["dashboard"] | changes, "revision": revision}
    return await app.client.put(f"/api/dashboards/{info['id']}", json=body)


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    return error


async def test_a_dashboard_from_its_creation_to_its_end(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        created = await create(app)
        assert (created["revision"], created["right"], created["mine"], created["shared"]) == (1, "change", True, False)
        app.clock.advance(60)
        changed = await save(app, created, 1, title="Ours")
        assert changed.status_code == 200
        assert (changed.json()["revision"], changed.json()["updated_ms"]) == (2, app.clock.now_ms())
        (listed,) = (await app.get("/api/dashboards"))["dashboards"]
        assert (listed["title"], listed["widgets"], listed["revision"]) == ("Ours", 2, 2)
        versions = (await app.get(f"/api/dashboards/{created['id']}/versions"))["versions"]
        assert [version["revision"] for version in versions] == [2, 1]
        before = await app.get(f"/api/dashboards/{created['id']}/versions/1")
        assert before == created["dashboard"]
        restored = await save(app, {**created, "dashboard": before}, 2)
        assert restored.json()["dashboard"] == created["dashboard"]
        assert (await app.client.delete(f"/api/dashboards/{created['id']}")).status_code == 204
        gone = await app.client.get(f"/api/dashboards/{created['id']}")
        assert (gone.status_code, error_of(gone)["code"]) == (404, "unknown_dashboard")
        assert (await app.client.get(f"/api/dashboards/{created['id']}/versions/1")).status_code == 404
        actions = [entry["action"] for entry in (await app.get("/api/audit", action="dashboard"))["entries"]]
        assert actions == ["dashboard.delete", "dashboard.update", "dashboard.update", "dashboard.create"]


async def test_an_export_that_is_deleted_and_imported_again_is_identical(tmp_path: Path) -> None:
    """Also what this version does not know."""
    async with running_app(tmp_path) as app:
        exported = (await create(app))["dashboard"]
        assert exported["widgets"][1] == FOREIGN
        await app.client.delete("/api/dashboards/1")
        again = await create(app, exported)
        assert (again["dashboard"], again["id"]) == (exported, 2)


async def test_of_two_who_change_it_one_is_told(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        created = await create(app)
        answers = await asyncio.gather(*(save(app, created, 1, title=f"By {number}") for number in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
        refused = next(answer for answer in answers if answer.status_code == 409)
        error = error_of(refused)
        assert (error["code"], error["field"], error["limit"]) == ("dashboard_changed", "revision", 2)
        assert "has saved this dashboard meanwhile" in error["message"]
        (winner,) = (answer.json()["title"] for answer in answers if answer.status_code == 200)
        assert (await app.get("/api/dashboards/1"))["title"] == winner
        assert (await save(app, created, 2, title="Knowingly")).status_code == 200


async def test_only_the_last_versions_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MOST_VERSIONS", 3)
    async with running_app(tmp_path) as app:
        created = await create(app)
        for revision in range(1, 6):
            assert (await save(app, created, revision, title=str(revision))).status_code == 200
        versions = (await app.get("/api/dashboards/1/versions"))["versions"]
        assert [version["revision"] for version in versions] == [6, 5, 4]
        missing = await app.client.get("/api/dashboards/1/versions/3")
        assert (missing.status_code, error_of(missing)["code"]) == (404, "unknown_revision")


async def test_nobody_sees_a_dashboard_that_was_not_shared(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        owner, other = await headers_of(app, "operator"), await headers_of(app, "operator")
        mine = await app.client.post("/api/dashboards", json={"dashboard": DOCUMENT}, headers=owner["headers"])
        path = f"/api/dashboards/{mine.json()['id']}"
        assert (await app.client.get("/api/dashboards", headers=other["headers"])).json()["dashboards"] == []
        body = {"dashboard": DOCUMENT, "revision": 1}
        for answer in (
            await app.client.get(path, headers=other["headers"]),
            await app.client.put(path, json=body, headers=other["headers"]),
            await app.client.delete(path, headers=other["headers"]),
            await app.client.get(f"{path}/versions", headers=other["headers"]),
            await app.client.put(f"{path}/grants", json={"grants": []}, headers=other["headers"]),
        ):
            unknown = await app.client.get("/api/dashboards/999", headers=other["headers"])
            assert answer.status_code == 404
            assert error_of(answer)["message"].replace(path[-1], "#") == error_of(unknown)["message"].replace(
                "999", "#"
            )
        assert (await app.get(path))["right"] == "change", "an admin"


@pytest.mark.parametrize(
    ("grant", "role", "right"),
    [
        ({"role": "viewer", "right": "see"}, "viewer", "see"),
        ({"role": "viewer", "right": "see"}, "operator", "see"),
        ({"role": "viewer", "right": "change"}, "viewer", "change"),
        ({"role": "operator", "right": "change"}, "operator", "change"),
        ({"role": "operator", "right": "change"}, "viewer", None),
        ({"user_id": True, "right": "see"}, "viewer", "see"),
        ({"user_id": True, "right": "change"}, "viewer", "change"),
        ({"user_id": False, "right": "change"}, "viewer", None),
    ],
)
async def test_shared_with_roles_and_users(tmp_path: Path, grant: dict[str, Any], role: str, right: str | None) -> None:
    async with running_app(tmp_path) as app:
        person = await headers_of(app, role)
        if "user_id" in grant:
            grant = grant | {"user_id": person["id"] if grant["user_id"] else 1}
        created = await create(app)
        shared = await app.client.put(f"/api/dashboards/{created['id']}/grants", json={"grants": [grant]})
        assert (shared.status_code, shared.json()["shared"]) == (200, True)
        listed = (await app.client.get("/api/dashboards", headers=person["headers"])).json()["dashboards"]
        assert [one["right"] for one in listed] == ([right] if right else [])
        body = {"dashboard": created["dashboard"], "revision": 1}
        answer = await app.client.put(f"/api/dashboards/{created['id']}", json=body, headers=person["headers"])
        assert answer.status_code == {None: 404, "see": 403, "change": 200}[right]


async def test_a_viewer_has_dashboards_but_does_not_share_them(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        viewer = await headers_of(app, "viewer")
        everybody = [{"role": "viewer", "right": "see"}]
        for more in ({"grants": everybody}, {"template": True}):
            refused = await app.client.post(
                "/api/dashboards", json={"dashboard": DOCUMENT, **more}, headers=viewer["headers"]
            )
            assert refused.status_code == 403
        mine = await app.client.post("/api/dashboards", json={"dashboard": DOCUMENT}, headers=viewer["headers"])
        assert (mine.status_code, mine.json()["right"]) == (201, "change")
        path = f"/api/dashboards/{mine.json()['id']}/grants"
        assert (await app.client.put(path, json={"grants": everybody}, headers=viewer["headers"])).status_code == 403


@pytest.mark.parametrize(("scope", "right"), [("viewer", "see"), ("operator", "change")])
async def test_an_api_token_changes_only_what_its_scope_allows(tmp_path: Path, scope: str, right: str) -> None:
    async with running_app(tmp_path) as app:
        person = await headers_of(app, "operator")
        mine = await app.client.post("/api/dashboards", json={"dashboard": DOCUMENT}, headers=person["headers"])
        headers = {"Authorization": f"Bearer {await api_token(app.services, person['id'], scope)}"}
        answer = await app.client.get(f"/api/dashboards/{mine.json()['id']}", headers=headers)
        assert answer.json()["right"] == right
        created = await app.client.post("/api/dashboards", json={"dashboard": DOCUMENT}, headers=headers)
        assert created.status_code == (201 if right == "change" else 403)


async def test_a_grant_for_somebody_who_does_not_exist_is_refused(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        answer = await app.client.post(
            "/api/dashboards", json={"dashboard": DOCUMENT, "grants": [{"user_id": 77, "right": "see"}]}
        )
        assert (answer.status_code, error_of(answer)["code"]) == (400, "unknown_user")


def document_with(**widget: Any) -> dict[str, Any]:
    return {"title": "Bad", "widgets": [copy.deepcopy(TEXT) | widget]}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "dashboard.title"),
        ({"title": " "}, "dashboard.title"),
        ({"title": "x", "format": 2}, "dashboard.format"),
        ({"title": "x", "colour": "red"}, "dashboard.colour"),
        ({"title": "x", "range": "forever"}, "dashboard.range"),
        ({"title": "x", "widgets": [TEXT, TEXT]}, "dashboard"),
        ({"title": "x", "variables": [{"name": "S", "type": "server"}]}, "dashboard.variables.0.name"),
        ({"title": "x", "variables": [{"name": "s", "type": "tag"}]}, "dashboard.variables.0"),
        (document_with(place={"x": 12, "y": 0, "w": 1, "h": 1}), "dashboard.widgets.0.text.place.x"),
        (document_with(config={"markdown": "x" * 20_001}), "dashboard.widgets.0.text.config.markdown"),
        (document_with(config={"markdown": "nul \x00"}), "dashboard.widgets.0.text.config.markdown"),
        (document_with(config={"html": "<script>"}), "dashboard.widgets.0.text.config.html"),
        (
            document_with(type="chart", config={"source": {"metrics": ["a b"]}}),
            "dashboard.widgets.0.chart.config.source",
        ),
        (document_with(type="Other!", config={}), "dashboard.widgets.0.other.type"),
        (document_with(type="other", config={"big": "x" * 40_000}), "dashboard.widgets.0.other.config"),
        (
            {
                "title": "x",
                "widgets": [TEXT | {"id": f"w{n}", "config": {"markdown": "x" * 19_000}} for n in range(15)],
            },
            "dashboard",
        ),
        ({"title": "x", "description": "x" * 400_000}, "body"),
        (
            {"title": "x", "widgets": [TEXT | {"id": f"w{n}"} for n in range(MOST_WIDGETS + 1)]},
            "dashboard.widgets",
        ),
    ],
)
async def test_what_is_no_dashboard_is_refused_by_name(tmp_path: Path, document: dict[str, Any], field: str) -> None:
    async with running_app(tmp_path) as app:
        answer = await app.client.post("/api/dashboards", json={"dashboard": document})
        assert answer.status_code in (400, 413, 422)
        assert error_of(answer)["field"].startswith(field), error_of(answer)
        assert (await app.get("/api/dashboards"))["dashboards"] == []


async def test_templates_are_offered_and_can_be_saved(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await create(app, {"title": "House style"}, template=True, grants=[{"role": "viewer", "right": "see"}])
        viewer = await headers_of(app, "viewer")
        found = (await app.client.get("/api/dashboards/templates", headers=viewer["headers"])).json()["templates"]
        assert [one["key"] for one in found] == [*(f"built-in:{name}" for name in built_in_templates()), "dashboard:1"]
        assert (await app.get("/api/dashboards"))["dashboards"] == []
        for template in found:
            again = Dashboard.model_validate(template["dashboard"])
            assert again.model_dump(mode="json") == template["dashboard"]


async def test_the_schema_describes_what_is_accepted(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        schema = await app.get("/api/dashboards/schema")
        assert schema["properties"]["title"]["maxLength"] == 100
        assert "ChartConfig" in schema["$defs"]


async def test_a_document_that_cannot_be_read_costs_only_itself(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        first, second = await create(app), await create(app)
        template = await create(app, template=True)
        for broken in (first, template):
            spoil = update(dashboards).where(dashboards.c.id == broken["id"]).values(document='{"title": 1}')
            await app.services.database.write(lambda connection, spoil=spoil: connection.execute(spoil))
        assert len((await app.get("/api/dashboards"))["dashboards"]) == 2
        assert len((await app.get("/api/dashboards/templates"))["templates"]) == len(built_in_templates())
        answer = await app.client.get(f"/api/dashboards/{first['id']}")
        assert (answer.status_code, error_of(answer)["code"]) == (400, "invalid_dashboard")
        assert "title" in error_of(answer)["message"]
        assert (await app.get(f"/api/dashboards/{second['id']}"))["dashboard"]["title"] == "Mine"
        assert (await app.client.delete(f"/api/dashboards/{first['id']}")).status_code == 204


async def test_there_is_room_for_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MOST_DASHBOARDS", 2)
    async with running_app(tmp_path) as app:
        for _ in range(2):
            await create(app)
        answer = await app.client.post("/api/dashboards", json={"dashboard": DOCUMENT})
        assert (answer.status_code, error_of(answer)["code"], error_of(answer)["limit"]) == (
            429,
            "too_many_dashboards",
            2,
        )
