"""Every page in a real Chromium: accessible, without errors, and as wide as the screen."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.fleet import Fleet, simulated_fleet
from tests.support.pages import SLOW_MS, Look, connection, loaded, person_at, violations
from tests.support.pseudo import Answers, cut_off, untranslated

ROOT = Path(__file__).parents[2]
# What the pages look like; kept by CI.
SCREENSHOTS = ROOT / "artifacts" / "screenshots"
SERVERS = 12
EDIT_CPU = re.compile("Edit CPU usage|CPU usage 편집")

LOOKS = {
    "wide-light-en": Look(1440, 900, "light", "en-GB"),
    "wide-dark-ko": Look(1440, 900, "dark", "ko-KR"),
    "phone-light-ko": Look(360, 740, "light", "ko-KR"),
    "phone-dark-en": Look(360, 740, "dark", "en-GB"),
}
PAGES = {
    "home": "/",
    "home-tiles": "/?view=tiles&group=role",
    "home-groups": "/?group=role",
    "server": "/servers/1",
    "containers": "/containers",
    "kubernetes": "/kubernetes",
    "dashboards": "/dashboards",
    "dashboard-host": "/dashboards/1",
    "dashboard-fleet": "/dashboards/2",
    "dashboard-storage": "/dashboards/3",
    "metrics": "/metrics",
    "metrics-stack": "/metrics?metric=memory_used_bytes&draw=stack&compare=day&server=1,2",
    "metrics-chart": "/metrics?metric=filesystem_usage_ratio&metric=cpu_usage_ratio&combine=max&by=server&range=15m",
    "alerts": "/alerts",
    "rules": "/alerts/rules",
    "silences": "/alerts/silences",
    "notifications": "/alerts/notifications",
    "channels": "/alerts/channels",
    "settings": "/settings",
    "account": "/account",
    "tokens": "/tokens",
    "agents": "/agents",
    "users": "/users",
    "audit": "/audit",
    "storage": "/storage",
    "health": "/health",
    "about": "/about",
    "status-page": "/status/our-service",
}


# Buttons that open a dialog, and the page that each is on.
DIALOGS = {
    "add-server": "agents",
    "add-user": "users",
    "add-token": "tokens",
    "add-channel": "channels",
    "add-silence": "silences",
    "add-rule": "rules",
    "add-dashboard": "dashboards",
    "dashboard-edit": "dashboard-host",
    "dashboard-more": "dashboard-host",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with simulated_fleet(tmp_path_factory.mktemp("pages"), SERVERS) as fleet:
        for template in fleet.client.get("/api/dashboards/templates").raise_for_status().json()["templates"]:
            body = {"dashboard": template["dashboard"]}
            fleet.client.post("/api/dashboards", json=body).raise_for_status()
        link = {"name": "Customers", "address": "our-service", "redact": ["hosts"]}
        fleet.client.post("/api/dashboards/2/shares", json=link).raise_for_status()
        yield fleet


@pytest.fixture
def page(browser: Browser, site: Fleet) -> Iterator[Page]:
    with person_at(browser, site.url, LOOKS["wide-light-en"]) as page:
        yield page


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_is_accessible_and_fits_the_screen(browser: Browser, site: Fleet, look: str) -> None:
    wrong: dict[str, list[str]] = {}
    with person_at(browser, site.url, LOOKS[look]) as page:
        for name, path in PAGES.items():
            page.goto(site.url + path)
            loaded(page)
            found = violations(page)
            if (width := page.evaluate("document.documentElement.scrollWidth")) > LOOKS[look].width:
                found.append(f"{width} px wide")
            if found:
                wrong[name] = found
            page.screenshot(path=SCREENSHOTS / look / f"{name}.png")
        page.goto(site.url + PAGES["dashboard-host"])
        loaded(page)
        page.get_by_test_id("dashboard-edit").click()
        for name, button in (("editing", None), ("a widget in its dialog", EDIT_CPU)):
            if button is not None:
                page.get_by_role("button", name=button).first.click()
                expect(page.get_by_role("dialog")).to_be_visible(timeout=SLOW_MS)
            expect(page.locator(".skeleton")).to_have_count(0, timeout=SLOW_MS)
            if found := violations(page):
                wrong[name] = found
            page.screenshot(path=SCREENSHOTS / look / f"{name}.png")
    assert wrong == {}


@pytest.mark.parametrize("width", [360, 1280])
def test_every_page_has_all_its_texts_translated_and_room_for_longer_ones(
    browser: Browser, site: Fleet, width: int
) -> None:
    wrong: dict[str, list[str]] = {}
    with person_at(browser, site.url, Look(width, 800, "light", "en-XA")) as page:
        answers = Answers(page)

        def look(name: str) -> None:
            # A page may draw an answer before it is kept here.
            give_up = time.monotonic() + 5
            while (found := untranslated(page, answers.texts()) + cut_off(page)) and time.monotonic() < give_up:
                page.wait_for_timeout(100)
            if found:
                wrong[name] = found

        for name, path in PAGES.items():
            page.goto(site.url + path)
            loaded(page)
            expect(page.locator("html")).to_have_attribute("lang", "en-XA")
            # On a phone, the other states leave less room for the search. A shared dashboard has neither.
            if name != "status-page":
                connection(page, "Lîvé")
            look(name)
        for button, name in DIALOGS.items():
            page.goto(site.url + PAGES[name])
            page.get_by_test_id(button).click()
            if button == "dashboard-edit":
                page.get_by_test_id("widget-cpu").get_by_role("button", name="Édît").click()
            if button == "dashboard-more":
                look(button)
                page.get_by_test_id("dashboard-links").click()
                expect(page.get_by_role("dialog")).to_be_visible(timeout=SLOW_MS)
                look("dashboard-links")
                page.get_by_test_id("add-share").click()
            expect(page.get_by_role("dialog")).to_be_visible(timeout=SLOW_MS)
            look(button)
        page.goto(f"{site.url}/servers/1")
        loaded(page)
        for menu in ("language-switch", "account-menu"):
            page.get_by_test_id(menu).click()
            look(menu)
            page.keyboard.press("Escape")
        page.keyboard.press("Control+k")
        expect(page.get_by_test_id("palette").get_by_role("option").first).to_be_visible(timeout=SLOW_MS)
        look("palette")
    assert wrong == {}


def test_the_language_is_chosen_with_the_keyboard_and_kept(site: Fleet, page: Page) -> None:
    page.goto(site.url)
    loaded(page)
    switch = page.get_by_test_id("language-switch")
    switch.focus()
    page.keyboard.press("Enter")
    languages = page.get_by_test_id("languages").get_by_role("button")
    expect(languages).to_have_count(8)
    expect(page.get_by_test_id("languages").locator("[aria-current=true]")).to_have_text("English")
    assert violations(page) == []
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("heading", level=1)).to_have_text("Server")
    expect(switch).to_be_focused()
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.keyboard.press("Control+k")
    page.get_by_test_id("palette").get_by_role("combobox").fill("日本語")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("lang", "ja")


@pytest.mark.parametrize(
    ("locale", "language"),
    [("de-AT", "de"), ("pt-PT", "pt-BR"), ("zh-CN", "zh-CN"), ("es-MX", "es"), ("en-US", "en"), ("it-IT", "en")],
)
def test_a_browser_selects_the_nearest_language(browser: Browser, site: Fleet, locale: str, language: str) -> None:
    with person_at(browser, site.url, Look(locale=locale)) as page:
        page.goto(site.url)
        expect(page.locator("html")).to_have_attribute("lang", language, timeout=SLOW_MS)


def test_from_the_palette_to_a_chart_of_the_fullest_disks(site: Fleet, page: Page) -> None:
    page.goto(site.url)
    loaded(page)
    page.keyboard.press("Control+k")
    expect(page.get_by_test_id("palette").get_by_role("combobox")).to_be_focused(timeout=SLOW_MS)
    page.keyboard.type("filesystem_usage")
    expect(page.get_by_test_id("palette").get_by_role("option")).to_have_count(1, timeout=SLOW_MS)
    page.keyboard.press("Enter")
    chart = page.get_by_test_id("explorer-chart")
    expect(chart.locator("canvas")).to_be_visible(timeout=SLOW_MS)
    page.get_by_label("Combine").select_option("max")
    page.get_by_label("Group by").select_option("server")
    rows = chart.locator("tbody tr")
    expect(rows).to_have_count(SERVERS, timeout=SLOW_MS)
    expect(page).to_have_url(re.compile("combine=max&by=server"))
    # The fullest first, as the API server says.
    answer = site.client.get(
        "/api/metrics/history",
        params={"metric": "filesystem_usage_ratio", "start": "-15m", "across": "max", "group_by": "server"},
    )
    highest = {
        series["labels"]["server"]: max(series["values"]) for series in answer.raise_for_status().json()["series"]
    }
    names = {str(server["id"]): server["name"] for server in site.client.get("/api/servers").json()["servers"]}
    expect(rows.first).to_contain_text(names[max(highest, key=lambda server: highest[server])])


def test_a_range_is_zoomed_by_dragging_and_the_back_button_leads_back(site: Fleet, page: Page) -> None:
    page.goto(f"{site.url}/metrics?metric=cpu_usage_ratio&metric=load_1m&range=15m")
    charts = page.get_by_test_id("explorer-chart")
    expect(charts.locator("canvas")).to_have_count(2, timeout=SLOW_MS)
    plot = charts.first.locator(".u-over")
    box = plot.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.5, middle)
    # Both charts show the crosshair.
    expect(charts.last.locator(".u-cursor-x")).to_be_visible()
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, middle, steps=5)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"from=\d+&to=\d+"), timeout=SLOW_MS)
    expect(page.get_by_label("From", exact=True)).to_be_visible()
    page.go_back()
    expect(page).not_to_have_url(re.compile("from="), timeout=SLOW_MS)
    with page.expect_download() as download:
        charts.first.get_by_role("button", name="Save as CSV").click()
    text = Path(download.value.path()).read_text()
    assert text.count("\n") > SERVERS
    assert "cpu_usage_ratio" in text
    with page.expect_download() as download:
        charts.first.get_by_role("button", name="Save as PNG").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_keys_lead_to_pages(site: Fleet, page: Page) -> None:
    page.goto(site.url)
    loaded(page)
    page.keyboard.press("g")
    page.keyboard.press("a")
    expect(page).to_have_url(f"{site.url}/alerts")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Keyboard shortcuts", timeout=SLOW_MS)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_no_code_is_fetched_twice(site: Fleet, page: Page) -> None:
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url) if "/_nuxt/" in request.url else None)
    page.goto(f"{site.url}/dashboards/1")
    loaded(page)
    assert fetched
    assert sorted(set(fetched)) == sorted(fetched)


def test_a_chart_moves_under_the_hand(site: Fleet, page: Page) -> None:
    page.goto(f"{site.url}/metrics?metric=cpu_usage_ratio&range=15m")
    plot = page.get_by_test_id("explorer-chart").locator(".u-over")
    expect(plot).to_be_visible(timeout=SLOW_MS)
    box = plot.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + box["width"] * 0.2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, middle, steps=5)
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(page).to_have_url(re.compile(r"from=\d+&to=\d+"), timeout=SLOW_MS)
    start, end = map(int, re.findall(r"(?:from|to)=(\d+)", page.url))
    # As long as before, and half of it earlier.
    assert abs(end - start - 900_000) < 20_000
    now_ms: int = site.client.get("/api/health").json()["time_ms"]
    assert now_ms - end > 400_000
    # Zooming out by a key doubles it.
    page.get_by_role("application").focus()
    page.keyboard.press("-")
    expect(page).not_to_have_url(re.compile(f"from={start}&"), timeout=SLOW_MS)
    start, end = map(int, re.findall(r"(?:from|to)=(\d+)", page.url))
    assert end - start > 1_700_000


@pytest.mark.parametrize("path", ["/", "/servers/1"])
def test_a_list_of_servers_that_cannot_be_read_is_told_and_tried_again(
    browser: Browser, site: Fleet, path: str
) -> None:
    answer = {"error": {"code": "internal_error", "message": "A bug.", "field": None, "limit": None}}
    # The console tells of the answer 500.
    with person_at(browser, site.url, LOOKS["wide-light-en"], broken_network=True) as page:
        page.route("**/api/servers*", lambda route: route.fulfill(status=500, json=answer))
        page.goto(f"{site.url}{path}")
        told = page.get_by_test_id("servers-failed")
        expect(told).to_contain_text("bug in the API server", timeout=SLOW_MS)
        page.unroute("**/api/servers*")
        told.get_by_role("button", name="Try again").click()
        expect(told).to_have_count(0, timeout=SLOW_MS)
        expect(page.get_by_test_id("fleet" if path == "/" else "readings")).to_be_visible(timeout=SLOW_MS)


@pytest.mark.parametrize("width", [360, 800, 1440])
def test_groups_of_the_fleet_leave_its_columns_as_they_are(site: Fleet, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{site.url}/?group=role")
    loaded(page)
    rows = page.get_by_test_id("fleet").locator("tr.row")
    expect(rows.first).to_be_visible(timeout=SLOW_MS)
    expect(page.get_by_role("rowheader", name="db", exact=False).first).to_be_visible()
    # Without a column that no cell is in, the cells are as wide as their row.
    assert rows.first.evaluate(
        "row => [...row.cells].reduce((sum, cell) => sum + cell.getBoundingClientRect().width, 0) / row.clientWidth"
    ) == pytest.approx(1, abs=0.01)


def test_the_fleet_as_a_heat_map_in_groups(site: Fleet, page: Page) -> None:
    page.goto(site.url)
    loaded(page)
    page.get_by_test_id("fleet-group").select_option("role")
    expect(page.get_by_test_id("fleet").locator("th[scope=rowgroup]").first).to_be_visible(timeout=SLOW_MS)
    page.get_by_test_id("fleet-view").click()
    tiles = page.get_by_test_id("fleet-tiles").get_by_role("link")
    expect(tiles).to_have_count(SERVERS, timeout=SLOW_MS)
    expect(tiles.first).to_have_accessible_name(re.compile(r"CPU \d+\.\d% Up$"), timeout=SLOW_MS)
    name = str(tiles.first.get_attribute("title")).partition(":")[0]
    tiles.first.click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible(timeout=SLOW_MS)


def test_columns_are_chosen_and_stay_so(site: Fleet, page: Page) -> None:
    page.goto(site.url)
    loaded(page)
    headings = page.get_by_test_id("fleet").locator("thead th")
    expect(headings).to_have_count(8)
    page.get_by_test_id("fleet-columns").click()
    page.get_by_label("Complete", exact=True).check()
    page.get_by_label("Load", exact=True).uncheck()
    page.keyboard.press("Escape")
    page.reload()
    loaded(page)
    expect(page.get_by_test_id("fleet").locator("thead")).to_contain_text("Complete")
    expect(page.get_by_test_id("fleet").locator("thead")).not_to_contain_text("Load")
    expect(page.get_by_test_id("fleet").locator("tr.row").first).to_contain_text(
        re.compile(r"\d%.*\d%.*\d%.*\d%", re.DOTALL), timeout=SLOW_MS
    )
