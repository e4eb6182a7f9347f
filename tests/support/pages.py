"""Pages of the dashboard in a real Chromium."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.processes import ADMIN, PASSWORD
from tests.support.repository import REPOSITORY

AXE = REPOSITORY / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# Much more than anything should take, for very slow machines.
SLOW_MS = 60_000


@dataclass(frozen=True)
class Look:
    """How somebody looks at the dashboard."""

    width: int = 1280
    height: int = 800
    theme: Literal["light", "dark"] = "light"
    locale: str = "en-US"


@contextlib.contextmanager
def person_at(browser: Browser, url: str, look: Look = Look(), *, broken_network: bool = False) -> Iterator[Page]:
    """A page of somebody who is logged in at ``url``, that fails the test on an error in its console, unless the network
    breaks on purpose."""
    context = browser.new_context(
        locale=look.locale, viewport={"width": look.width, "height": look.height}, color_scheme=look.theme
    )
    answer = context.request.post(f"{url}/api/auth/login", data={"email": ADMIN, "password": PASSWORD})
    assert answer.ok, answer.text()
    page = context.new_page()
    errors = watch(page)
    yield page
    context.close()
    assert broken_network or not errors, errors


def watch(page: Page) -> list[str]:
    """What goes wrong on a page from now on: errors, breaches of the content security policy, requests elsewhere."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda message: errors.append(f"{message.text} {message.location}") if message.type == "error" else None,
    )
    page.on("request", lambda request: errors.append(request.url) if _foreign(request.url) else None)
    return errors


def _foreign(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "data:", "blob:"))


def violations(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 AA."""
    page.evaluate(AXE.read_text())
    tags = {"type": "tag", "values": WCAG}
    found: list[dict[str, Any]] = page.evaluate("tags => axe.run({ runOnly: tags }).then(r => r.violations)", tags)
    return [f"{rule['id']}: {node['html'][:300]}" for rule in found for node in rule["nodes"]]


def choose(field: Locator, option: str) -> None:
    """Chooses an option of a form's select, by its text."""
    field.click()
    field.page.get_by_role("option", name=option, exact=True).click()


def connection(page: Page, word: str) -> None:
    """Waits until the page says this of its connection."""
    expect(page.get_by_test_id("connection")).to_contain_text(word, timeout=SLOW_MS)


def shows(page: Page, percent: int) -> None:
    """Waits until the page shows this CPU usage."""
    expect(page.get_by_test_id("cpu-value")).to_contain_text(str(percent), timeout=SLOW_MS)


def table_of(page: Page) -> list[str]:
    """The CPU usage in the table of the history, newest first."""
    page.get_by_role("button", name="Table").click()
    rows = page.locator(".history-table tbody:not(.summary) tr td:first-of-type")
    expect(rows.first).to_be_visible(timeout=SLOW_MS)
    return [text.strip() for text in rows.all_inner_texts()]


def loaded(page: Page) -> None:
    """Waits until a page has its heading and all of its content."""
    expect(page.locator("h1").first).to_be_visible(timeout=SLOW_MS)
    expect(page.locator(".skeleton")).to_have_count(0, timeout=SLOW_MS)
