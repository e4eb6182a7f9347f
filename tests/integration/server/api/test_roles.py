"""Every endpoint x every role x nobody has an expected answer; an endpoint without one fails.

What is compared is whether one is let in: 401, 403, or anything else.
"""

from pathlib import Path
from typing import Any

import pytest
from starlette.routing import WebSocketRoute

from bongsu.server.app import Application
from bongsu.server.config import Settings
from tests.support.app import RunningApp, api_token, running_app
from tests.support.people import add_person, person_token
from tests.support.pushes import a_frame, a_push

# Who is let in, from that role up; "anyone": also who shows no token.
ANYONE, AGENT, WRITER, VIEWER, OPERATOR, ADMIN = "anyone", "agent", "writer", "viewer", "operator", "admin"
# The last word: whether an API token of that role is let in as well.
EXPECTED: dict[str, tuple[str, bool]] = {
    "GET /api/health": (ANYONE, True),
    "GET /api/health/live": (ANYONE, True),
    "GET /api/health/ready": (ANYONE, True),
    "GET /api/setup": (ANYONE, True),
    "POST /api/setup": (ANYONE, True),
    "POST /api/auth/login": (ANYONE, True),
    # By the cookie, which has tests of its own.
    "POST /api/auth/refresh": ("cookie", True),
    "POST /api/auth/logout": (ANYONE, True),
    "GET /api/auth/oidc/login": (ANYONE, True),
    "GET /api/auth/oidc/callback": (ANYONE, True),
    "GET /api/account": (VIEWER, True),
    "PATCH /api/account": (VIEWER, False),
    "PUT /api/account/password": (VIEWER, False),
    "GET /api/account/sessions": (VIEWER, False),
    "DELETE /api/account/sessions": (VIEWER, False),
    "DELETE /api/account/sessions/{session_id}": (VIEWER, False),
    "POST /api/account/second-factor": (VIEWER, False),
    "PUT /api/account/second-factor": (VIEWER, False),
    "DELETE /api/account/second-factor": (VIEWER, False),
    "GET /api/users": (ADMIN, False),
    "POST /api/users": (ADMIN, False),
    "PATCH /api/users/{user_id}": (ADMIN, False),
    "DELETE /api/users/{user_id}": (ADMIN, False),
    "GET /api/tokens": (VIEWER, False),
    "POST /api/tokens": (VIEWER, False),
    "DELETE /api/tokens/{token_id}": (VIEWER, False),
    "POST /api/agents/enrol": (AGENT, False),
    "POST /api/agents/rotate": (AGENT, False),
    "POST /api/metrics": (AGENT, False),
    "POST /api/v1/write": (WRITER, True),
    "POST /v1/metrics": (WRITER, True),
    "GET /api/enrolment-tokens": (ADMIN, True),
    "POST /api/enrolment-tokens": (ADMIN, True),
    "DELETE /api/enrolment-tokens/{token_id}": (ADMIN, True),
    "DELETE /api/servers/{server_id}/token": (ADMIN, True),
    "PUT /api/servers/{server_id}/tags": (ADMIN, True),
    "GET /api/audit": (ADMIN, True),
    "GET /api/storage": (ADMIN, True),
    "GET /api/about": (VIEWER, True),
    "GET /api/events": (VIEWER, True),
    "GET /api/dashboards": (VIEWER, True),
    "POST /api/dashboards": (VIEWER, True),
    "GET /api/dashboards/templates": (VIEWER, True),
    "GET /api/dashboards/schema": (VIEWER, True),
    "GET /api/dashboards/{id}": (VIEWER, True),
    "PUT /api/dashboards/{id}": (VIEWER, True),
    "PUT /api/dashboards/{id}/grants": (VIEWER, True),
    "DELETE /api/dashboards/{id}": (VIEWER, True),
    "GET /api/dashboards/{id}/versions": (VIEWER, True),
    "GET /api/dashboards/{id}/versions/{revision}": (VIEWER, True),
    # Whoever may see a dashboard is told more exactly (``test_shares.py``).
    "GET /api/dashboards/{id}/shares": (VIEWER, False),
    "POST /api/dashboards/{id}/shares": (VIEWER, False),
    "DELETE /api/dashboards/{id}/shares/{share_id}": (VIEWER, False),
    # By their link, which has tests of its own.
    "GET /api/shared/{key}": (ANYONE, True),
    "POST /api/shared/{key}/unlock": (ANYONE, True),
    "GET /api/shared/{key}/present": (ANYONE, True),
    "GET /api/shared/{key}/history": (ANYONE, True),
    "GET /api/servers": (VIEWER, True),
    "DELETE /api/servers/{server_id}": (ADMIN, True),
    "POST /api/servers/{server_id}/retire": (OPERATOR, True),
    "POST /api/servers/{server_id}/restore": (OPERATOR, True),
    "GET /api/servers/{server_id}/processes": (VIEWER, True),
    "GET /api/servers/{server_id}/containers": (VIEWER, True),
    "GET /api/servers/{server_id}/containers/events": (VIEWER, True),
    "GET /api/containers": (VIEWER, True),
    "GET /metrics": (VIEWER, True),
    "GET /api/servers/{server_id}/metrics": (VIEWER, True),
    "GET /api/targets": (VIEWER, True),
    "GET /api/v1/query": (VIEWER, True),
    "POST /api/v1/query": (VIEWER, True),
    "GET /api/v1/query_range": (VIEWER, True),
    "POST /api/v1/query_range": (VIEWER, True),
    "GET /api/v1/series": (VIEWER, True),
    "POST /api/v1/series": (VIEWER, True),
    "GET /api/v1/labels": (VIEWER, True),
    "POST /api/v1/labels": (VIEWER, True),
    "GET /api/v1/label/{name}/values": (VIEWER, True),
    "GET /api/v1/metadata": (VIEWER, True),
    "GET /api/v1/status/buildinfo": (VIEWER, True),
    "GET /api/v1/format_query": (VIEWER, True),
    "POST /api/v1/format_query": (VIEWER, True),
    "GET /api/v1/alerts": (VIEWER, True),
    "GET /api/v1/rules": (VIEWER, True),
    "GET /api/metrics/current": (VIEWER, True),
    "GET /api/metrics/history": (VIEWER, True),
    "POST /api/metrics/histories": (VIEWER, True),
    "GET /api/metrics/catalog": (VIEWER, True),
    "GET /api/metrics/completeness": (VIEWER, True),
    "GET /api/alerts/rules": (VIEWER, True),
    "GET /api/alerts/rules/export": (VIEWER, True),
    "POST /api/alerts/rules": (OPERATOR, True),
    "POST /api/alerts/rules/preview": (OPERATOR, True),
    "GET /api/alerts/rules/{id}": (VIEWER, True),
    "PUT /api/alerts/rules/{id}": (OPERATOR, True),
    "DELETE /api/alerts/rules/{id}": (OPERATOR, True),
    "GET /api/alerts/silences": (VIEWER, True),
    "POST /api/alerts/silences": (OPERATOR, True),
    "GET /api/alerts/silences/{id}": (VIEWER, True),
    "PUT /api/alerts/silences/{id}": (OPERATOR, True),
    "DELETE /api/alerts/silences/{id}": (OPERATOR, True),
    "GET /api/alerts/channels": (ADMIN, True),
    "POST /api/alerts/channels": (ADMIN, True),
    "GET /api/alerts/channels/types": (ADMIN, True),
    "GET /api/alerts/channels/{id}": (ADMIN, True),
    "PUT /api/alerts/channels/{id}": (ADMIN, True),
    "DELETE /api/alerts/channels/{id}": (ADMIN, True),
    "POST /api/alerts/channels/{id}/test": (ADMIN, True),
    "GET /api/alerts/active": (VIEWER, True),
    "GET /api/alerts/history": (VIEWER, True),
    "GET /api/alerts/notifications": (VIEWER, True),
    "POST /api/alerts/notifications/{id}/send-again": (OPERATOR, True),
    "GET /api/alerts/{id}": (VIEWER, True),
    "POST /api/alerts/{id}/acknowledge": (OPERATOR, True),
    # By a token of its own, for one alert.
    "GET /api/alerts/acknowledge": (ANYONE, True),
    "POST /api/alerts/acknowledge": (ANYONE, True),
}
# Whoever may see servers may use them (``tests/integration/server/live`` has their tests).
WEBSOCKETS = {"/api/ws"}
RANKS = [VIEWER, OPERATOR, ADMIN]


