"""A fleet of simulated servers in a real Chromium: all of them at a glance, live, what is wrong first."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.fleet import Fleet, simulated_fleet
from tests.support.pages import SLOW_MS, Look, person_at

SERVERS = 60


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with simulated_fleet(tmp_path_factory.mktemp("fleet"), SERVERS) as fleet:
        yield fleet


@pytest.fixture
def page(browser: Browser, site: Fleet) -> Iterator[Page]:
    with person_at(browser, site.url, Look(1440, 900)) as page:
        yield page


def names(page: Page) -> list[str]:
    """Of the rows in the document, from the first on."""
    return page.get_by_test_id("fleet").locator("tbody td:first-child a").all_inner_texts()


def opened(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.get_by_test_id("fleet").locator("tbody td:first-child a").first).to_be_visible(timeout=SLOW_MS)


def test_all_servers_are_there_but_only_those_on_screen_are_in_the_document(site: Fleet, page: Page) -> None:
    opened(page, site.url)
    table = page.get_by_test_id("fleet")
    expect(table).to_have_attribute("aria-rowcount", str(SERVERS + 1), timeout=SLOW_MS)
    first = names(page)
    assert 10 < len(first) < SERVERS
    page.mouse.wheel(0, 100_000)
    expect(table.locator(f'tr[aria-rowindex="{SERVERS + 1}"]')).to_be_visible(timeout=SLOW_MS)
    assert first[0] not in names(page)
    every = sorted(server["name"] for server in site.client.get("/api/servers").json()["servers"])
    assert set(names(page)) <= set(every)


def test_values_change_by_themselves(site: Fleet, page: Page) -> None:
    opened(page, site.url)
    cells = page.get_by_test_id("fleet").locator("tbody td:nth-child(2)")
    expect(cells.first).to_contain_text("%", timeout=SLOW_MS)
    before = cells.all_inner_texts()
    expect(cells).not_to_have_text(before, timeout=SLOW_MS)


def test_sorted_filtered_and_shared_as_a_link(site: Fleet, page: Page) -> None:
    opened(page, site.url)
    page.get_by_role("button", name="Server", exact=True).click()
    expect(page).to_have_url(re.compile("sort=name"))
    assert names(page) == sorted(names(page))
    page.get_by_role("searchbox").fill("role=db")
    expect(page).to_have_url(re.compile("q=role"), timeout=SLOW_MS)
    shown = names(page)
    assert shown
    assert all(name.startswith("db-") for name in shown)
    other = page.context.new_page()
    opened(other, page.url)
    assert names(other) == shown
    other.close()
    page.get_by_role("link", name=shown[0]).click()
    expect(page.get_by_role("heading", name=shown[0])).to_be_visible(timeout=SLOW_MS)
    page.go_back()
    expect(page.get_by_test_id("fleet")).to_be_visible(timeout=SLOW_MS)


def test_servers_that_fall_silent_are_seen(site: Fleet, page: Page) -> None:
    opened(page, site.url)
    site.stop()
    silent = page.locator("label", has_text=re.compile("Late|Down")).first
    expect(silent).to_be_visible(timeout=SLOW_MS)
    silent.click()
    expect(page).to_have_url(re.compile("state=(late|down)"))
    expect(page.get_by_test_id("fleet").locator("tbody td:first-child a").first).to_be_visible(timeout=SLOW_MS)
