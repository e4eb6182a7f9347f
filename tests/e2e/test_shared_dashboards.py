"""Dashboards that are shared by link, in a real Chromium, as somebody sees them who has no account."""

import contextlib
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.dashboards import begin, widget
from tests.support.endpoints import endpoint
from tests.support.fleet import Fleet, simulated_fleet
from tests.support.pages import SLOW_MS, Look, choose, person_at, watch

SERVERS = 6


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with simulated_fleet(tmp_path_factory.mktemp("shared"), SERVERS) as fleet:
        yield fleet


@pytest.fixture
def page(browser: Browser, site: Fleet) -> Iterator[Page]:
    with person_at(browser, site.url) as page:
        yield page


@contextlib.contextmanager
def visitor(browser: Browser, url: str, look: Look | None = None) -> Iterator[Page]:
    """A page of somebody who has a link and no account. It fails the test on an error in its console, but for answers that
    refuse."""
    look = look or Look()
    size = {"width": look.width, "height": look.height}
    context = browser.new_context(locale=look.locale, viewport=size, color_scheme=look.theme)  # type: ignore[arg-type]
    page = context.new_page()
    errors = watch(page)
    page.goto(url)
    yield page
    context.close()
    assert [error for error in errors if "status of 40" not in error] == []


def share(page: Page, name: str, **fields: str) -> str:
    """Makes a link in the dialog. ``fields``: label -> what is typed or chosen. Returns its URL."""
    page.get_by_test_id("dashboard-more").click()
    page.get_by_test_id("dashboard-links").click()
    page.get_by_test_id("add-share").click()
    page.get_by_label("Name", exact=True).fill(name)
    for label, value in fields.items():
        field = page.get_by_label(label.replace("_", " "), exact=True)
        if field.get_attribute("role") == "combobox":
            choose(field, value)
        else:
            field.fill(value)
    page.get_by_test_id("dialog-action").click()
    link = page.get_by_test_id("shares").get_by_role("listitem").filter(has_text=name).get_by_test_id("copy-line").first
    expect(link).to_contain_text("http", timeout=SLOW_MS)
    url = link.inner_text()
    page.get_by_role("button", name="Close").click()
    return url


def test_a_link_shows_a_dashboard_to_somebody_without_an_account_until_it_is_revoked(
    browser: Browser, site: Fleet, page: Page
) -> None:
    names = [server["name"] for server in site.client.get("/api/servers").json()["servers"]]
    begin(site, page, "web-fleet")
    expect(widget(page, "states").get_by_role("listitem")).to_have_count(SERVERS, timeout=SLOW_MS)
    assert all(name in page.locator("main").inner_text() for name in names)
    url = share(page, "Customers")
    with visitor(browser, url) as other:
        expect(other.get_by_test_id("shared-dashboard")).to_be_visible(timeout=SLOW_MS)
        tiles = widget(other, "states").get_by_role("listitem")
        expect(tiles).to_have_count(SERVERS, timeout=SLOW_MS)
        expect(tiles.first).to_contain_text("server-")
        expect(other.get_by_role("application").first).to_be_visible(timeout=SLOW_MS)
        text = other.content()
        assert [name for name in names if name in text] == []
        # Nothing leads anywhere else.
        assert other.get_by_role("link").count() == 0
        assert other.evaluate("() => fetch('/api/servers').then(answer => answer.status)") == 401
        other.get_by_test_id("shared-range").select_option(label="Last 6h")
        expect(other.get_by_role("application").first).to_be_visible(timeout=SLOW_MS)
        page.get_by_test_id("dashboard-more").click()
        page.get_by_test_id("dashboard-links").click()
        page.get_by_role("button", name="Revoke the link Customers").click()
        page.get_by_test_id("dialog-action").click()
        expect(page.get_by_text("There are no links yet.")).to_be_visible(timeout=SLOW_MS)
        # Also where it is open.
        expect(other.get_by_text("This link does not work")).to_be_visible(timeout=SLOW_MS)
    with visitor(browser, url) as late:
        expect(late.get_by_text("This link does not work")).to_be_visible(timeout=SLOW_MS)


def test_a_link_with_a_password_opens_with_it(browser: Browser, site: Fleet, page: Page) -> None:
    begin(site, page, "linux-host")
    url = share(page, "Board", Password="open sesame")
    with visitor(browser, url) as other:
        other.get_by_label("Password").fill("open says me")
        other.get_by_test_id("unlock").click()
        expect(other.get_by_text("Wrong password.")).to_be_visible(timeout=SLOW_MS)
        other.get_by_label("Password").fill("open sesame")
        other.get_by_test_id("unlock").click()
        expect(widget(other, "load").locator("p").first).to_have_text(re.compile(r"\d"), timeout=SLOW_MS)
        other.reload()
        expect(widget(other, "load").locator("p").first).to_have_text(re.compile(r"\d"), timeout=SLOW_MS)


def test_a_status_page_says_whether_all_is_well(browser: Browser, site: Fleet, page: Page) -> None:
    begin(site, page, "web-fleet")
    url = share(page, "Public", What="A public status page", Address_of_the_page="our-service")
    assert url == f"{site.url}/status/our-service"
    with visitor(browser, url, Look(width=390, height=800, theme="dark")) as other:
        summary = other.get_by_test_id("status-summary")
        expect(summary).to_contain_text(f"{SERVERS} servers are up", timeout=SLOW_MS)
        expect(widget(other, "states")).to_be_visible()


def test_only_a_site_that_may_embed_it_shows_it(browser: Browser, site: Fleet, page: Page) -> None:
    begin(site, page, "web-fleet")
    with endpoint() as intranet:
        # Another port is another origin.
        allowed = share(page, "Intranet", May_be_embedded_in=intranet.url)
        refused = share(page, "Elsewhere", May_be_embedded_in="https://intranet.example.com")
        context = browser.new_context()
        other = context.new_page()
        for url, shown in ((allowed, True), (refused, False)):
            html = f'<!doctype html><title>Intranet</title><iframe src="{url}" width="1200" height="700"></iframe>'
            intranet.usual = (200, {"Content-Type": "text/html"}, html)
            with other.expect_response(url) as answer:
                other.goto(intranet.url)
            assert answer.value.status == 200
            dashboard = other.frame_locator("iframe").get_by_test_id("shared-dashboard")
            if shown:
                expect(dashboard).to_be_visible(timeout=SLOW_MS)
            else:
                # The browser shows a page of its own instead.
                expect(other.frame_locator("iframe").locator("body.neterror")).to_have_count(1, timeout=SLOW_MS)
                assert dashboard.count() == 0
        context.close()
