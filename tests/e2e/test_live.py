"""The live stream in a real Chromium: values as they are taken in, a network that breaks, a proxy that blocks WebSockets."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from bongsu.core.series import Kind, Layout, Series
from bongsu.wire import protobuf
from tests.support.faulty_proxy import FaultyProxy
from tests.support.processes import ADMIN, PASSWORD, api_server, enrolled, free_port, logged_in
from tests.support.pushes import a_frame, a_push

SLOW_MS = 60_000
AGENT = "agent-web-1"
LAYOUT = Layout.of((Series("cpu_usage_ratio", (), "ratio", Kind.GAUGE),))


@dataclass
class Site:
    """An API server behind a proxy, and an agent that sends what the test tells it."""

    url: str
    proxy: FaultyProxy
    push: Callable[[int], None]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    port = free_port()
    direct = f"http://127.0.0.1:{port}"
    with api_server(tmp_path, port), httpx.Client(base_url=direct, timeout=60) as agent:
        agent.headers.update(
            {
                "Authorization": f"Bearer {enrolled(direct, AGENT)[AGENT]}",
                "Content-Type": protobuf.CONTENT_TYPE,
            }
        )
        with logged_in(direct) as client:
            now_ms = client.get("/api/health").json()["time_ms"]
        times = iter(range(now_ms, now_ms + 60_000, 1_000))

        def push(percent: int) -> None:
            frame = a_frame(next(times), (percent / 100,), LAYOUT)
            body = protobuf.encode_push(a_push([frame], layouts=[LAYOUT], interval_ms=1_000))
            agent.post("/api/metrics", content=body).raise_for_status()

        proxy = FaultyProxy(port)
        yield Site(f"http://127.0.0.1:{proxy.port}", proxy, push)
        proxy.close()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A page of somebody who is logged in. Its console may have errors: the network breaks on purpose."""
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 800})
    answer = context.request.post(f"{site.url}/api/auth/login", data={"email": ADMIN, "password": PASSWORD})
    assert answer.ok, answer.text()
    yield context.new_page()
    context.close()


def connection(page: Page, word: str) -> None:
    expect(page.get_by_test_id("connection")).to_contain_text(word, timeout=SLOW_MS)


def shows(page: Page, percent: int) -> None:
    expect(page.get_by_test_id("cpu-value")).to_contain_text(str(percent), timeout=SLOW_MS)


def table_of(page: Page) -> list[str]:
    """The CPU usage in the table of the history, newest first."""
    page.get_by_role("button", name="Table").click()
    rows = page.locator(".history-table tbody:not(.summary) tr td:first-of-type")
    expect(rows.first).to_be_visible(timeout=SLOW_MS)
    return [text.strip() for text in rows.all_inner_texts()]


def test_values_arrive_by_themselves_and_a_broken_network_leaves_no_hole(site: Site, page: Page) -> None:
    site.push(11)
    page.goto(site.url)
    shows(page, 11)
    connection(page, "Live")
    # Polling ends when the stream is open.
    site.push(12)
    shows(page, 12)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for percent in (13, 14, 15):
        site.push(percent)
        shows(page, percent)
    assert not [url for url in asked if "/api/metrics/current" in url]
    site.proxy.mode = "nothing"
    site.proxy.reset()
    expect(page.get_by_test_id("connection")).not_to_contain_text("Live", timeout=SLOW_MS)
    for percent in (16, 17, 18):
        site.push(percent)
    site.proxy.mode = "pass"
    shows(page, 18)
    connection(page, "Live")
    site.push(19)
    shows(page, 19)
    expected = [f"{percent}.0%" for percent in range(19, 10, -1)]
    assert table_of(page) == expected


def test_where_websockets_are_blocked_values_are_fetched(site: Site, page: Page) -> None:
    site.proxy.mode = "no websocket"
    site.push(21)
    page.goto(site.url)
    shows(page, 21)
    connection(page, "Slow updates")
    site.push(22)
    shows(page, 22)
    site.proxy.mode = "pass"
    connection(page, "Live")
    site.push(23)
    shows(page, 23)
    assert table_of(page) == ["23.0%", "22.0%", "21.0%"]


def test_a_hidden_page_closes_its_stream(site: Site, page: Page) -> None:
    site.push(31)
    page.goto(site.url)
    shows(page, 31)
    connection(page, "Live")

    def hide(state: str) -> None:
        page.evaluate(
            "state => { Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });"
            " document.dispatchEvent(new Event('visibilitychange')) }",
            state,
        )

    hide("hidden")
    with logged_in(site.url) as client:
        for _ in range(600):
            if client.get("/api/health").json()["live"]["clients"] == 0:
                break
            page.wait_for_timeout(100)
        assert client.get("/api/health").json()["live"]["clients"] == 0
    site.push(32)
    hide("visible")
    shows(page, 32)
    connection(page, "Live")
    assert table_of(page) == ["32.0%", "31.0%"]
