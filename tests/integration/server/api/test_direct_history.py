"""History is answered below FastAPI if a request is a usual one, and the answers are the same."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from bongsu.server.api import direct_history
from bongsu.server.history.reader import HistoryReader
from tests.support.app import RunningApp, api_token, running_app
from tests.support.clock import FakeClock
from tests.support.pushes import a_push, a_ramp

NOW = 1_750_000_000_000
PATH = "/api/metrics/history"


def without_id(response: httpx.Response) -> dict[str, str]:
    """The headers, but for that which no two answers have alike."""
    return {name: text for name, text in response.headers.items() if name != "x-request-id"}


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries that were answered below FastAPI."""
    asked: list[str] = []
    answered = direct_history.answered

    async def spied(services: Any, user: Any, query: Any, *arguments: Any) -> Any:
        asked.append(query)
        return await answered(services, user, query, *arguments)

    monkeypatch.setattr(direct_history, "answered", spied)
    return asked


async def filled(app: RunningApp) -> None:
    for name in ("web-1", "web-2"):
        assert (await app.push(a_push(a_ramp(NOW - 600_000, 60), name=name))).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "",
        "metric=cpu_usage_ratio&start=-10m&max_points=50",
        "metric=cpu_usage_ratio&metric=memory_used_bytes&server=1&server=2&end=-1m",
        "type=network&labels=interface%3Deth*&aggregation=increase&step=1m",
        "name=web-*&metric=cpu_usage_ratio&across=avg&group_by=server",
        "metric=cpu_usage_ratio&limit=1&retired=true&max_points=100&max_points=60",
        "metric=%EC%84%9C%EB%B2%84",
    ],
)
async def test_both_ways_give_the_same_answer(tmp_path: Path, direct: list[str], query: str) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await filled(app)
        mine = await app.client.get(f"{PATH}?{query}")
        assert len(direct) == 1
        theirs = await app.client.get(f"{PATH}?{query}&x=1")
        assert len(direct) == 1
        assert mine.status_code == theirs.status_code == 200
        assert mine.json() == theirs.json()
        assert without_id(mine) == without_id(theirs)
        assert bool(mine.json()["series"]) == ("%EC" not in query)
        unchanged = await app.client.get(f"{PATH}?{query}", headers={"If-None-Match": mine.headers["ETag"]})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert unchanged.headers["ETag"] == mine.headers["ETag"]


@pytest.mark.parametrize(
    ("query", "headers", "status", "code"),
    [
        ("metric=cpu_usage_ratio", {"Authorization": ""}, 401, "unauthenticated"),
        ("metric=cpu_usage_ratio", {"Authorization": "Bearer "}, 401, "unauthenticated"),
        ("metric=cpu_usage_ratio", {"Authorization": "Bearer bongsu_nobody"}, 401, "invalid_token"),
        ("metric=cpu_usage_ratio", {"Authorization": "Basic YTpi"}, 401, "unauthenticated"),
        ("metric=cpu_usage_ratio", {"Host": "evil.example"}, 403, "host_not_allowed"),
        ("start=yesterday", {}, 400, "invalid_input"),
        ("server=99", {}, 404, "unknown_server"),
        ("server=one", {}, 422, "invalid_input"),
        ("max_points=1", {}, 422, "invalid_input"),
        ("aggregation=most", {}, 422, "invalid_input"),
        ("labels=device", {}, 400, "invalid_input"),
        ("cursor=nonsense", {}, 400, "invalid_input"),
    ],
)
async def test_what_is_wrong_is_told_as_everywhere(
    tmp_path: Path, query: str, headers: dict[str, str], status: int, code: str
) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await filled(app)
        mine = await app.client.get(f"{PATH}?{query}", headers=headers)
        theirs = await app.client.get(f"{PATH}?{query}&x=1", headers=headers)
        assert (mine.status_code, mine.json()["error"]["code"]) == (status, code)
        assert (theirs.status_code, theirs.json()) == (status, mine.json())
        assert without_id(mine) == without_id(theirs)


async def test_servers_that_a_token_may_not_see_do_not_exist(tmp_path: Path, direct: list[str]) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await filled(app)
        answer = await app.client.put("/api/servers/1/tags", json={"tags": {"site": "seoul"}})
        assert answer.status_code == 200, answer.text
        app.client.headers["Authorization"] = f"Bearer {await api_token(app.services, 1, 'viewer', {'site': 'seoul'})}"
        answer = await app.get(PATH, metric="cpu_usage_ratio")
        assert {series["server_id"] for series in answer["series"]} == {1}
        assert (await app.client.get(PATH, params={"server": 2})).status_code == 404
        assert len(direct) == 2
        app.client.headers["Authorization"] = f"Bearer {await api_token(app.services, 1, 'writer')}"
        refused = await app.client.get(PATH)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "writer_only")


async def test_pages_of_other_sites_go_the_usual_way(tmp_path: Path, direct: list[str]) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW), cors_origins=["https://wall.example"]) as app:
        answer = await app.client.get(PATH, headers={"Origin": "https://wall.example"})
        assert answer.headers["access-control-allow-origin"] == "https://wall.example"
        assert not direct


async def test_answers_are_compressed_for_those_who_can_read_that(tmp_path: Path, direct: list[str]) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await filled(app)
        for encoding, expected in (("gzip, br", "gzip"), ("identity", None)):
            answer = await app.client.get(PATH, headers={"Accept-Encoding": encoding})
            assert answer.headers.get("content-encoding") == expected
            assert answer.headers["vary"] == "Accept-Encoding"
            assert len(answer.json()["series"]) == 6
        assert len(direct) == 2


async def test_a_bug_is_answered_and_told_as_every_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(*_: Any) -> None:
        raise ZeroDivisionError("a bug")

    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        monkeypatch.setattr(HistoryReader, "run_and", fails)
        answer = await app.client.get(PATH)
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
        assert "a bug" in caplog.text


async def test_each_request_counts_once(tmp_path: Path, direct: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        counted: list[str] = []

        async def count(principal: Any) -> None:
            counted.append(principal.kind)

        monkeypatch.setattr(app.services.rate_limiter, "user", count)
        for query in ("metric=cpu_usage_ratio", "start=yesterday", "max_points=1", "x=1"):
            await app.client.get(f"{PATH}?{query}")
            assert counted == ["api_token"]
            counted.clear()
        assert len(direct) == 1
