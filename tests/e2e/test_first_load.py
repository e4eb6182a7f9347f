"""How much JavaScript a browser loads before somebody does anything."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Request, expect

from tests.support.fleet import Fleet, simulated_fleet
from tests.support.pages import SLOW_MS
from tests.support.processes import ADMIN, PASSWORD

MOST_KB = 250
# What a page loads by itself when it has time is part of its first load.
IDLE_MS = 2_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with simulated_fleet(tmp_path_factory.mktemp("fleet"), 2) as fleet:
        yield fleet


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Nothing in its cache; without the service worker, whose requests would count twice."""
    # In Korean, whose texts take the most of the languages that are reviewed.
    context = browser.new_context(locale="ko-KR", service_workers="block")
    yield context
    context.close()


def scripts(context: BrowserContext, url: str, ready: str) -> dict[str, int]:
    """Bytes of each script as sent, by path, of a page that is opened for the first time."""
    page = context.new_page()
    sizes: dict[str, int] = {}

    def note(request: Request) -> None:
        if (path := request.url.partition("?")[0]).endswith(".js"):
            sizes[path] = sizes.get(path, 0) + request.sizes()["responseBodySize"]

    page.on("requestfinished", note)
    page.goto(url)
    expect(page.locator(ready).first).to_be_visible(timeout=SLOW_MS)
    page.wait_for_timeout(IDLE_MS)
    return sizes


@pytest.mark.parametrize(
    ("path", "ready"),
    [
        pytest.param("/login", "input[type=password]", id="login"),
        pytest.param("/", "[data-testid=fleet] tr.row", id="fleet"),
        pytest.param("/servers/1", "[data-testid=history-chart] canvas", id="server"),
    ],
)
def test_a_page_loads_little_javascript(site: Fleet, context: BrowserContext, path: str, ready: str) -> None:
    if path != "/login":
        context.request.post(f"{site.url}/api/auth/login", data={"email": ADMIN, "password": PASSWORD})
    sizes = scripts(context, site.url + path, ready)
    assert len(sizes) > 5
    assert sum(sizes.values()) / 1024 <= MOST_KB, sorted(sizes.items(), key=lambda item: -item[1])
