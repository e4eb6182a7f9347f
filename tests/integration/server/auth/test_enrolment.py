"""Who may push: enrolment, the tokens of agents, and what a stolen token allows."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection

from bongsu.server.config import RateLimits
from bongsu.wire import protobuf
from tests.support.app import MANY, RunningApp, running_app
from tests.support.pushes import a_frame, a_push


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def make(app: RunningApp, **wanted: object) -> str:
    answer = await app.client.post("/api/enrolment-tokens", json={"name": "test", **wanted})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


async def enrol(app: RunningApp, token: str, agent_id: str = "agent-web-1") -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return await app.client.post("/api/agents/enrol", json={"agent_id": agent_id, "name": "web-1"}, headers=headers)


async def push(
    app: RunningApp, token: str, name: str = "web-1", headers: dict[str, str] | None = None
) -> tuple[int, str]:
    body = protobuf.encode_push(a_push([a_frame(app.clock.now_ms())], name=name))
    sent = {"Content-Type": protobuf.CONTENT_TYPE, "Authorization": f"Bearer {token}"} if headers is None else headers
    answer = await app.client.post("/api/metrics", content=body, headers=sent)
    error = protobuf.decode_result(answer.content).error
    return answer.status_code, error.code if error else ""


async def test_an_enrolment_token_becomes_the_token_of_one_agent(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        one = await make(app, tags={"team": "a"})
        given = (await enrol(app, one)).json()["token"]
        assert await push(app, given) == (200, "")
        assert (await app.get("/api/servers"))["servers"][0]["own_tags"] == {"team": "a"}
        assert code(await enrol(app, one, "agent-web-2")) == (401, "used_enrolment_token")
        assert await push(app, given, "web-2") == (403, "wrong_agent"), "a token of A never writes as B"
        assert await push(app, one) == (401, "invalid_token"), "an enrolment token pushes nothing"
        many = await make(app, uses=0)
        assert [(await enrol(app, many, f"agent-x-{n}")).status_code for n in range(3)] == [200] * 3
        late = await make(app, hours=1)
        app.clock.advance(3_601)
        assert code(await enrol(app, late, "agent-late")) == (401, "invalid_enrolment_token")


async def test_who_holds_an_enrolment_token_cannot_become_another_server(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        many = await make(app, uses=0)
        given = (await enrol(app, many)).json()["token"]
        assert code(await enrol(app, many)) == (409, "already_enrolled")
        await push(app, given)
        assert (await app.client.delete("/api/servers/1/token")).status_code == 204
        assert await push(app, given) == (401, "invalid_token"), "at once"
        assert code(await enrol(app, many)) == (409, "already_enrolled"), "and it does not come back by itself"
        again = await make(app, server_id=1)
        assert code(await enrol(app, again, "agent-other")) == (401, "invalid_enrolment_token")
        assert await push(app, (await enrol(app, again)).json()["token"]) == (200, "")


async def test_a_token_is_rotated_without_a_gap(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        old = await app.agent_token("agent-web-1")
        headers = {"Authorization": f"Bearer {old}"}
        new = (await app.client.post("/api/agents/rotate", headers=headers)).json()["token"]
        assert [await push(app, old), await push(app, new)] == [(200, ""), (200, "")]
        app.clock.advance(11)
        assert [await push(app, old), await push(app, new)] == [(401, "expired_token"), (200, "")]


async def test_a_token_that_was_rotated_gives_no_other(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        stolen = await app.agent_token("agent-web-1")
        headers = {"Authorization": f"Bearer {stolen}"}
        new = (await app.client.post("/api/agents/rotate", headers=headers)).json()["token"]
        again = await app.client.post("/api/agents/rotate", headers=headers)
        assert (again.status_code, again.json()["error"]["code"]) == (401, "invalid_token")
        app.clock.advance(11)
        assert [await push(app, stolen), await push(app, new)] == [(401, "expired_token"), (200, "")]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer bongsu_agent_" + "x" * 43},
        {"Authorization": "Bearer \x00"},
    ],
)
async def test_no_push_without_a_token(tmp_path: Path, headers: dict[str, str]) -> None:
    async with running_app(tmp_path) as app:
        sent = {"Content-Type": protobuf.CONTENT_TYPE, **headers}
        status, _ = await push(app, "", headers=sent)
        assert status == 401
        assert (await app.get("/api/servers"))["servers"] == []


@pytest.mark.parametrize("name", ["web-1\nAcknowledge: https://evil", "a\x85b", "a\u202eb"])
async def test_names_have_no_control_characters(tmp_path: Path, name: str) -> None:
    async with running_app(tmp_path) as app:
        created = await app.client.post("/api/enrolment-tokens", json={"name": "x"})
        headers = {"Authorization": f"Bearer {created.json()['token']}"}
        enrolled = await app.client.post(
            "/api/agents/enrol", json={"agent_id": "agent-web-1", "name": name}, headers=headers
        )
        assert (enrolled.status_code, enrolled.json()["error"]["field"]) == (400, "name")
        await app.push(a_push())
        rule = {"name": "a\nb", "condition": {"type": "server_down"}}
        for method, path, document, field in (
            ("POST", "/api/enrolment-tokens", {"name": name}, "name"),
            ("POST", "/api/enrolment-tokens", {"name": "x", "tags": {"role": name}}, "tags"),
            ("PUT", "/api/servers/1/tags", {"tags": {"role": name}}, "tags"),
            ("POST", "/api/alerts/rules", rule, "name"),
            ("POST", "/api/alerts/channels", {"name": "a\nb", "type": "slack"}, "name"),
        ):
            answer = await app.client.request(method, path, json=document)
            assert (answer.status_code, answer.json()["error"]["field"]) == (422, field), path


async def test_an_agent_that_hurries_is_told_when_to_come_back(tmp_path: Path) -> None:
    rates = RateLimits(**(MANY.model_dump() | {"agent_per_second": 0.001}))
    async with running_app(tmp_path, rate_limits=rates) as app:
        token = await app.agent_token("agent-web-1")
        assert (await push(app, token))[1] == "too_many_requests"
        assert (await app.get("/api/health"))["ingest"]["rejected_total"] == {"too_many_requests": 1}


async def test_rates_per_address_and_user(tmp_path: Path) -> None:
    rates = RateLimits(**(MANY.model_dump() | {"address": "5/minute"}))
    async with running_app(tmp_path, rate_limits=rates) as app:
        answers = [await app.client.get("/api/servers") for _ in range(8)]
        assert [one.status_code for one in answers] == [200] * 5 + [429] * 3
        assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
        assert answers[-1].json()["error"]["limit"] == 5
    rates = RateLimits(**(MANY.model_dump() | {"user": "5/minute"}))
    async with running_app(tmp_path, rate_limits=rates) as app:
        answers = [await app.client.get("/api/servers") for _ in range(6)]
        assert [one.status_code for one in answers] == [200] * 5 + [429]
        assert (await app.client.get("/api/health", headers={"Authorization": ""})).status_code == 200


async def test_tokens_of_another_api_server_are_known_to_all_who_ask_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who come while somebody else looks again must wait until that has ended."""
    async with running_app(tmp_path / "one") as one, running_app(tmp_path / "other") as other:
        many = await make(one, uses=0)
        tokens = [(await enrol(one, many, f"agent-web-{number}")).json()["token"] for number in range(6)]
        database, read = other.services.database, other.services.database.read
        reading = asyncio.Event()

        async def slow(function: Callable[[Connection], Any]) -> Any:
            found = await read(function)
            reading.set()
            await asyncio.sleep(0.2)
            return found

        monkeypatch.setattr(database, "read", slow)
        pushes = [asyncio.create_task(push(other, token, f"web-{number}")) for number, token in enumerate(tokens[:3])]
        await reading.wait()
        pushes += [
            asyncio.create_task(push(other, token, f"web-{number}")) for number, token in enumerate(tokens[3:], 3)
        ]
        assert await asyncio.gather(*pushes) == [(200, "")] * 6


async def test_a_token_of_another_api_server_is_rotated(tmp_path: Path) -> None:
    async with running_app(tmp_path / "one") as one, running_app(tmp_path / "other") as other:
        given = (await enrol(one, await make(one))).json()["token"]
        rotated = await other.client.post("/api/agents/rotate", headers={"Authorization": f"Bearer {given}"})
        assert rotated.status_code == 200, rotated.text
        assert await push(other, rotated.json()["token"]) == (200, "")
