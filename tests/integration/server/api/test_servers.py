"""Servers end: they are retired and restored, or deleted; for every process at once, and never by halves."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from bongsu.core.samples import AgentIdentity, Push
from bongsu.server.auth import directory
from bongsu.server.database.tables import agent_tokens, frames, intervals, servers
from bongsu.server.fleet import changes
from bongsu.wire import json_form
from tests.support.alerting import send_cpu
from tests.support.app import RunningApp, running_app
from tests.support.jobs import count, database_of
from tests.support.people import add_person, person_token
from tests.support.pushes import LAYOUT, a_frame, a_push

SINCE = {"start": "-1h", "metric": "cpu_usage_ratio"}


@pytest.fixture
async def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningApp]:
    monkeypatch.setattr(changes, "POLL_SECONDS", 3_600)
    monkeypatch.setattr(directory, "POLL_SECONDS", 3_600)
    async with running_app(tmp_path) as running:
        await send_cpu(running, 0.5)
        await send_cpu(running, 0.7, name="web-2")
        yield running


@pytest.fixture
async def other(app: RunningApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningApp]:
    """A second API server on the same database. It knows the same servers and tokens, and hears of no change by
    itself."""
    monkeypatch.setattr("bongsu.server.app.bus_for", lambda _settings: None)
    async with running_app(tmp_path, clock=app.clock) as running:
        running.tokens = app.tokens
        yield running


async def names(app: RunningApp, **parameters: object) -> list[str]:
    return [server["name"] for server in (await app.get("/api/servers", **parameters))["servers"]]


async def retire(app: RunningApp, server_id: int = 1) -> None:
    assert (await app.client.post(f"/api/servers/{server_id}/retire")).status_code == 200


async def delete(app: RunningApp, server_id: int = 1) -> None:
    assert (await app.client.delete(f"/api/servers/{server_id}")).status_code == 204


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def push(app: RunningApp, name: str = "web-1", *, layouts: bool = True) -> httpx.Response:
    app.clock.advance(10)
    return await send(app, a_push([a_frame(app.clock.now_ms())], name=name, layouts=(LAYOUT,) if layouts else ()))


async def send(app: RunningApp, sent: Push) -> httpx.Response:
    """As JSON, so that the answer is JSON, with the token that the agent has, valid or not."""
    return await app.post(json_form.encode_push(sent), json_form.CONTENT_TYPE, token=app.tokens[sent.agent.agent_id])


async def test_a_retired_server_is_left_out_unless_asked_for(app: RunningApp) -> None:
    app.clock.advance(5)
    answer = await app.client.post("/api/servers/1/retire")
    assert (answer.json()["state"], answer.json()["retired_ms"]) == ("retired", app.clock.now_ms())
    assert await names(app) == ["web-2"]
    assert await names(app, retired=True) == ["web-1", "web-2"]

    async def ids(path: str, key: str = "servers", **parameters: object) -> list[int]:
        return [part["server_id"] for part in (await app.get(path, **parameters))[key]]

    assert await ids("/api/metrics/current") == [2]
    assert await ids("/api/metrics/current", retired=True) == [1, 2]
    assert await ids("/api/metrics/current", server=1) == [1]
    assert await ids("/api/metrics/history", "series", **SINCE) == [2]
    assert await ids("/api/metrics/history", "series", **SINCE, server=1) == [1]
    assert await ids("/api/metrics/completeness") == [2]
    assert await ids("/api/metrics/completeness", retired=True) == [1, 2]
    catalog = await app.get("/api/metrics/catalog", metric="cpu_usage_ratio")
    assert [metric["servers"] for metric in catalog["metrics"]] == [1]
    assert (await app.get("/api/health"))["servers"] == 1
    # What it does not send while it is retired is not missing.
    app.clock.advance(3_600)
    (judged,) = (await app.get("/api/metrics/completeness", server=1, start="-2h"))["servers"]
    assert judged["stored"] == judged["expected"] == 1


async def test_frames_of_a_retired_server_are_refused_until_it_is_restored(app: RunningApp) -> None:
    await retire(app)
    assert code(await push(app)) == (403, "server_retired")
    assert (await push(app, "web-2")).status_code == 200
    answer = await app.client.post("/api/servers/1/restore")
    assert answer.json()["retired_ms"] is None
    assert (await push(app)).status_code == 200, "its token is still valid"
    assert await names(app) == ["web-1", "web-2"]


async def test_retiring_and_restoring_twice_changes_nothing_more(app: RunningApp) -> None:
    await retire(app)
    app.clock.advance(60)
    before_ms = (await app.get("/api/servers", retired=True))["servers"][0]["retired_ms"]
    await retire(app)
    assert (await app.get("/api/servers", retired=True))["servers"][0]["retired_ms"] == before_ms
    for _ in range(2):
        assert (await app.client.post("/api/servers/1/restore")).status_code == 200
    entries = (await app.get("/api/audit", target="server 1"))["entries"]
    assert [(entry["action"], entry["after"]) for entry in reversed(entries)] == [
        ("server.retire", {"retired": True}),
        ("server.restore", {"retired": False}),
    ]


async def test_a_retired_server_stays_retired_after_a_restart(app: RunningApp, other: RunningApp) -> None:
    await retire(app)
    await other.services.fleet.refresh()
    assert await names(other) == ["web-2"]
    assert code(await push(other)) == (403, "server_retired")


async def test_a_deleted_server_is_gone_at_once(app: RunningApp) -> None:
    await delete(app)
    assert await names(app, retired=True) == ["web-2"]
    for path in ("/api/metrics/current", "/api/metrics/history", "/api/metrics/completeness"):
        answer = await app.client.get(path, params={"server": 1})
        assert code(answer) == (404, "unknown_server"), path
    assert (await app.client.get("/api/servers/1/processes")).status_code == 404
    assert code(await app.client.delete("/api/servers/1")) == (404, "unknown_server")
    assert code(await push(app)) == (401, "invalid_token")
    assert await count(database_of(app), agent_tokens, agent_tokens.c.agent_id == "agent-web-1") == 0
    (entry,) = (await app.get("/api/audit", target="server 1"))["entries"]
    assert (entry["action"], entry["before"]["name"], entry["after"]) == ("server.delete", "web-1", None)


async def test_the_same_machine_enrols_again_as_a_new_server(app: RunningApp) -> None:
    await delete(app, 2)
    actor_token = await app.client.post("/api/enrolment-tokens", json={"name": "for anybody"})
    answer = await app.client.post(
        "/api/agents/enrol",
        json={"agent_id": "agent-web-2", "name": "web-2"},
        headers={"Authorization": f"Bearer {actor_token.json()['token']}"},
    )
    assert answer.status_code == 200, answer.text
    app.tokens["agent-web-2"] = answer.json()["token"]
    assert (await push(app, "web-2")).status_code == 200
    listed = (await app.get("/api/servers"))["servers"]
    assert [(server["id"], server["name"]) for server in listed] == [(1, "web-1"), (3, "web-2")]
    app.clock.advance(1)
    history = await app.get("/api/metrics/history", server=3, **SINCE)
    assert len(history["series"][0]["times"]) == 1, "it inherits nothing"


async def test_an_enrolment_token_for_a_deleted_server_is_gone(app: RunningApp) -> None:
    created = await app.client.post("/api/enrolment-tokens", json={"name": "again", "server_id": 1})
    await delete(app)
    answer = await app.client.post(
        "/api/agents/enrol",
        json={"agent_id": "agent-web-1", "name": "web-1"},
        headers={"Authorization": f"Bearer {created.json()['token']}"},
    )
    assert code(answer) == (401, "invalid_enrolment_token")


async def test_another_process_stores_nothing_for_a_deleted_server(app: RunningApp, other: RunningApp) -> None:
    """It has not heard of the deletion yet: its memory holds the server, its layout and the token."""
    await delete(app)
    assert "agent-web-1" in other.services.registry.by_agent_id
    before = await count(database_of(app), frames)
    assert code(await push(other, layouts=False)) == (401, "invalid_token")
    assert await count(database_of(app), frames) == before
    await other.services.fleet.refresh()
    assert await names(other) == ["web-2"]
    # The token is still in its memory, the server is not: nothing makes a new one.
    assert code(await push(other)) == (401, "invalid_token")
    assert await count(database_of(app), servers) == 1


async def test_another_process_stores_nothing_for_a_retired_server(app: RunningApp, other: RunningApp) -> None:
    await retire(app)
    assert code(await push(other)) == (403, "server_retired")
    assert await names(other) == ["web-1", "web-2"], "it has not heard of it yet"


@pytest.mark.parametrize("heard", [False, True], ids=["before it hears of changes", "after it heard of them"])
async def test_another_process_refuses_a_retired_server_that_it_did_not_know(
    app: RunningApp, other: RunningApp, heard: bool
) -> None:
    """It learns of servers when they send, not when others change."""
    await send_cpu(app, 0.5, name="web-3")
    await retire(app, 3)
    await other.services.auth.directory.refresh()
    if heard:
        await other.services.fleet.refresh()
    assert code(await push(other, "web-3")) == (403, "server_retired")
    assert code(await push(other, "web-3")) == (403, "server_retired")


async def test_one_refused_frame_takes_no_other_with_it(app: RunningApp, other: RunningApp) -> None:
    """Pushes of a deleted, a retired and a third server in one group commit."""
    await send_cpu(app, 0.1, name="web-3")
    await send_cpu(other, 0.1, name="web-3", behind=1)
    await delete(app, 1)
    await retire(app, 2)
    answers = await asyncio.gather(*(push(other, name) for name in ("web-1", "web-2", "web-3")))
    assert [answer.status_code for answer in answers] == [401, 403, 200]


async def test_a_deleted_server_does_not_come_back_by_new_host_facts(app: RunningApp, other: RunningApp) -> None:
    """The other process is about to store what the agent reports anew."""
    await delete(app)
    sent = a_push([a_frame(app.clock.now_ms() + 1)])
    sent.agent = AgentIdentity("agent-web-1", "renamed", "0.2.0", 20_000)
    assert code(await send(other, sent)) == (401, "invalid_token")
    assert await count(database_of(app), servers, servers.c.agent_id == "agent-web-1") == 0
    assert await count(database_of(app), intervals, intervals.c.server_id == 1) == 1, "left for the worker"


async def test_processes_hear_of_changes_by_themselves(
    app: RunningApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "POLL_SECONDS", 0.01)
    async with running_app(tmp_path, clock=app.clock) as other:
        await delete(app, 1)
        await retire(app, 2)
        async with asyncio.timeout(60):
            while await names(other):
                await asyncio.sleep(0.01)
        assert await names(other, retired=True) == ["web-2"]


async def test_who_may_end_servers(app: RunningApp) -> None:
    """An operator retires, an admin deletes; who sees only some servers does so only with these."""
    assert (await app.client.put("/api/servers/2/tags", json={"tags": {"team": "a"}})).status_code == 200

    async def status(role: str, tags: dict[str, str], method: str, path: str) -> int:
        token = await person_token(app, await add_person(app, role, tags=tags))
        headers = {"Authorization": f"Bearer {token}"}
        return (await app.client.request(method, f"/api/servers/{path}", headers=headers)).status_code

    team = {"team": "a"}
    assert await status("viewer", {}, "POST", "2/retire") == 403
    assert await status("operator", team, "POST", "1/retire") == 404
    assert await status("operator", team, "POST", "2/retire") == 200
    assert await status("operator", team, "POST", "2/restore") == 200
    assert await status("operator", team, "DELETE", "2") == 403
    assert await status("admin", team, "DELETE", "1") == 404
    assert await status("admin", team, "DELETE", "2") == 204
    assert await names(app) == ["web-1"]


async def test_ids_are_never_reused(app: RunningApp) -> None:
    await delete(app, 2)
    await send_cpu(app, 0.5, name="web-3")
    newest = await database_of(app).read(lambda connection: connection.scalar(select(func.max(servers.c.id))))
    assert newest == 3
