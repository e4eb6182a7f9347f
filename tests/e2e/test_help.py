"""The help pages in a browser: their policy lets everything run, and the search works without a network."""

import re

import pytest
from playwright.sync_api import Page, expect

SLOW_MS = 30_000


@pytest.mark.parametrize(
    ("language", "path", "title"),
    [
        pytest.param("en", "/help/", "Bongsu", id="English"),
        pytest.param("ko", "/help/ko/", "봉수", id="Korean"),
        pytest.param("de", "/help/", "Bongsu", id="a language without help of its own: English"),
    ],
)
def test_the_account_menu_leads_to_the_help_in_the_language_of_the_page(
    page: Page, running_bongsu: str, language: str, path: str, title: str
) -> None:
    page.context.add_cookies([{"name": "bongsu_language", "value": language, "url": running_bongsu}])
    page.goto(running_bongsu)
    page.get_by_test_id("account-menu").click(timeout=SLOW_MS)
    with page.context.expect_page() as opened:
        page.get_by_test_id("help").click()
    expect(opened.value).to_have_url(f"{running_bongsu}{path}")
    expect(opened.value.get_by_role("heading", level=1)).to_contain_text(title)


@pytest.mark.parametrize(
    ("path", "question", "answer"),
    [
        pytest.param("", "certificate", "Troubleshooting", id="English"),
        pytest.param("ko/", "서버가 응답하지 않습니다", "문제 해결", id="Korean, words with particles and endings"),
        pytest.param("ko/", "API서버", "문제 해결", id="both without a space"),
        pytest.param("ko/", "STARTTLS", "Alerts", id="Korean help, a document in English"),
    ],
)
def test_the_search_finds(page: Page, running_bongsu: str, path: str, question: str, answer: str) -> None:
    page.goto(f"{running_bongsu}/help/{path}")
    search = page.locator("input[name=q]").first
    search.fill(question)
    search.press("Enter")
    results = page.locator("#search-results li a")
    expect(results.filter(has_text=answer).first).to_be_visible(timeout=SLOW_MS)


@pytest.mark.parametrize(("start", "link", "path"), [("", "한국어", "ko/"), ("ko/", "English", "")])
def test_a_page_leads_to_itself_in_the_other_language(
    page: Page, running_bongsu: str, start: str, link: str, path: str
) -> None:
    page.goto(f"{running_bongsu}/help/{start}troubleshooting.html")
    page.get_by_role("link", name=link, exact=True).click()
    expect(page).to_have_url(re.compile(f"/help/{path}troubleshooting.html$"))


def test_the_help_remembers_the_dark_theme(page: Page, running_bongsu: str) -> None:
    page.goto(f"{running_bongsu}/help/")
    body = page.locator("body")
    expect(body).to_have_attribute("data-theme", "auto")
    button = page.locator("button.theme-toggle:visible").first
    button.click()
    chosen = body.get_attribute("data-theme")
    assert chosen != "auto"
    page.goto(f"{running_bongsu}/help/admin.html")
    expect(body).to_have_attribute("data-theme", str(chosen))
