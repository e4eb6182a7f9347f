"""PromQL in the explorer: written with completion, drawn, shared as a link, wrong, and made an alert of."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.fleet import Fleet, simulated_fleet
from tests.support.pages import SLOW_MS, Look, person_at, violations


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with simulated_fleet(tmp_path_factory.mktemp("promql"), 3) as fleet:
        yield fleet


@pytest.fixture
def page(browser: Browser, site: Fleet) -> Iterator[Page]:
    with person_at(browser, site.url, Look(1440, 900)) as page:
        yield page


def test_a_query_is_written_with_completion_and_drawn(site: Fleet, page: Page) -> None:
    page.goto(f"{site.url}/metrics")
    page.get_by_test_id("promql-add").click()
    field = page.get_by_test_id("promql-input")
    expect(field).to_be_focused(timeout=SLOW_MS)
    field.press_sequentially("max by (instance) (cpu_usage_r")
    expect(page.get_by_role("option", name="cpu_usage_ratio metric", exact=True)).to_be_visible(timeout=SLOW_MS)
    field.press("Tab")
    expect(field).to_have_value("max by (instance) (cpu_usage_ratio")
    field.press_sequentially(")")
    field.press("Enter")
    chart = page.get_by_test_id("promql-chart")
    expect(chart.locator("table tbody tr")).to_have_count(3, timeout=SLOW_MS)
    expect(chart.locator("canvas")).to_be_visible()
    names = sorted(server["name"] for server in site.client.get("/api/servers").json()["servers"])
    assert sorted(text.strip() for text in chart.locator("table tbody tr > :first-child").all_inner_texts()) == names
    assert violations(page) == []
    # The link shows the same.
    expect(page).to_have_url(re.compile("promql="))
    page.reload()
    expect(field).to_have_value("max by (instance) (cpu_usage_ratio)", timeout=SLOW_MS)
    expect(chart.locator("table tbody tr")).to_have_count(3, timeout=SLOW_MS)


def test_a_mistake_is_told_and_mended(browser: Browser, site: Fleet) -> None:
    # The browser itself tells of the answer 400.
    with person_at(browser, site.url, broken_network=True) as page:
        page.goto(f"{site.url}/metrics?promql=sum(cpu_usage_ratio")
        chart = page.get_by_test_id("promql-chart")
        expect(chart.get_by_role("alert")).to_contain_text("nclosed left parenthesis", timeout=SLOW_MS)
        field = page.get_by_test_id("promql-input")
        field.fill("sum(cpu_usage_ratio)")
        field.press("Enter")
        expect(chart.locator("table tbody tr")).to_have_count(1, timeout=SLOW_MS)
        expect(chart.get_by_role("alert")).to_have_count(0)


def test_an_alert_is_made_of_a_query(site: Fleet, page: Page) -> None:
    page.goto(f"{site.url}/metrics?promql=cpu_usage_ratio%20%3E%20-1")
    chart = page.get_by_test_id("promql-chart")
    expect(chart.locator("canvas")).to_be_visible(timeout=SLOW_MS)
    chart.get_by_role("link", name="Make an alert of this").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Query")).to_have_value("cpu_usage_ratio > -1", timeout=SLOW_MS)
    expect(dialog.get_by_test_id("rule-condition")).to_have_text("cpu_usage_ratio > -1")
    dialog.get_by_label("Name", exact=True).fill("Always")
    dialog.get_by_label("Must hold for").fill("0s")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0, timeout=SLOW_MS)
    (stored,) = [
        rule
        for rule in site.client.get("/api/alerts/rules").json()["rules"]
        if rule["rule"]["condition"]["type"] == "promql"
    ]
    assert stored["rule"]["condition"]["query"] == "cpu_usage_ratio > -1"
    expect(page.get_by_text("cpu_usage_ratio > -1").first).to_be_visible(timeout=SLOW_MS)


def test_it_fits_on_a_phone(browser: Browser, site: Fleet) -> None:
    with person_at(browser, site.url, Look(390, 844)) as page:
        page.goto(f"{site.url}/metrics?promql=sum%20by%20(instance)%20(rate(network_receive_bytes_total[5m]))")
        expect(page.get_by_test_id("promql-chart").locator("canvas")).to_be_visible(timeout=SLOW_MS)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