def endpoints() -> list[str]:
    paths: dict[str, dict[str, Any]] = Application(Settings()).api.openapi()["paths"]
    return [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]


def test_every_endpoint_has_an_expected_answer() -> None:
    assert sorted(endpoints()) == sorted(EXPECTED), "say in EXPECTED who may use the new endpoint"


def test_the_document_says_which_endpoints_take_a_token() -> None:
    """Generated clients send it only there."""
    paths: dict[str, dict[str, Any]] = Application(Settings()).api.openapi()["paths"]
    open_ones = {
        f"{method.upper()} {path}"
        for path, methods in paths.items()
        for method, operation in methods.items()
        if "security" not in operation
    }
    assert open_ones <= {endpoint for endpoint, (least, _) in EXPECTED.items() if least in (ANYONE, "cookie")}


def test_every_websocket_is_known_here() -> None:
    routes = Application(Settings()).api.routes
    assert {route.path for route in routes if isinstance(route, WebSocketRoute)} == WEBSOCKETS


def test_every_route_is_in_the_document() -> None:
    """A route that is not in the OpenAPI document would escape the matrix: those are pages, which hold nothing."""
    app = Application(Settings()).api
    documented = set(app.openapi()["paths"])
    hidden = {getattr(route, "path", "") for route in app.routes} - documented
    assert hidden - WEBSOCKETS <= {
        "",
        "/api/openapi.json",
        "/docs",
        "/help",
        "/help/{path:path}",
        "/redoc",
        "/_docs/{name}",
        "/agent/install.sh",
        "/agent/{name}",
        "/{path:path}",
    }


