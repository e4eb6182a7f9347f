"""What happened, in a real Chromium: on the time axis of a chart and in the list below, as it happens."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.pages import SLOW_MS, person_at
from tests.support.processes import api_server, free_port
from tests.support.pusher import Pusher


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Pusher]:
    port = free_port()
    with api_server(tmp_path, port):
        yield Pusher(f"http://127.0.0.1:{port}")


@pytest.fixture
def page(browser: Browser, agent: Pusher) -> Iterator[Page]:
    with person_at(browser, agent.url) as page:
        yield page


def test_an_event_appears_by_itself_in_the_list_and_on_the_chart(agent: Pusher, page: Page) -> None:
    agent.push(version="1.0.0")
    page.goto(agent.url)
    listed = page.get_by_test_id("events")
    expect(listed).to_contain_text("Added to Bongsu", timeout=SLOW_MS)
    expect(page.get_by_test_id("connection")).to_contain_text("Live", timeout=SLOW_MS)
    # Whatever opens the page has asked for is there.
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    agent.push(version="1.1.0")
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
