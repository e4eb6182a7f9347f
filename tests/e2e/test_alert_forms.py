"""The forms of alerts in a real Chromium: rules, channels, silences."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.fleet import Fleet, simulated_fleet
from tests.support.pages import SLOW_MS, Look, choose, loaded, person_at, violations
from tests.support.processes import free_port

SERVERS = 12


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with simulated_fleet(tmp_path_factory.mktemp("forms"), SERVERS) as fleet:
        yield fleet


@pytest.fixture
def page(browser: Browser, site: Fleet) -> Iterator[Page]:
    with person_at(browser, site.url, Look(1440, 900, "light", "en-GB")) as page:
        yield page


def test_a_chart_becomes_a_rule_that_is_previewed_before_it_is_saved(site: Fleet, page: Page) -> None:
    page.goto(f"{site.url}/metrics?metric=cpu_usage_ratio&range=15m")
    page.get_by_test_id("explorer-chart").get_by_role("link", name="Make an alert of this").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Metric")).to_have_value("cpu_usage_ratio", timeout=SLOW_MS)
    preview = dialog.get_by_test_id("rule-preview")
    expect(preview).to_contain_text("Choose a metric and a threshold")
    dialog.get_by_label("Name").fill("Always")
    dialog.get_by_label("Threshold", exact=True).fill("-1")
    dialog.get_by_label("Window").fill("1m")
    dialog.get_by_label("Must hold for").fill("0s")
    expect(preview).to_contain_text(f"It covers {SERVERS} series.", timeout=SLOW_MS)
    expect(dialog.get_by_test_id("rule-condition")).to_have_text("avg(cpu_usage_ratio, 1m) > -1")
    assert violations(page) == []
    dialog.get_by_test_id("dialog-action").click()
    row = page.locator("main li", has_text="Always")
    expect(row).to_contain_text("avg(cpu_usage_ratio, 1m) > -1", timeout=SLOW_MS)
    row.get_by_role("button", name="Disable").click()
    expect(row).to_contain_text("Disabled", timeout=SLOW_MS)
    row.get_by_role("button", name="Edit").click()
    choose(dialog.get_by_label("Condition", exact=True), "Other (JSON)")
    dialog.get_by_role("textbox", name="Condition").fill('{"type": ')
    dialog.get_by_test_id("dialog-action").click()
    expect(dialog.get_by_role("alert")).to_contain_text("not valid JSON", timeout=SLOW_MS)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete Always").click()
    dialog.get_by_test_id("dialog-action").click()
    expect(row).to_have_count(0, timeout=SLOW_MS)


def test_a_rule_with_mistakes_is_not_sent(site: Fleet, page: Page) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method) if request.url.endswith("/alerts/rules") else None)
    page.goto(f"{site.url}/alerts/rules")
    loaded(page)
    page.get_by_test_id("add-rule").click()
    dialog = page.get_by_role("dialog")
    name, held = dialog.get_by_label("Name"), dialog.get_by_label("Must hold for")
    choose(dialog.get_by_label("Condition", exact=True), "The server is down")
    held.fill("5 apples")
    held.press("Enter")
    expect(name).to_be_focused()
    expect(name).to_have_accessible_description("Needs a value")
    expect(held).to_have_accessible_description("Not a duration, such as 30s, 5m or 2h")
    expect(dialog.get_by_role("alert")).to_have_count(2)
    assert violations(page) == []
    assert "POST" not in sent
    # Escape closes the popup of a select, and not the dialog.
    dialog.get_by_label("Severity").press("Enter")
    expect(page.get_by_role("option", name="critical")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("option")).to_have_count(0)
    expect(dialog.get_by_label("Severity")).to_be_focused()
    name.fill("Gone")
    held.fill("5m")
    dialog.get_by_test_id("dialog-action").click()
    row = page.locator("main li", has_text="Gone")
    expect(row).to_contain_text("server down", timeout=SLOW_MS)
    assert "POST" in sent
    page.get_by_role("button", name="Delete Gone").click()
    dialog.get_by_test_id("dialog-action").click()
    expect(row).to_have_count(0, timeout=SLOW_MS)


def test_a_channel_is_added_tested_and_changed(site: Fleet, page: Page) -> None:
    page.goto(f"{site.url}/alerts/channels")
    loaded(page)
    expect(page.get_by_text("nobody is told of an alert")).to_be_visible()
    page.get_by_test_id("add-channel").click()
    dialog = page.get_by_role("dialog")
    choose(dialog.get_by_label("Type"), "Webhook")
    dialog.get_by_label("Name").fill("Pager")
    # Nothing listens there.
    dialog.get_by_label("URL", exact=True).fill(f"http://127.0.0.1:{free_port()}/hook")
    assert violations(page) == []
    dialog.get_by_test_id("dialog-action").click()
    row = page.locator("main li", has_text="Pager")
    expect(row).to_contain_text("Default", timeout=SLOW_MS)
    row.get_by_role("button", name="Send test").click()
    expect(row.get_by_test_id("channel-test")).to_have_class(re.compile("state-critical"), timeout=SLOW_MS)
    row.get_by_role("button", name="Edit").click()
    expect(dialog).to_contain_text("Set. Leave empty to keep it.")
    dialog.get_by_label("Name").fill("On call")
    dialog.get_by_test_id("dialog-action").click()
    expect(page.locator("main li", has_text="On call")).to_be_visible(timeout=SLOW_MS)
    (channel,) = site.client.get("/api/alerts/channels").raise_for_status().json()["channels"]
    assert (channel["channel"]["name"], channel["channel"]["type"], channel["secrets"]) == (
        "On call",
        "webhook",
        ["url"],
    )
    page.get_by_role("button", name="Delete On call").click()
    dialog.get_by_test_id("dialog-action").click()
    expect(page.locator("main li")).to_have_count(0, timeout=SLOW_MS)
    expect(page.get_by_text("There is no default channel")).to_be_visible()


def test_a_silence_of_every_week_is_added_and_deleted(site: Fleet, page: Page) -> None:
    page.goto(f"{site.url}/alerts/silences")
    loaded(page)
    page.get_by_test_id("add-silence").click()
    dialog = page.get_by_role("dialog")
    choose(dialog.get_by_label("Reason"), "Maintenance")
    dialog.get_by_label("Servers", exact=True).fill("db-*")
    choose(dialog.get_by_label("When"), "Every week")
    dialog.get_by_text("Mon", exact=True).click()
    dialog.get_by_label("Time zone").fill("Asia/Seoul")
    dialog.get_by_label("Comment").fill("Backup")
    assert violations(page) == []
    dialog.get_by_test_id("dialog-action").click()
    row = page.locator("main li", has_text="Backup")
    expect(row).to_contain_text("Tue, Wed, Thu, Fri, Sat, Sun at 02:00 for 2h (Asia/Seoul)", timeout=SLOW_MS)
    expect(row).to_contain_text("db-*")
    row.get_by_role("button", name="Delete this silence").click()
    dialog.get_by_test_id("dialog-action").click()
    expect(page.locator("main li")).to_have_count(0, timeout=SLOW_MS)
    assert site.client.get("/api/alerts/silences").raise_for_status().json()["silences"] == []