async def ask(app: RunningApp, endpoint: str, token: str | None) -> int:
    method, _, path = endpoint.partition(" ")
    path = path.replace("{server_id}", "1").replace("{session_id}", "none").replace("{user_id}", "999999999")
    path = path.replace("{token_id}", "999999999").replace("{id}", "999999999")
    path = path.replace("{share_id}", "999999999")
    client = app.client
    client.headers.pop("Authorization", None)
    headers = {"X-Bongsu": "1"} | ({"Authorization": f"Bearer {token}"} if token else {})
    content_type = {"Content-Type": "application/json"} if method != "GET" else {}
    body = b'{"agent": {"agent_id": "agent-web-1", "name": "web-1"}}' if method != "GET" else None
    return (await client.request(method, path, headers=headers | content_type, content=body)).status_code


@pytest.mark.parametrize("endpoint", endpoints())
async def test_who_is_let_in(tmp_path: Path, endpoint: str) -> None:
    least, by_api_token = EXPECTED[endpoint]
    async with running_app(tmp_path) as app:
        await app.push(a_push([a_frame(app.clock.now_ms())]))
        agent = await app.agent_token("agent-web-1")
        found: dict[str, int] = {"nobody": await ask(app, endpoint, None), "agent": await ask(app, endpoint, agent)}
        writer = await api_token(app.services, (await add_person(app, OPERATOR)).id, WRITER)
        found[WRITER] = await ask(app, endpoint, writer)
        for role in RANKS:
            user = await add_person(app, role)
            found[f"{role}'s API token"] = await ask(app, endpoint, await api_token(app.services, user.id, role))
            found[role] = await ask(app, endpoint, await person_token(app, user))
    for who, status in found.items():
        role = who.partition("'")[0]
        if least == ANYONE and endpoint != "POST /api/setup":
            # A token that is none of a person's is refused where people are told more.
            wanted = status not in (401, 403) or (who in (AGENT, WRITER) and status == 401)
        elif least == "cookie":
            wanted = status == 401
        elif endpoint == "POST /api/setup":
            wanted = status in (409, 422)
        elif least == AGENT:
            wanted = status not in (401, 403) if who == "agent" and "enrol" not in endpoint else status in (401, 422)
        elif least == WRITER:
            wanted = status not in (401, 403) if who == WRITER else status == 401
        elif role not in RANKS:
            wanted = status == 401
        elif RANKS.index(role) < RANKS.index(least) or ("API token" in who and not by_api_token):
            wanted = status == 403
        else:
            wanted = status not in (401, 403)
        assert wanted, f"{who}: {status}"


