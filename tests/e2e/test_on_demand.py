"""Parts of the dashboard whose code is loaded when somebody asks for them: nothing is lost on the way, and failures are told."""

import re

from playwright.sync_api import Browser, Page, Route, expect

from tests.support.pages import SLOW_MS, Look, person_at

CODE = re.compile(r"/_nuxt/.*\.js")


def opened(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.get_by_test_id("history-chart").locator("canvas")).to_be_visible(timeout=SLOW_MS)


def test_what_is_typed_before_the_palette_is_there_is_not_lost(browser: Browser, running_bongsu: str) -> None:
    with person_at(browser, running_bongsu) as page:
        opened(page, running_bongsu)
        held: list[Route] = []
        page.route(CODE, lambda route: held.append(route))
        page.keyboard.press("Control+k")
        page.keyboard.type("disk")
        assert held, "the palette is part of the first load"
        expect(page.get_by_test_id("palette")).to_have_count(0)
        for route in held:
            route.continue_()
        page.unroute(CODE)
        search = page.get_by_test_id("palette").get_by_role("combobox")
        expect(search).to_be_focused(timeout=SLOW_MS)
        page.keyboard.type("_re")
        expect(search).to_have_value("disk_re")
        page.keyboard.press("Escape")
        page.keyboard.press("Control+k")
        expect(search).to_have_value("")


def test_code_that_cannot_be_loaded_is_told_and_asked_for_again(browser: Browser, running_bongsu: str) -> None:
    with person_at(browser, running_bongsu, Look(360, 740), broken_network=True) as page:
        opened(page, running_bongsu)
        page.route(CODE, lambda route: route.abort())
        notice = page.get_by_test_id("missing-code")
        page.keyboard.press("Shift+?")
        expect(notice).to_contain_text("could not be loaded", timeout=SLOW_MS)
        expect(notice).to_be_in_viewport(ratio=1)
        page.unroute(CODE)
        page.keyboard.press("Control+k")
        expect(page.get_by_test_id("palette").get_by_role("combobox")).to_be_focused(timeout=SLOW_MS)
        page.keyboard.press("Escape")
        notice.get_by_role("button", name="Reload the page").click()
        expect(page.get_by_test_id("history-chart").locator("canvas")).to_be_visible(timeout=SLOW_MS)
        expect(notice).to_have_count(0)
