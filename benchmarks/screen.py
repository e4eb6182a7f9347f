"""From the POST of an agent to the eye: how long until a value is on the screen of a real Chromium.

Starts an API server, opens the dashboard, and pushes a frame with another CPU usage every second. The page itself notes
when the number changes, by the same clock.
"""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks import ingest
from benchmarks.report import parser, report
from bongsu.core.samples import AgentIdentity, Frame, Push, pack
from bongsu.core.series import Kind, Layout, Series
from bongsu.wire import protobuf

AGENT = "agent-screen"
EMAIL, PASSWORD = "bench@bongsu.test", "a long enough secret"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Each has a percentage of its own.
MOST_PUSHES = 80
LAYOUT = Layout.of((Series("cpu_usage_ratio", (), "ratio", Kind.GAUGE),))
# Notes the time of every change of the number, in ms since the epoch.
WATCH = """() => {
  const shown = document.querySelector('[data-testid="cpu-value"]')
  window.changes = []
  new MutationObserver(() => window.changes.push([shown.textContent, performance.timeOrigin + performance.now()]))
    .observe(shown, { subtree: true, characterData: true, childList: true })
}"""


def enrol(site: httpx.Client) -> str:
    """Enrols the agent. Returns its token."""
    enrolment = site.post("/api/enrolment-tokens", json={"name": "bench"}).raise_for_status().json()["token"]
    answer = site.post(
        "/api/agents/enrol",
        json={"agent_id": AGENT, "name": AGENT},
        headers={"Authorization": f"Bearer {enrolment}"},
    )
    token: str = answer.raise_for_status().json()["token"]
    return token


def push(site: httpx.Client, token: str, percent: int) -> float:
    """Pushes a frame with this CPU usage. Returns when it was sent, in ms since the epoch."""
    frame = Frame(LAYOUT.id, time.time_ns() // 1_000_000, pack([percent / 100]))
    push = Push(AgentIdentity(AGENT, AGENT, "1", 1_000), None, [LAYOUT], [frame])
    headers = {"Authorization": f"Bearer {token}", "Content-Type": protobuf.CONTENT_TYPE}
    body, began = protobuf.encode_push(push), time.time() * 1000
    site.post("/api/metrics", content=body, headers=headers).raise_for_status()
    return began


def changes(page: Page, sent: dict[int, float]) -> dict[int, float]:
    """When a page showed each percentage that was sent, in ms since the epoch."""
    found: dict[int, float] = {}
    for text, at in page.evaluate("() => window.changes"):
        percent = int(float("".join(character for character in text if character in "0123456789.") or 0))
        if percent in sent:
            found.setdefault(percent, at)
    if missing := sent.keys() - found.keys():
        raise RuntimeError(f"{len(missing)} values never came to the screen")
    return found


def open_page(browser: Browser, url: str) -> Page:
    """The live page of the one server, which notes every change of its CPU usage."""
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 800})
    context.request.post(f"{url}/api/auth/login", data={"email": EMAIL, "password": PASSWORD})
    page = context.new_page()
    page.goto(url)
    page.get_by_test_id("cpu-value").wait_for()
    page.get_by_test_id("connection").get_by_text("Live").wait_for()
    page.evaluate(WATCH)
    return page


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A real browser."""
    executable = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@contextlib.contextmanager
def admin(port: int) -> Iterator[httpx.Client]:
    """A client that is logged in."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as site:
        login = site.post("/api/auth/login", json={"email": EMAIL, "password": PASSWORD}).raise_for_status()
        site.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        yield site


def push_each_second(page: Page, site: httpx.Client, token: str, pushes: int) -> dict[int, float]:
    """Pushes another CPU usage each second. Returns when each percentage was sent, in ms since the epoch."""
    sent = {}
    for number in range(min(pushes, MOST_PUSHES)):
        percent = 10 + number
        sent[percent] = push(site, token, percent)
        page.wait_for_timeout(1_000)
    return sent


def measure(pushes: int) -> dict[str, float]:
    """Latencies from the POST to the screen."""
    os.environ |= {"BONGSU_ADMIN_EMAIL": EMAIL, "BONGSU_ADMIN_PASSWORD": PASSWORD}
    with (
        tempfile.TemporaryDirectory(prefix="bongsu-bench-") as folder,
        ingest.running_server(Path(folder)) as (port, _),
        admin(port) as site,
        chromium() as browser,
    ):
        token = enrol(site)
        push(site, token, 1)
        page = open_page(browser, f"http://127.0.0.1:{port}")
        sent = push_each_second(page, site, token, pushes)
        shown = changes(page, sent)
    found = [shown[percent] - sent[percent] for percent in sent]
    return {
        "post_to_screen_p50_ms": float(np.percentile(found, 50)),
        "post_to_screen_p99_ms": float(np.percentile(found, 99)),
        "post_to_screen_longest_ms": max(found),
        "pushes": float(len(found)),
    }


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--pushes", type=int, default=60, help=f"at most {MOST_PUSHES}")
    options = arguments.parse_args()
    report("screen", measure(options.pushes), as_json=options.json)


if __name__ == "__main__":
    main()