@pytest.mark.parametrize("kind", ["person", "API token"])
async def test_servers_that_are_not_theirs_do_not_exist(tmp_path: Path, kind: str) -> None:
    async with running_app(tmp_path) as app:
        now = app.clock.now_ms()
        for name in ("web-1", "web-2"):
            await app.push(a_push([a_frame(now - 1_000), a_frame(now)], name=name))
        assert (await app.client.put("/api/servers/1/tags", json={"tags": {"team": "a"}})).status_code == 200
        admin = app.client.headers["Authorization"]
        if kind == "person":
            token = await person_token(app, await add_person(app, "viewer", tags={"team": "a"}))
        else:
            token = await api_token(app.services, 1, "viewer", {"team": "a"})
        app.client.headers["Authorization"] = f"Bearer {token}"
        assert [one["id"] for one in (await app.get("/api/servers"))["servers"]] == [1]
        assert [one["server_id"] for one in (await app.get("/api/metrics/current"))["servers"]] == [1]
        assert {one["server_id"] for one in (await app.get("/api/metrics/history", end=now + 1))["series"]} == {1}
        assert (await app.get("/api/health"))["servers"] == 1
        for path in (
            "/api/servers/2/processes",
            "/api/metrics/current?server=2",
            "/api/metrics/history?server=2",
        ):
            response = await app.client.get(path)
            assert (response.status_code, response.json()["error"]["code"]) == (404, "unknown_server"), path
        query = "/api/metrics/completeness?server=2", "/api/metrics/catalog?server=2"
        assert [(await app.client.get(path)).status_code for path in query] == [404, 404]
        assert (await app.client.get("/api/alerts/active")).json()["alerts"] == []
        app.client.headers["Authorization"] = admin
        await app.client.put("/api/servers/1/tags", json={"tags": {}})
        app.client.headers["Authorization"] = f"Bearer {token}"
        assert (await app.get("/api/servers"))["servers"] == [], "a change works at once"


async def test_a_token_that_contradicts_its_owner_sees_nothing(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        for name, team in (("web-1", "a"), ("web-2", "b")):
            await app.push(a_push([a_frame(app.clock.now_ms())], name=name))
            number = 1 if team == "a" else 2
            await app.client.put(f"/api/servers/{number}/tags", json={"tags": {"team": team}})
        owner = await add_person(app, "operator", tags={"team": "a"})
        app.client.headers["Authorization"] = (
            f"Bearer {await api_token(app.services, owner.id, 'operator', {'team': 'b'})}"
        )
        assert (await app.get("/api/servers"))["servers"] == []


async def test_who_sees_some_servers_decides_nothing_about_all(tmp_path: Path) -> None:
    """Rules, silences and what was told are about all servers; what an operator without limits may do shows that it is
    the limit that is refused."""
    async with running_app(tmp_path) as app:
        await app.push(a_push([a_frame(app.clock.now_ms())]))
        condition = {"type": "threshold", "metric": "cpu_usage_ratio", "value": 0.9}
        silence = {"comment": "x", "ends_ms": app.clock.now_ms() + 60_000}

        async def ask_all(user: Any, name: str) -> dict[str, tuple[int, str]]:
            app.client.headers["Authorization"] = f"Bearer {await person_token(app, user)}"
            rule = {"name": name, "condition": condition}
            found = {}
            for method, path, body in (
                ("POST", "/api/alerts/rules", rule),
                ("PUT", "/api/alerts/rules/1", rule | {"name": f"{name}, changed"}),
                ("POST", "/api/alerts/rules/preview", {"rule": rule}),
                ("DELETE", "/api/alerts/rules/1", None),
                ("POST", "/api/alerts/silences", silence),
                ("PUT", "/api/alerts/silences/1", silence),
                ("DELETE", "/api/alerts/silences/1", None),
                ("GET", "/api/alerts/notifications", None),
            ):
                answer = await app.client.request(method, path, json=body)
                code = "" if answer.status_code < 400 else answer.json()["error"]["code"]
                found[f"{method} {path}"] = (answer.status_code, code)
            return found

        restricted = await add_person(app, "operator", tags={"team": "a"})
        assert set((await ask_all(restricted, "one")).values()) == {(403, "restricted")}
        everything = await ask_all(await add_person(app, "operator"), "two")
        assert {status for status, _ in everything.values()} <= {200, 201, 204}, everything
