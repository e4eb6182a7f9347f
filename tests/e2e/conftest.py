"""A real Bongsu (API server, worker, agent) and a real Chromium."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, StorageState, sync_playwright

from tests.support.pages import watch
from tests.support.processes import ADMIN, PASSWORD, bongsu, free_port, wait_for

# Debian's, then what `npx playwright install chromium` brings.
SYSTEM_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# No sandbox: CI runs as root. The others keep Chromium from calling home.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, whichever is there."""
    found = next((path for name in SYSTEM_BROWSERS if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        executable = found or playwright.chromium.executable_path
        if not Path(executable).exists():
            pytest.fail("No Chromium: apt-get install chromium, or .venv/bin/playwright install chromium")
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def running_bongsu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Bongsu that watches this machine every second."""
    port = free_port()
    data = tmp_path_factory.mktemp("data")
    with bongsu("up", "--port", str(port), "--data-dir", str(data), "--interval", "1s") as process:
        assert process.stdout is not None
        stdout = process.stdout
        wait_for(lambda: "Ctrl-C stops it." in stdout.readline() or process.poll() is not None, "bongsu up")
        assert process.poll() is None, stdout.read()
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="session")
def login_state(browser: Browser, running_bongsu: str) -> Callable[[], StorageState]:
    """Cookies of a new login, for one browser context: a refresh token works in one page only."""

    def log_in() -> StorageState:
        context = browser.new_context()
        answer = context.request.post(f"{running_bongsu}/api/auth/login", data={"email": ADMIN, "password": PASSWORD})
        assert answer.ok, answer.text()
        state = context.storage_state()
        context.close()
        return state

    return log_in


@pytest.fixture
def page(browser: Browser, login_state: Callable[[], StorageState]) -> Iterator[Page]:
    """A page of somebody who is logged in, that fails the test on an error in its console or a request to anywhere but Bongsu."""
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 800}, storage_state=login_state())
    page = context.new_page()
    errors = watch(page)
    yield page
    context.close()
    assert errors == []
