"""The dashboard below a path of another site, behind a real nginx that takes the path off, and one that leaves it."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.support.pages import SLOW_MS, connection, watch
from tests.support.processes import PASSWORD, bongsu, drained, free_port, wait_for
from tests.support.programs import need

NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location /bongsu/ {{
            proxy_pass http://127.0.0.1:{api}{path};
            proxy_http_version 1.1;
            proxy_buffering off;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
        }}
    }}
}}
"""


@pytest.fixture(params=[pytest.param("/", id="taken off"), pytest.param("", id="left")])
def started(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The link of the first account: Bongsu with its agent, behind nginx."""
    need("nginx")
    api, port = free_port(), free_port()
    config = tmp_path / "nginx.conf"
    config.write_text(NGINX.format(folder=tmp_path, api=api, port=port, path=request.param))
    nobody = {
        "BONGSU_ADMIN_EMAIL": "",
        "BONGSU_ADMIN_PASSWORD": "",
        "BONGSU_PUBLIC_URL": f"http://127.0.0.1:{port}/bongsu",
    }
    arguments = ("up", "--port", str(api), "--data-dir", str(tmp_path / "data"), "--interval", "1s")
    nginx = subprocess.Popen(["nginx", "-e", "stderr", "-c", str(config)], stderr=subprocess.PIPE)
    try:
        with bongsu(*arguments, **nobody) as process:
            lines = drained(process)
            wait_for(
                lambda: any("Ctrl-C stops it." in line for line in lines) or process.poll() is not None, "bongsu up"
            )
            link = re.search(r"http\S+/setup#\S+", "".join(lines))
            assert link is not None, lines
            yield link[0]
            process.terminate()
            process.wait(60)
    finally:
        nginx.terminate()
        nginx.communicate()


def test_everything_stays_below_the_path(browser: Browser, started: str, tmp_path: Path) -> None:
    site = started.partition("/setup")[0]
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 800})
    page = context.new_page()
    errors = watch(page)
    elsewhere: list[str] = []
    context.on(
        "request", lambda request: elsewhere.append(request.url) if request.url[: len(site) + 1] != f"{site}/" else None
    )
    page.goto(started)
    page.get_by_label("Email").fill("kim@example.com", timeout=SLOW_MS)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_test_id("finish-setup").click()
    connection(page, "Live")
    expect(page.get_by_test_id("cpu-value")).to_contain_text("%", timeout=SLOW_MS)
    assert page.url.startswith(f"{site}/servers/")

    page.reload()
    connection(page, "Live")
    expect(page.get_by_test_id("cpu-value")).to_contain_text("%", timeout=SLOW_MS)
    worker = page.evaluate("() => navigator.serviceWorker.ready.then(registration => registration.scope)")
    assert worker == f"{site}/"
    with_path = {cookie["name"]: cookie["path"] for cookie in context.cookies() if cookie["name"].startswith("bongsu_")}
    with_path.pop("bongsu_language", None)
    assert set(with_path.values()) == {"/bongsu", "/bongsu/api/auth"}

    page.get_by_test_id("account-menu").click()
    with context.expect_page() as opened:
        page.get_by_test_id("help").click()
    expect(opened.value.get_by_role("heading", level=1)).to_have_text(re.compile("Bongsu"), timeout=SLOW_MS)
    opened.value.close()
    page.goto(f"{site}/docs")
    expect(page.get_by_text("/api/health", exact=True).first).to_be_visible(timeout=SLOW_MS)

    # Logging in brings back to the page that was asked for.
    context.clear_cookies()
    page.goto(f"{site}/alerts/rules")
    page.get_by_label("Email").fill("kim@example.com", timeout=SLOW_MS)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_test_id("log-in").click()
    expect(page).to_have_url(f"{site}/alerts/rules", timeout=SLOW_MS)
    context.close()
    assert elsewhere == []
    assert errors == []


def test_an_agent_sends_to_the_path(started: str, tmp_path: Path) -> None:
    site, _, token = started.partition("/setup#")
    first = {"token": token, "email": "kim@example.com", "name": "Kim", "password": PASSWORD}
    with httpx.Client(base_url=site, timeout=60) as client:
        login = client.post("/api/setup", json=first).raise_for_status().json()
        client.headers["Authorization"] = f"Bearer {login['access_token']}"
        enrolment = client.post("/api/enrolment-tokens", json={"name": "second"}).raise_for_status().json()["token"]
        settings = {
            "ENROLMENT_TOKEN": enrolment,
            "NAME": "web-1",
            "INTERVAL": "1s",
            "DATA_DIR": str(tmp_path / "agent"),
        }
        with bongsu(
            "agent", "run", "--server", site, **{f"BONGSU_AGENT_{key}": text for key, text in settings.items()}
        ) as agent:
            drained(agent)

            def arrived() -> bool:
                servers = client.get("/api/servers").raise_for_status().json()["servers"]
                return any(server["name"] == "web-1" and server["state"] == "up" for server in servers)

            wait_for(arrived, "the server of the agent")
            agent.terminate()
            agent.wait(60)
