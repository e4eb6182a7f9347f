"""A person's way in, and what must not happen in a real browser."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.pages import SLOW_MS, watch
from tests.support.processes import ADMIN, PASSWORD, api_server, bongsu, enrolled, free_port, logged_in

EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def test_from_the_printed_link_to_the_live_page_and_to_a_second_server(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    arguments = ("up", "--port", str(port), "--data-dir", str(tmp_path), "--interval", "1s")
    with bongsu(*arguments, BONGSU_ADMIN_EMAIL="", BONGSU_ADMIN_PASSWORD="") as process:
        assert process.stdout is not None
        lines = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
        link = re.search(r"http\S+/setup#\S+", "".join(lines))
        assert link is not None
        context = browser.new_context(locale="en-US")
        page = context.new_page()
        errors = watch(page)
        page.goto(link[0])
        page.get_by_label("Email address").fill("kim@example.com")
        page.get_by_label("Password").fill("beacon fire 77")
        page.get_by_test_id("finish-setup").click()
        expect(page.get_by_test_id("cpu-value")).to_contain_text("%", timeout=SLOW_MS)
        assert "bongsu_setup" not in page.url
        page.get_by_role("link", name="Servers and agents").click()
        page.get_by_test_id("add-server").click()
        page.get_by_test_id("dialog-action").click()
        line = page.get_by_test_id("copy-line").inner_text()
        token = re.search(r"bongsu_enrol_[\w-]+", line)
        assert token is not None
        answer = httpx.post(
            f"http://127.0.0.1:{port}/api/agents/enrol",
            json={"agent_id": "agent-second", "name": "second"},
            headers={"Authorization": f"Bearer {token[0]}"},
        )
        push = {"agent": {"agent_id": "agent-second", "name": "second", "interval_ms": 1000}}
        headers = {"Authorization": f"Bearer {answer.json()['token']}"}
        assert httpx.post(f"http://127.0.0.1:{port}/api/metrics", json=push, headers=headers).status_code == 200
        expect(page.get_by_text("The new server is here.")).to_be_visible(timeout=SLOW_MS)
        assert errors == []
        context.close()
        process.terminate()


def test_logging_in_and_out(browser: Browser, running_bongsu: str) -> None:
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    page.goto(f"{running_bongsu}/users")
    expect(page).to_have_url(re.compile(r"/login\?next=/users$"), timeout=SLOW_MS)
    page.get_by_label("Email address").fill(ADMIN)
    page.get_by_label("Password").fill("wrong")
    page.get_by_test_id("log-in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text(ADMIN).first).to_be_visible(timeout=SLOW_MS)
    page.reload()
    expect(page.get_by_text(ADMIN).first).to_be_visible(timeout=SLOW_MS)
    page.get_by_test_id("account-menu").click()
    page.get_by_test_id("log-out").click()
    expect(page.get_by_test_id("log-in")).to_be_visible()
    page.go_back()
    expect(page.get_by_test_id("log-in")).to_be_visible()
    page.goto(f"{running_bongsu}/login?next=//evil.example/")
    page.get_by_label("Email address").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_test_id("log-in").click()
    expect(page).to_have_url(re.compile(f"^{running_bongsu}/"), timeout=SLOW_MS)
    context.close()


@pytest.mark.parametrize("path", ["account", "users", "tokens", "agents", "audit"])
def test_the_pages_behind_the_menu_break_no_policy(page: Page, running_bongsu: str, path: str) -> None:
    page.goto(f"{running_bongsu}/{path}")
    expect(page.locator("h1")).to_be_visible(timeout=SLOW_MS)


def test_no_text_becomes_a_script(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with api_server(tmp_path, port):
        token = enrolled(url, "agent-evil")["agent-evil"]
        series = [
            {"metric": "cpu_usage_ratio", "kind": "gauge", "unit": "ratio"},
            {"metric": "filesystem_usage_ratio", "kind": "gauge", "labels": {"mountpoint": EVIL}},
            {"metric": "filesystem_used_bytes", "kind": "gauge", "labels": {"mountpoint": EVIL}},
            {"metric": "network_receive_bytes_total", "kind": "counter", "labels": {"interface": EVIL}},
        ]
        with logged_in(url) as client:
            now_ms = client.get("/api/health").json()["time_ms"]
            push = {
                "agent": {"agent_id": "agent-evil", "name": EVIL},
                "host": {"hostname": EVIL, "os": EVIL, "kernel": EVIL, "cpu_model": EVIL},
                "layouts": [{"id": "1", "series": series}],
                "frames": [{"layout_id": "1", "time_ms": now_ms - 1000, "values": [0.5, 0.9, 1, 2]}],
            }
            headers = {"Authorization": f"Bearer {token}"}
            assert httpx.post(f"{url}/api/metrics", json=push, headers=headers).status_code == 200
            client.put("/api/servers/1/tags", json={"tags": {"team": EVIL}}).raise_for_status()
            client.post("/api/users", json={"email": "b@example.com", "name": EVIL[:99], "password": PASSWORD})
        context = browser.new_context(locale="en-US", user_agent=EVIL)
        page = context.new_page()
        errors = watch(page)
        page.goto(f"{url}/login")
        page.get_by_label("Email address").fill(ADMIN)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_test_id("log-in").click()
        expect(page.get_by_test_id("cpu-value")).to_be_visible(timeout=SLOW_MS)
        for path in ("servers/1?family=disk", "servers/1?family=network", "agents", "users", "account", "audit"):
            page.goto(f"{url}/{path}")
            expect(page.get_by_text("<img src=x", exact=False).first).to_be_attached(timeout=SLOW_MS)
            assert "owned" not in page.title().replace(EVIL, "")
        assert errors == []
        context.close()
