"""Bongsu as an application of its own: installable, with a page for when the server is away, and on paper."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.fleet import simulated_fleet
from tests.support.pages import SLOW_MS, Look, person_at
from tests.support.processes import api_server, free_port, wait_for


@pytest.fixture
def port() -> int:
    return free_port()


def served(page: Page, url: str) -> None:
    """Opens the dashboard, and waits until its service worker takes care of the page."""
    page.goto(url)
    wait_for(lambda: page.evaluate("navigator.serviceWorker.controller !== null"), "the service worker")


def test_the_page_for_when_the_server_is_away(browser: Browser, tmp_path: Path, port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    # A page whose server is gone has errors in its console.
    korean = Look(locale="ko-KR")
    with (
        api_server(tmp_path, port) as process,
        person_at(browser, url, korean, broken_network=True) as page,
    ):
        served(page, url)
        installability = page.context.new_cdp_session(page).send("Page.getInstallabilityErrors")
        # A context of Playwright is like a private window, in which nothing can be installed.
        problems = {problem["errorId"] for problem in installability["installabilityErrors"]}
        assert problems <= {"in-incognito"}
        process.kill()
        process.wait()
        page.goto(f"{url}/alerts")
        expect(page.get_by_role("heading", name="봉수에 연결할 수 없습니다")).to_be_visible(timeout=SLOW_MS)
        expect(page.get_by_role("button", name="다시 시도")).to_be_visible()
        with api_server(tmp_path, port):
            # By itself, where one wanted to go.
            expect(page.get_by_role("heading", name="경보", exact=True)).to_be_visible(timeout=SLOW_MS)
            assert page.url == f"{url}/alerts"


@pytest.fixture(scope="module")
def fleet_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with simulated_fleet(tmp_path_factory.mktemp("paper"), 60) as fleet:
        yield fleet.url


def test_on_paper_there_are_all_servers_and_no_menus(browser: Browser, fleet_url: str) -> None:
    with person_at(browser, fleet_url, Look(1440, 900, "dark")) as page:
        page.goto(fleet_url)
        rows = page.get_by_test_id("fleet").locator("tr.row")
        expect(rows.first).to_be_visible(timeout=SLOW_MS)
        assert rows.count() < 60
        page.emulate_media(media="print")
        expect(rows).to_have_count(60, timeout=SLOW_MS)
        expect(page.get_by_role("navigation").first).to_be_hidden()
        expect(page.locator("html")).to_have_class("light")
        assert len(page.pdf()) > 10_000
        page.emulate_media(media="screen")
        expect(page.locator("html")).to_have_class("dark")
