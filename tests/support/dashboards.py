"""Dashboards that tests of the browser make and look at."""

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.support.fleet import Fleet
from tests.support.pages import SLOW_MS


def create(site: Fleet, document: dict[str, Any]) -> int:
    """Stores a dashboard. Returns its id."""
    answer = site.client.post("/api/dashboards", json={"dashboard": document}).raise_for_status()
    return int(answer.json()["id"])


def a_text(widget: str, x: int, y: int, markdown: str) -> dict[str, Any]:
    """A widget with text."""
    place = {"x": x, "y": y, "w": 4, "h": 3}
    return {"id": widget, "type": "text", "title": widget, "place": place, "config": {"markdown": markdown}}


def begin(site: Fleet, page: Page, template: str) -> None:
    """Makes a dashboard from a template, by mouse, and opens it."""
    page.goto(f"{site.url}/dashboards")
    page.get_by_test_id("add-dashboard").click()
    page.get_by_test_id(f"template-{template}").click()
    expect(page).to_have_url(re.compile(r"/dashboards/\d+$"), timeout=SLOW_MS)


def widget(page: Page, name: str) -> Locator:
    """A widget on screen."""
    return page.get_by_test_id(f"widget-{name}")
