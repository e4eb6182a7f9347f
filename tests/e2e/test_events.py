"""What happened, in a real Chromium: on the time axis of a chart and in the list below, as it happens."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from bongsu.core.series import Kind, Layout, Series
from bongsu.wire import protobuf
from tests.e2e.conftest import watch
from tests.support.processes import ADMIN, PASSWORD, api_server, enrolled, free_port, logged_in
from tests.support.pushes import a_frame, a_push

SLOW_MS = 60_000
AGENT = "agent-web-1"
LAYOUT = Layout.of((Series("cpu_usage_ratio", (), "ratio", Kind.GAUGE),))


@dataclass
class Site:
    """An API server, and an agent that reports the version that the test tells it."""

    url: str
    push: Callable[[str], None]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with api_server(tmp_path, port), httpx.Client(base_url=url, timeout=60) as agent:
        agent.headers.update(
            {"Authorization": f"Bearer {enrolled(url, AGENT)[AGENT]}", "Content-Type": protobuf.CONTENT_TYPE}
        )
        with logged_in(url) as client:
            now_ms = client.get("/api/health").json()["time_ms"]
        times = iter(range(now_ms, now_ms + 60_000, 1_000))

        def push(version: str) -> None:
            sent = a_push([a_frame(next(times), (0.5,), LAYOUT)], layouts=[LAYOUT], interval_ms=1_000)
            body = protobuf.encode_push(replace(sent, agent=replace(sent.agent, version=version)))
            agent.post("/api/metrics", content=body).raise_for_status()

        yield Site(url, push)


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A page of somebody who is logged in, that fails the test on an error."""
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 800})
    answer = context.request.post(f"{site.url}/api/auth/login", data={"email": ADMIN, "password": PASSWORD})
    assert answer.ok, answer.text()
    page = context.new_page()
    errors = watch(page)
    yield page
    context.close()
    assert errors == []


def test_an_event_appears_by_itself_in_the_list_and_on_the_chart(site: Site, page: Page) -> None:
    site.push("1.0.0")
    page.goto(site.url)
    listed = page.get_by_test_id("events")
    expect(listed).to_contain_text("Added to Bongsu", timeout=SLOW_MS)
    expect(page.get_by_test_id("connection")).to_contain_text("Live", timeout=SLOW_MS)
    # Whatever opens the page has asked for is there.
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    site.push("1.1.0")
    updated = "Agent updated from 1.0.0 to 1.1.0"
    expect(listed.get_by_role("listitem").first).to_contain_text(updated, timeout=SLOW_MS)
    marker = page.get_by_test_id("event-markers").get_by_role("button", name=re.compile(re.escape(updated)))
    expect(marker).to_be_visible(timeout=SLOW_MS)
    assert not [url for url in asked if "/api/events" in url], "the live stream has brought it"

    tooltip = page.get_by_test_id("event-tooltip")
    expect(tooltip).to_be_hidden()
    marker.hover()
    expect(tooltip).to_contain_text(updated)
    page.mouse.move(5, 5)
    expect(tooltip).to_be_hidden()
    # With the keyboard: from the chart to its markers.
    page.get_by_test_id("history-chart").get_by_role("application").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    expect(tooltip).to_contain_text(updated)
    page.keyboard.press("Escape")
    expect(tooltip).to_be_hidden()
