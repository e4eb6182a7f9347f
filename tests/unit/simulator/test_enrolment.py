"""How simulated servers are let in."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bongsu.simulator import enrolment as module
from bongsu.simulator.enrolment import Enrolment, EnrolmentRefused
from bongsu.simulator.token_file import Credential, TokenFile
from bongsu.wire.outcome import Response


def issued(token: str) -> Response:
    return Response(200, {}, json.dumps({"token": token}).encode())


def refused(status: int, message: str = "", **headers: str) -> Response:
    body = json.dumps({"error": {"message": message}}) if message else "<html>"
    return Response(status, headers, body.encode())


class ScriptedApi:
    """Answers in the order of the script; an error is raised."""

    def __init__(self, *script: Response | OSError) -> None:
        self.script = list(script)
        self.agent_ids: list[str] = []

    async def enrol(self, enrolment_token: str, agent_id: str, name: str) -> Response:
        assert enrolment_token == "let me in"
        self.agent_ids.append(agent_id)
        answer = self.script.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """Retry-After of every wait; nobody really waits."""
    seen: list[float | None] = []

    def retry_seconds(failures: int, share: float, retry_after_seconds: float | None = None) -> float:
        seen.append(retry_after_seconds)
        return 0.0

    monkeypatch.setattr(module, "retry_seconds", retry_seconds)
    return seen


@pytest.fixture
def enrolment(tmp_path: Path) -> Iterator[Callable[..., Enrolment]]:
    tokens = TokenFile(tmp_path, "fleet")

    def make(api: ScriptedApi, token: str = "let me in") -> Enrolment:
        return Enrolment(api, tokens, token)  # type: ignore[arg-type]

    yield make
    tokens.close()


async def test_a_server_enrols_once(enrolment: Callable[..., Enrolment]) -> None:
    api = ScriptedApi(issued("secret"))
    one = enrolment(api)
    credential = await one.credential(0, "web-01")
    assert credential == Credential(api.agent_ids[0], "secret")
    assert await one.credential(0, "web-01") == credential
    assert len(api.agent_ids) == 1


async def test_it_waits_as_long_as_the_api_server_asks(
    enrolment: Callable[..., Enrolment], waits: list[float | None]
) -> None:
    api = ScriptedApi(
        refused(429, "Too many requests", **{"retry-after": "31"}), refused(502), OSError("no route"), issued("secret")
    )
    one = enrolment(api)
    assert (await one.credential(0, "web-01")).token == "secret"
    assert waits == [31.0, None, None]
    assert one.waiting == ""
    assert len(set(api.agent_ids)) == 4  # an id whose answer was lost may be taken


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refused(401, "The enrolment token is used up."), "The enrolment token is used up."),
        (refused(409, "already"), "already"),
        (refused(404), "HTTP status 404, but not from a Bongsu API server"),
    ],
)
async def test_a_refusal_says_why(enrolment: Callable[..., Enrolment], answer: Response, reason: str) -> None:
    with pytest.raises(EnrolmentRefused) as error:
        await enrolment(ScriptedApi(answer)).credential(0, "web-01")
    assert error.value.message == reason


async def test_a_new_token_for_an_agent_keeps_its_id(enrolment: Callable[..., Enrolment]) -> None:
    api = ScriptedApi(issued("first"), issued("second"))
    one = enrolment(api)
    first = await one.credential(0, "web-01")
    second = await one.renew(0, "web-01", first)
    assert (second.agent_id, second.token) == (first.agent_id, "second")
    assert await one.renew(0, "web-01", first) == second  # somebody was faster


async def test_no_enrolment_token(enrolment: Callable[..., Enrolment]) -> None:
    with pytest.raises(EnrolmentRefused, match="no enrolment token was given"):
        await enrolment(ScriptedApi(), token="").renew(0, "web-01", Credential("id", "old"))
