"""The dashboard in a real Chromium against a real Bongsu."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.support.pages import SLOW_MS
from tests.support.processes import logged_in

LoginState = Callable[[], StorageState]


def test_a_live_number_changes(page: Page, running_bongsu: str) -> None:
    page.goto(running_bongsu)
    expect(page.get_by_test_id("cpu-value")).to_contain_text("%", timeout=SLOW_MS)
    # The work of this very page keeps the machine from standing still; a busy one may stay at 100 % CPU.
    values = page.locator("[data-testid$=-value]")
    before = values.all_inner_texts()
    for _ in range(SLOW_MS // 100):
        if values.all_inner_texts() != before:
            break
        page.wait_for_timeout(100)
    assert values.all_inner_texts() != before
    expect(page.get_by_test_id("history-chart").locator("canvas").first).to_be_visible()


def test_the_machine_is_shown_with_its_name_and_state(page: Page, running_bongsu: str) -> None:
    with logged_in(running_bongsu) as client:
        server = client.get("/api/servers").json()["servers"][0]
    page.goto(running_bongsu)
    expect(page.get_by_test_id("server-chooser")).to_contain_text(server["name"], timeout=SLOW_MS)


@pytest.mark.parametrize(("locale", "word"), [("ko-KR", "메모리"), ("en-US", "Memory")])
def test_the_language_follows_the_browser(
    browser: Browser, running_bongsu: str, login_state: LoginState, locale: str, word: str
) -> None:
    context = browser.new_context(locale=locale, storage_state=login_state())
    page = context.new_page()
    page.goto(running_bongsu)
    expect(page.get_by_text(word).first).to_be_visible(timeout=SLOW_MS)
    expect(page.locator("html")).to_have_attribute("lang", locale[:2])
    context.close()


def test_a_phone_needs_no_sideways_scrolling(browser: Browser, running_bongsu: str, login_state: LoginState) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, locale="en-US", storage_state=login_state())
    page = context.new_page()
    page.goto(running_bongsu)
    expect(page.get_by_test_id("cpu-value")).to_contain_text("%", timeout=SLOW_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_documentation_renders_with_no_network(page: Page, running_bongsu: str, path: str) -> None:
    page.goto(running_bongsu + path)
    operation = page.get_by_text("Get the history of series").locator("visible=true").first
    expect(operation).to_be_visible(timeout=SLOW_MS)
