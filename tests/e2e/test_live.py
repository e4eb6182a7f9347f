"""The live stream in a real Chromium: values as they are taken in, a network that breaks, a proxy that blocks WebSockets."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.faulty_proxy import FaultyProxy
from tests.support.pages import SLOW_MS, connection, person_at, shows, table_of
from tests.support.processes import api_server, free_port, logged_in
from tests.support.pusher import Pusher


@dataclass
class Site:
    """An API server behind a proxy, and an agent that sends what the test tells it."""

    url: str
    proxy: FaultyProxy
    agent: Pusher


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    port = free_port()
    with api_server(tmp_path, port):
        proxy = FaultyProxy(port)
        yield Site(f"http://127.0.0.1:{proxy.port}", proxy, Pusher(f"http://127.0.0.1:{port}"))
        proxy.close()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    with person_at(browser, site.url, broken_network=True) as page:
        yield page


def test_values_arrive_by_themselves_and_a_broken_network_leaves_no_hole(site: Site, page: Page) -> None:
    site.agent.push(11)
    page.goto(site.url)
    shows(page, 11)
    connection(page, "Live")
    # Polling ends when the stream is open.
    site.agent.push(12)
    shows(page, 12)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for percent in (13, 14, 15):
        site.agent.push(percent)
        shows(page, percent)
    assert not [url for url in asked if "/api/metrics/current" in url]
    site.proxy.mode = "nothing"
    site.proxy.reset()
    expect(page.get_by_test_id("connection")).not_to_contain_text("Live", timeout=SLOW_MS)
    for percent in (16, 17, 18):
        site.agent.push(percent)
    site.proxy.mode = "pass"
    shows(page, 18)
    connection(page, "Live")
    site.agent.push(19)
    shows(page, 19)
    expected = [f"{percent}.0%" for percent in range(19, 10, -1)]
    assert table_of(page) == expected


def test_where_websockets_are_blocked_values_are_fetched(site: Site, page: Page) -> None:
    site.proxy.mode = "no websocket"
    site.agent.push(21)
    page.goto(site.url)
    shows(page, 21)
    connection(page, "Slow updates")
    site.agent.push(22)
    shows(page, 22)
    site.proxy.mode = "pass"
    connection(page, "Live")
    site.agent.push(23)
    shows(page, 23)
    assert table_of(page) == ["23.0%", "22.0%", "21.0%"]


def test_a_hidden_page_closes_its_stream(site: Site, page: Page) -> None:
    site.agent.push(31)
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
    site.agent.push(32)
    hide("visible")
    shows(page, 32)
    connection(page, "Live")
    assert table_of(page) == ["32.0%", "31.0%"]
