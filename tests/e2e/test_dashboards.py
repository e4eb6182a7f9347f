"""Dashboards in a real Chromium: composed by mouse and by keyboard, saved, shared, restored, exported."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.dashboards import a_text, begin, create, widget
from tests.support.fleet import Fleet, simulated_fleet
from tests.support.pages import SLOW_MS, Look, choose, person_at

SERVERS = 6


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with simulated_fleet(tmp_path_factory.mktemp("dashboards"), SERVERS) as fleet:
        yield fleet


@pytest.fixture
def page(browser: Browser, site: Fleet) -> Iterator[Page]:
    with person_at(browser, site.url) as page:
        yield page


def stored(site: Fleet, page: Page) -> dict[str, Any]:
    """The dashboard on screen as the API has it."""
    answer = site.client.get(f"/api/dashboards/{page.url.split('?')[0].rpartition('/')[2]}").raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def save(page: Page) -> None:
    page.get_by_test_id("dashboard-save").click()
    expect(page.get_by_test_id("dashboard-edit")).to_be_visible(timeout=SLOW_MS)


def test_a_dashboard_is_composed_by_mouse(site: Fleet, page: Page) -> None:
    begin(site, page, "empty")
    page.get_by_test_id("add-widget").click()
    page.get_by_test_id("add-gauge").click()
    dialog = page.get_by_role("dialog")
    metric = dialog.get_by_test_id("widget-metric")
    metric.fill("cpu_usage_ratio")
    # The preview in the dialog is live.
    expect(dialog.get_by_role("meter")).to_have_attribute("aria-valuetext", re.compile(r"%$"), timeout=SLOW_MS)
    dialog.get_by_test_id("dialog-action").click()
    gauge = widget(page, "gauge-1")
    expect(gauge.get_by_role("meter")).to_be_visible(timeout=SLOW_MS)
    page.get_by_test_id("add-widget").click()
    page.get_by_test_id("add-chart").click()
    metric.fill("memory_used_bytes")
    dialog.get_by_test_id("dialog-action").click()
    chart = widget(page, "chart-1")
    expect(chart.locator("canvas")).to_be_visible(timeout=SLOW_MS)
    # The gauge is dragged to the right of the chart, and made wider.
    handle, target = gauge.locator(".drag-handle").bounding_box(), chart.bounding_box()
    assert handle
    assert target
    page.mouse.move(handle["x"] + 10, handle["y"] + 10)
    page.mouse.down()
    page.mouse.move(handle["x"] + 300, handle["y"] + 40, steps=8)
    page.mouse.move(target["x"] + target["width"] + 260, handle["y"] + 20, steps=8)
    page.mouse.up()
    page.get_by_test_id("dashboard-settings").click()
    page.get_by_label("Title").fill("Mine")
    page.get_by_test_id("dialog-action").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Mine")
    save(page)
    info = stored(site, page)
    assert (info["title"], info["revision"]) == ("Mine", 2)
    places = {one["id"]: one["place"] for one in info["dashboard"]["widgets"]}
    assert places["gauge-1"]["x"] > 0, places
    page.reload()
    expect(widget(page, "gauge-1").get_by_role("meter")).to_be_visible(timeout=SLOW_MS)
    expect(widget(page, "chart-1").locator("canvas")).to_be_visible(timeout=SLOW_MS)
    assert stored(site, page) == info


def test_a_dashboard_is_composed_by_keyboard(site: Fleet, page: Page) -> None:
    number = create(site, {"title": "Keys", "widgets": [a_text("one", 0, 0, "One"), a_text("two", 4, 0, "Two")]})
    page.goto(f"{site.url}/dashboards/{number}")
    page.get_by_test_id("dashboard-edit").focus()
    page.keyboard.press("Enter")
    handle = widget(page, "two").locator(".drag-handle")
    expect(handle).to_be_visible(timeout=SLOW_MS)
    handle.focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("two: column 6, row 1, 4 wide, 3 high")).to_be_attached()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    expect(page.get_by_text("two: column 6, row 1, 5 wide, 4 high")).to_be_attached()
    expect(handle).to_be_focused()
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+Shift+z")
    page.keyboard.press("Control+s")
    expect(page.get_by_test_id("dashboard-edit")).to_be_visible(timeout=SLOW_MS)
    places = {one["id"]: one["place"] for one in stored(site, page)["dashboard"]["widgets"]}
    assert places == {"one": {"x": 0, "y": 0, "w": 4, "h": 3}, "two": {"x": 5, "y": 0, "w": 5, "h": 3}}


def test_values_are_live_and_a_variable_chooses_servers(site: Fleet, page: Page) -> None:
    begin(site, page, "linux-host")
    names = sorted(server["name"] for server in site.client.get("/api/servers").json()["servers"])
    number = widget(page, "load").locator("p").first
    expect(number).to_have_text(re.compile(r"\d"), timeout=SLOW_MS)
    before = number.inner_text()
    expect(number).not_to_have_text(before, timeout=SLOW_MS)
    page.get_by_test_id("variable-server").click()
    page.get_by_role("button", name=names[0], exact=True).click()
    expect(page).to_have_url(re.compile(f"var-server={names[0]}"))
    rows = widget(page, "filesystems").get_by_role("listitem")
    answer = site.client.get(
        "/api/metrics/current", params={"metric": "filesystem_usage_ratio", "name": names[0]}
    ).json()
    expect(rows).to_have_count(min(10, len(answer["servers"][0]["series"])), timeout=SLOW_MS)
    # A link shows the same.
    page.reload()
    expect(page.get_by_test_id("variable-server")).to_contain_text(names[0], timeout=SLOW_MS)


def test_a_paused_dashboard_stands_still_until_it_goes_on(browser: Browser, site: Fleet, page: Page) -> None:
    begin(site, page, "linux-host")
    load, label = widget(page, "load").locator("p").first, page.get_by_test_id("dashboard-live")
    expect(load).to_have_text(re.compile(r"\d"), timeout=SLOW_MS)
    label.click()
    expect(label).to_have_accessible_name("Resume updates")
    with person_at(browser, site.url) as other:
        other.goto(page.url)
        live = widget(other, "load").locator("p").first
        expect(live).to_have_text(re.compile(r"\d"), timeout=SLOW_MS)
        # What was on its way when it was paused has come by then.
        expect(live).not_to_have_text(live.inner_text(), timeout=SLOW_MS)
        paused = load.inner_text()
        for _ in range(3):
            expect(live).not_to_have_text(live.inner_text(), timeout=SLOW_MS)
    assert load.inner_text() == paused
    label.click()
    expect(load).not_to_have_text(paused, timeout=SLOW_MS)


def test_a_widget_that_is_not_up_to_date_says_so_and_tries_again(browser: Browser, site: Fleet) -> None:
    with person_at(browser, site.url, broken_network=True) as page:
        begin(site, page, "linux-host")
        chart = widget(page, "cpu-over-time")
        expect(chart.get_by_role("application")).to_be_visible(timeout=SLOW_MS)
        page.route("**/api/metrics/histor*", lambda route: route.fulfill(status=500))
        page.get_by_test_id("dashboard-live").click()
        page.get_by_test_id("dashboard-live").click()
        trouble = chart.get_by_test_id("widget-trouble")
        expect(trouble).to_have_accessible_name(re.compile("is not up to date"), timeout=SLOW_MS)
        expect(chart.get_by_role("application")).to_be_visible()
        page.unroute("**/api/metrics/histor*")
        trouble.click()
        expect(trouble).to_have_count(0, timeout=SLOW_MS)


def test_nobody_overwrites_what_somebody_else_has_saved(browser: Browser, site: Fleet) -> None:
    # The console tells of the answer 409, which is the point.
    with person_at(browser, site.url, broken_network=True) as page:
        conflict_of_two(site, page)


def conflict_of_two(site: Fleet, page: Page) -> None:
    number = create(site, {"title": "Both", "widgets": [a_text("one", 0, 0, "One")]})
    page.goto(f"{site.url}/dashboards/{number}")
    page.get_by_test_id("dashboard-edit").click()
    widget(page, "one").get_by_role("button", name="Duplicate one").click()
    theirs = {"title": "Theirs", "widgets": []}
    body = {"dashboard": theirs, "revision": 1}
    site.client.put(f"/api/dashboards/{number}", json=body).raise_for_status()
    page.get_by_test_id("dashboard-save").click()
    conflict = page.get_by_test_id("dashboard-conflict")
    expect(conflict).to_contain_text("has saved this dashboard meanwhile", timeout=SLOW_MS)
    assert stored(site, page)["title"] == "Theirs"
    conflict.get_by_role("button", name="Overwrite").click()
    expect(page.get_by_test_id("dashboard-edit")).to_be_visible(timeout=SLOW_MS)
    assert (stored(site, page)["title"], stored(site, page)["revision"]) == ("Both", 3)
    # What they had saved is a version that can be had back.
    page.get_by_test_id("dashboard-more").click()
    page.get_by_role("button", name="Versions").click()
    page.get_by_test_id("dashboard-versions").get_by_role("listitem").nth(1).get_by_role("button").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Theirs", timeout=SLOW_MS)
    expect(page.get_by_test_id("dashboard-edit")).to_be_visible(timeout=SLOW_MS)
    assert stored(site, page)["revision"] == 4


def test_an_export_deleted_and_imported_again_is_identical(site: Fleet, page: Page, tmp_path: Path) -> None:
    foreign = a_text("globe", 4, 0, "") | {"type": "globe", "version": 7, "config": {"spin": [1, None]}}
    hostile = "<img src=x onerror=\"document.title='owned'\"> [click](javascript:alert(1)) **bold**"
    number = create(site, {"title": "Travels", "widgets": [a_text("text", 0, 0, hostile), foreign]})
    page.goto(f"{site.url}/dashboards/{number}")
    expect(widget(page, "globe")).to_contain_text("does not know the widget “globe” 7", timeout=SLOW_MS)
    expect(widget(page, "text").locator("strong")).to_have_text("bold")
    expect(widget(page, "text").locator("img, a")).to_have_count(0)
    before = stored(site, page)["dashboard"]
    page.get_by_test_id("dashboard-more").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    file = tmp_path / "export.json"
    download.value.save_as(file)
    assert json.loads(file.read_text()) == before
    site.client.delete(f"/api/dashboards/{number}").raise_for_status()
    page.goto(f"{site.url}/dashboards")
    expect(page.get_by_test_id("add-dashboard")).to_be_visible(timeout=SLOW_MS)
    page.get_by_test_id("dashboard-import").set_input_files(file)
    expect(page).to_have_url(re.compile(r"/dashboards/\d+$"), timeout=SLOW_MS)
    assert stored(site, page)["dashboard"] == before


def test_a_file_that_is_no_dashboard_is_refused_with_a_reason(browser: Browser, site: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "no.json"
    with person_at(browser, site.url, broken_network=True) as page:
        page.goto(f"{site.url}/dashboards")
        for content, reason in (("{", "no JSON"), ('{"title": ""}', "title")):
            file.write_text(content)
            page.get_by_test_id("dashboard-import").set_input_files(file)
            expect(page.get_by_role("alert")).to_contain_text(reason, timeout=SLOW_MS)


def test_from_the_explorer_to_a_dashboard_and_back(site: Fleet, page: Page) -> None:
    number = create(site, {"title": "Collected", "widgets": [a_text("one", 0, 0, "One")]})
    page.goto(f"{site.url}/metrics?metric=cpu_usage_ratio&combine=max&by=tag:role")
    page.get_by_test_id("add-to-dashboard").click()
    choose(page.get_by_label("Dashboard", exact=True), "Collected")
    page.get_by_test_id("dialog-action").click()
    page.get_by_role("link", name="Added to Collected").click(timeout=SLOW_MS)
    expect(page).to_have_url(f"{site.url}/dashboards/{number}")
    expect(widget(page, "chart-1").locator("canvas")).to_be_visible(timeout=SLOW_MS)
    widget(page, "chart-1").hover()
    widget(page, "chart-1").get_by_role("link", name="CPU usage in the explorer").click()
    expect(page).to_have_url(re.compile("metric=cpu_usage_ratio&combine=max&by=tag:role"))


def test_from_the_page_of_a_server_to_a_dashboard(site: Fleet, page: Page) -> None:
    number = create(site, {"title": "Of a server", "widgets": [a_text("one", 0, 0, "One")]})
    name = site.client.get("/api/servers").json()["servers"][0]["name"]
    page.goto(f"{site.url}/servers/1")
    page.get_by_test_id("add-to-dashboard").click(timeout=SLOW_MS)
    choose(page.get_by_label("Dashboard", exact=True), "Of a server")
    page.get_by_test_id("dialog-action").click()
    page.get_by_role("link", name="Added to Of a server").click(timeout=SLOW_MS)
    expect(widget(page, "chart-1").locator("canvas")).to_be_visible(timeout=SLOW_MS)
    source = site.client.get(f"/api/dashboards/{number}").json()["dashboard"]["widgets"][1]["config"]["source"]
    assert (source["metrics"][0], source["servers"]["names"]) == ("cpu_usage_ratio", [name])


def test_dashboards_take_turns_on_a_screen(site: Fleet, page: Page) -> None:
    first, second = (
        create(site, {"title": f"Turn {number}", "widgets": [a_text("one", 0, 0, "")]}) for number in (1, 2)
    )
    page.goto(f"{site.url}/dashboards/{first}?kiosk={first},{second}&every=5")
    for number, title in ((first, "Turn 1"), (second, "Turn 2"), (first, "Turn 1")):
        expect(page.get_by_role("heading", name=title)).to_be_visible(timeout=SLOW_MS)
        assert f"/dashboards/{number}?" in page.url
    # By hand, also while it stays.
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="Turn 2")).to_be_visible(timeout=SLOW_MS)
    page.keyboard.press("Escape")
    expect(page).to_have_url(f"{site.url}/dashboards/{second}")
    page.goto(f"{site.url}/dashboards")
    page.get_by_test_id("begin-kiosk").click()
    dialog = page.get_by_role("dialog")
    for box in dialog.get_by_role("checkbox").all():
        box.uncheck()
    dialog.get_by_label("Turn 2").check()
    page.get_by_test_id("dialog-action").click()
    expect(page).to_have_url(f"{site.url}/dashboards/{second}?kiosk={second}&every=30")
    page.get_by_role("button", name="End kiosk mode").click()
    expect(page.get_by_test_id("dashboard-edit")).to_be_visible(timeout=SLOW_MS)


def test_a_dashboard_is_saved_as_a_picture(site: Fleet, page: Page) -> None:
    begin(site, page, "linux-host")
    expect(widget(page, "cpu-over-time").locator("canvas")).to_be_visible(timeout=SLOW_MS)
    with page.expect_download(timeout=SLOW_MS) as download:
        page.get_by_test_id("dashboard-more").click()
        page.get_by_test_id("dashboard-picture").click()
    content = Path(download.value.path()).read_bytes()
    assert download.value.suggested_filename == "Linux-host.png"
    assert content.startswith(b"\x89PNG")
    width = page.get_by_test_id("dashboard-grid").bounding_box()
    assert width is not None
    # Twice as sharp as the screen.
    assert abs(int.from_bytes(content[16:20]) - 2 * width["width"]) <= 2


def test_it_refreshes_as_often_as_the_reader_says(site: Fleet, page: Page) -> None:
    begin(site, page, "linux-host")
    expect(page.get_by_test_id("dashboard-refresh")).to_have_value("live", timeout=SLOW_MS)
    page.get_by_test_id("dashboard-refresh").select_option("Every minute")
    expect(page).to_have_url(re.compile("refresh=1m"))
    page.reload()
    expect(page.get_by_test_id("dashboard-refresh")).to_have_value("1m", timeout=SLOW_MS)


def test_it_is_shared_with_one_user(browser: Browser, site: Fleet, page: Page) -> None:
    person = {"email": "only@bongsu.test", "name": "Only", "role": "viewer", "password": "a long enough secret"}
    site.client.post("/api/users", json=person).raise_for_status()
    number = create(site, {"title": "For one", "widgets": [a_text("one", 0, 0, "One")]})
    page.goto(f"{site.url}/dashboards/{number}")
    page.get_by_test_id("dashboard-more").click()
    page.get_by_role("button", name="Share", exact=True).click()
    choose(page.get_by_label("Also with"), "only@bongsu.test")
    page.get_by_label("Right of only@bongsu.test").select_option("changes it")
    page.get_by_test_id("dialog-action").click()
    expect(page.get_by_role("dialog")).to_have_count(0, timeout=SLOW_MS)
    users = site.client.get("/api/users").json()["users"]
    (only,) = [user["id"] for user in users if user["email"] == "only@bongsu.test"]
    assert site.client.get(f"/api/dashboards/{number}").json()["grants"] == [
        {"role": None, "user_id": only, "right": "change"}
    ]


def test_who_may_only_see_it_cannot_change_it(browser: Browser, site: Fleet) -> None:
    number = create(site, {"title": "Shared", "widgets": [a_text("one", 0, 0, "One")]})
    person = {"email": "viewer@bongsu.test", "name": "Vee", "role": "viewer", "password": "a long enough secret"}
    site.client.post("/api/users", json=person).raise_for_status()
    with httpx.Client(base_url=site.url) as viewer:
        login = {"email": person["email"], "password": person["password"]}
        token = viewer.post("/api/auth/login", json=login).raise_for_status().json()["access_token"]
        viewer.headers["Authorization"] = f"Bearer {token}"
        assert viewer.get(f"/api/dashboards/{number}").status_code == 404
        with person_at(browser, site.url) as page:
            page.goto(f"{site.url}/dashboards/{number}")
            page.get_by_test_id("dashboard-more").click()
            page.get_by_role("button", name="Share", exact=True).click()
            choose(page.get_by_label("Who"), "Everybody may see it")
            page.get_by_test_id("dialog-action").click()
            expect(page.get_by_role("dialog")).to_have_count(0, timeout=SLOW_MS)
        assert viewer.get(f"/api/dashboards/{number}").json()["right"] == "see"
    context = browser.new_context(locale="en-US")
    context.request.post(f"{site.url}/api/auth/login", data=login)
    page = context.new_page()
    page.goto(f"{site.url}/dashboards/{number}")
    expect(widget(page, "one")).to_be_visible(timeout=SLOW_MS)
    expect(page.get_by_test_id("dashboard-edit")).to_have_count(0)
    context.close()


def test_widgets_on_a_phone_are_one_below_the_other(browser: Browser, site: Fleet) -> None:
    number = create(
        site,
        {
            "title": "Phone",
            "widgets": [
                a_text("right", 6, 0, "R"),
                a_text("left", 0, 0, "L"),
                a_text("hidden", 0, 9, "H") | {"phone": {"y": 9, "h": 2, "hidden": True}},
            ],
        },
    )
    with person_at(browser, site.url, Look(360, 740)) as page:
        page.goto(f"{site.url}/dashboards/{number}")
        left, right = widget(page, "left"), widget(page, "right")
        expect(right).to_be_visible(timeout=SLOW_MS)
        boxes = left.bounding_box(), right.bounding_box()
        assert boxes[0]
        assert boxes[1]
        assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
        assert (boxes[0]["x"], boxes[0]["width"]) == (boxes[1]["x"], boxes[1]["width"])
        expect(widget(page, "hidden")).to_have_count(0)


def test_a_phone_has_a_layout_of_its_own(browser: Browser, site: Fleet) -> None:
    wide = [a_text("one", 0, 0, "One"), a_text("two", 4, 0, "Two"), a_text("three", 8, 0, "Three")]
    number = create(site, {"title": "Own", "widgets": wide})
    with person_at(browser, site.url, Look(360, 740)) as page:
        page.goto(f"{site.url}/dashboards/{number}")
        page.get_by_test_id("dashboard-edit").click()
        page.get_by_role("button", name="Move three up").click()
        page.get_by_role("button", name="Make one higher").click()
        page.get_by_role("button", name="Leave two out on phones").click()
        save(page)
        found = {one["id"]: (one["phone"], one["place"]) for one in stored(site, page)["dashboard"]["widgets"]}
        assert {name: phone for name, (phone, _) in found.items()} == {
            "one": {"y": 0, "h": 4, "hidden": False},
            "three": {"y": 1, "h": 3, "hidden": False},
            "two": {"y": 2, "h": 3, "hidden": True},
        }
        assert {name: place["x"] for name, (_, place) in found.items()} == {"one": 0, "two": 4, "three": 8}
        expect(widget(page, "two")).to_have_count(0)
        expect(widget(page, "three")).to_be_visible()
