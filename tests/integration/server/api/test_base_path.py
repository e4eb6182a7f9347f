"""Below a path of another site: a proxy may take the path off or leave it, and what clients get leads below it."""

from pathlib import Path

import httpx
import pytest

from bongsu.server.api.pages import FOLDER
from bongsu.wire import protobuf
from tests.support.app import ADMIN, PASSWORD, RunningApp, enrol, running_app
from tests.support.pushes import a_frame, a_push

URL, PATH = "https://example.org/bongsu", "/bongsu"


@pytest.mark.parametrize("prefix", [pytest.param(PATH, id="left"), pytest.param("", id="taken off")])
async def test_requests_reach_what_they_reach_elsewhere(tmp_path: Path, prefix: str) -> None:
    async with running_app(tmp_path, public_url=URL) as app:
        push = a_push([a_frame(app.clock.now_ms() - 10_000)])
        token = await enrol(app.services, push.agent.agent_id)
        pushed = await app.client.post(
            f"{prefix}/api/metrics",
            content=protobuf.encode_push(push),
            headers={"Content-Type": protobuf.CONTENT_TYPE, "Authorization": f"Bearer {token}"},
        )
        assert pushed.status_code in (200, 204), pushed.text
        history = await app.client.get(f"{prefix}/api/metrics/history", params={"metric": "cpu_usage_ratio"})
        assert len(history.json()["series"]) == 1
        health = await app.client.get(f"{prefix}/api/health/live")
        assert (health.status_code, health.headers["Cache-Control"]) == (200, "no-store")
        for path in ("/redoc", "/docs", "/agent/install.sh"):
            assert (await app.client.get(prefix + path)).status_code == 200, path


@pytest.mark.parametrize("path", ["/bongsu2/api/health", "/bongsuapi/health", "/other/api/health"])
async def test_other_paths_are_no_api(tmp_path: Path, path: str) -> None:
    async with running_app(tmp_path, public_url=URL) as app:
        answer = await app.client.get(path)
        assert "application/json" not in answer.headers["Content-Type"]


async def test_what_clients_get_leads_below_the_path(tmp_path: Path) -> None:
    async with running_app(tmp_path, public_url=f"{URL}/") as app:
        await app.push(a_push([a_frame(app.clock.now_ms())]))
        redoc = (await app.client.get("/redoc")).text
        assert f'spec-url="{PATH}/api/openapi.json"' in redoc
        assert f'src="{PATH}/_docs/redoc.standalone.js"' in redoc
        assert f"{PATH}/favicon.svg" in (await app.client.get("/_docs/redoc.standalone.js")).text
        assert (await app.get("/api/openapi.json"))["servers"] == [{"url": PATH}]
        (target,) = await app.get("/api/targets")
        assert target["labels"]["__metrics_path__"] == f"{PATH}/api/servers/1/metrics"
        script = (await app.client.get("/agent/install.sh")).text
        assert f"server={URL}\n" in script
        help_pages = await app.client.get(f"{PATH}/help")
        assert (help_pages.status_code, help_pages.headers.get("Location")) in ((308, f"{PATH}/help/"), (503, None))


async def test_cookies_are_sent_below_the_path_only(tmp_path: Path) -> None:
    async with running_app(tmp_path, public_url=URL) as app:
        login = await logged_in(app)
        paths = {cookie.name: cookie.path for cookie in login.cookies.jar}
        assert paths.pop("bongsu_logged_in") == PATH
        assert set(paths.values()) == {f"{PATH}/api/auth"}
        out = await app.client.post(f"{PATH}/api/auth/logout", headers={"X-Bongsu": "1"})
        assert out.status_code == 204, out.text
        gone = out.headers.get_list("Set-Cookie")
        assert len(gone) == 2
        assert all("Max-Age=0" in cookie and f"Path={PATH}" in cookie for cookie in gone)


async def logged_in(app: RunningApp) -> httpx.Response:
    answer = await app.client.post(f"{PATH}/api/auth/login", json={"email": ADMIN, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="the dashboard is not built")
async def test_the_page_of_the_dashboard_finds_its_files(tmp_path: Path) -> None:
    async with running_app(tmp_path, public_url=URL) as app:
        page = await app.client.get(f"{PATH}/servers/1", headers={"Accept-Encoding": "identity"})
        links = [part.split('"')[0] for part in page.text.split('="/')[1:]]
        assert len(links) > 5
        for link in links:
            assert link.startswith("bongsu/"), link
            assert (await app.client.get(f"/{link}")).status_code == 200, link
        again = await app.client.get(f"{PATH}/alerts", headers={"If-None-Match": page.headers["ETag"]})
        assert again.status_code == 304
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
