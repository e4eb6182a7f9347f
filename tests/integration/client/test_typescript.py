"""The TypeScript client, built and installed as a package of npm, against a real API server with a simulated fleet."""

import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bongsu import __version__
from tests.support.endpoints import Endpoint, endpoint
from tests.support.fleet import Fleet, simulated_fleet
from tests.support.repository import REPOSITORY
from tests.support.typescript import STRICT, TSC, check_and_run, run

EXAMPLES = re.findall(r"```ts\n(.*?)```", (REPOSITORY / "docs" / "client.md").read_text(), re.DOTALL)
REFUSED = '{"error": {"code": "overloaded", "message": "Too many frames.", "field": "frames", "limit": 100}}'
ASK = """
import { BongsuError, createBongsu } from 'bongsu-client'

const bongsu = createBongsu({ url: 'URL/', token: 'secret' })
try {
  console.log(JSON.stringify(await bongsu.createSilence({ body: BODY })))
}
catch (error) {
  if (!(error instanceof BongsuError)) throw error
  const { name, status, code, message, field, limit, retryAfter } = error
  console.log(JSON.stringify({ name, status, code, message, field, limit, retryAfter }))
}
"""


def test_the_package_is_complete_and_needs_no_other(package: Path, project: Path) -> None:
    installed = [folder.name for folder in (project / "node_modules").iterdir() if not folder.name.startswith(".")]
    assert installed == ["bongsu-client"]
    with tarfile.open(package) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
        content = archive.extractfile("package/package.json")
        assert content is not None
        description = json.load(content)
    assert {"README.md", "LICENSE", "dist/index.js", "dist/index.d.ts"} <= names
    assert description["version"] == __version__
    assert "dependencies" not in description


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with simulated_fleet(tmp_path_factory.mktemp("typescript"), 3) as running:
        yield running


def test_the_examples_of_the_document_are_typed_and_run(fleet: Fleet, project: Path) -> None:
    made = fleet.client.post("/api/tokens", json={"name": "typescript", "scope": "viewer"}).raise_for_status()
    assert len(EXAMPLES) == 3
    text = "\n".join(EXAMPLES).replace("http://127.0.0.1:8600", fleet.url)
    # Several pages.
    text = text.replace("cursor: next", "cursor: next, limit: 2")
    lines = check_and_run(project, "example", text.replace("bongsu_api_...", made.json()["token"])).splitlines()
    names = [server["name"] for server in fleet.client.get("/api/servers").json()["servers"]]
    assert sorted(lines[:3]) == sorted(f"{name} up" for name in names)
    assert len([line for line in lines if line.endswith(" server_added")]) == 3
    assert lines[-1] == "400 invalid_input start"


def test_a_wrong_type_is_found(project: Path) -> None:
    wrong = project / "wrong.ts"
    wrong.write_text(
        "import { createBongsu } from 'bongsu-client'\ncreateBongsu().listServers({ query: { nme: 'web' } })"
    )
    with pytest.raises(AssertionError, match="'nme' does not exist"):
        run(project, TSC, *STRICT, wrong)


@pytest.fixture
def stub() -> Iterator[Endpoint]:
    with endpoint() as service:
        service.usual = (200, {"Content-Type": "application/json"}, '{"id": 7}')
        yield service


def answer(project: Path, url: str) -> dict[str, object]:
    """What a program says after it has sent a silence."""
    program = project / "ask.mjs"
    program.write_text(ASK.replace("URL", url).replace("BODY", '{ kind: "silence", comment: "Upgrade" }'))
    said: dict[str, object] = json.loads(run(project, "node", program))
    return said


def test_what_the_api_server_does_not_take_yet_is_sent_again(project: Path, stub: Endpoint) -> None:
    stub.answers = [(429, {"Retry-After": "0"}, REFUSED), (503, {"Retry-After": "0"}, "<html>proxy</html>")]
    assert answer(project, stub.url) == {"id": 7}
    assert [request.path for request in stub.received] == ["/api/alerts/silences"] * 3
    assert {request.headers["authorization"] for request in stub.received} == {"Bearer secret"}
    assert [request.json["comment"] for request in stub.received] == ["Upgrade"] * 3


@pytest.mark.parametrize(
    ("refusal", "requests", "error"),
    [
        pytest.param(
            (429, {"Retry-After": "0"}, REFUSED),
            4,
            {"status": 429, "code": "overloaded", "message": "Too many frames.", "field": "frames", "limit": 100, "retryAfter": 0},
            id="three repetitions, then the error",
        ),
        pytest.param(
            (429, {"Retry-After": "31"}, REFUSED),
            1,
            {"status": 429, "code": "overloaded", "message": "Too many frames.", "field": "frames", "limit": 100, "retryAfter": 31},
            id="a wait of more than 30 s is left to the caller",
        ),
        pytest.param(
            (422, {}, '{"status": "error", "errorType": "execution", "error": "too many"}'),
            1,
            {"status": 422, "code": "execution", "message": "too many"},
            id="the format of the PromQL API",
        ),
        pytest.param(
            (502, {}, "<html>proxy</html>"),
            1,
            {"status": 502, "code": "http_error", "message": "Bad Gateway"},
            id="not of Bongsu at all",
        ),
    ],
)  # fmt: skip
def test_a_refusal_is_thrown(
    project: Path, stub: Endpoint, refusal: tuple[int, dict[str, str], str], requests: int, error: dict[str, object]
) -> None:
    stub.usual = refusal
    assert answer(project, stub.url) == {"name": "BongsuError"} | error
    assert len(stub.received) == requests


def test_no_answer_is_thrown_too(project: Path) -> None:
    with endpoint() as service:
        closed = service.url
    said = answer(project, closed)
    assert (said["status"], said["code"]) == (0, "not_reachable")
    assert closed in str(said["message"])
