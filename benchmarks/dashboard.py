"""The dashboard in a real Chromium, with a simulated fleet: first load, overview, chart, and change of page.

Starts an API server and ``bongsu simulate`` on core 0; Chromium may use both. Figures of time are those of the page's
own clock. Nothing is throttled; the browser's cache is empty for the first load of each page.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Route

from benchmarks.access import ENVIRONMENT
from benchmarks.fleet import wait_for_fleet
from benchmarks.ingest import SERVER_CORE, running_server
from benchmarks.report import parser, report
from benchmarks.screen import EMAIL, PASSWORD, admin, chromium

PATIENCE_MS = 60_000
# A chart of 100,000 points.
LINES, POINTS = 100, 1_000
ROUTE_CHANGES = 20
# What web.dev calls the vitals, and when rows of the fleet were first on the screen.
OBSERVE = """() => {
  const seen = window.seen = { lcp: 0, cls: 0, blocked: 0, rows: 0 }
  const observe = (type, note) =>
    new PerformanceObserver(list => list.getEntries().forEach(note)).observe({ type, buffered: true })
  observe('largest-contentful-paint', (entry) => { seen.lcp = entry.startTime })
  observe('layout-shift', (entry) => { if (!entry.hadRecentInput) seen.cls += entry.value })
  observe('longtask', (entry) => { seen.blocked += Math.max(0, entry.duration - 50) })
  const look = () => requestAnimationFrame(() => {
    if (!document.querySelector('[data-testid=fleet] tr.row')) return look()
    requestAnimationFrame(() => { seen.rows = performance.now() })
  })
  look()
}"""
# From the click until the heading of the other page is painted.
CHANGE = """name => new Promise((resolve) => {
  const began = performance.now()
  const look = () => requestAnimationFrame(() => {
    if (document.querySelector('main h1')?.textContent.trim() !== name) return look()
    requestAnimationFrame(() => resolve(performance.now() - began))
  })
  document.querySelector(`nav a[href="${name === 'Metrics' ? '/metrics' : '/alerts'}"]`).click()
  look()
})"""
# Hides a line of the chart, and waits until all is drawn again.
REDRAW = """() => new Promise((resolve) => {
  const began = performance.now()
  document.querySelector('[data-testid=explorer-chart] tbody button').click()
  requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)))
})"""


def context_of(browser: Browser, url: str, *, logged_in: bool = True) -> BrowserContext:
    """An empty cache; without the service worker, whose requests would count twice."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1440, "height": 900}, service_workers="block")
    if logged_in:
        context.request.post(f"{url}/api/auth/login", data={"email": EMAIL, "password": PASSWORD})
    return context


def first_load(browser: Browser, url: str, path: str, ready: str, *, logged_in: bool = True) -> dict[str, float]:
    """KB of JavaScript as sent, and the vitals, of a page that is opened for the first time."""
    context = context_of(browser, url, logged_in=logged_in)
    page = context.new_page()
    page.add_init_script(f"({OBSERVE})()")
    sizes: list[int] = []

    def count(request: Any) -> None:
        if request.url.partition("?")[0].endswith(".js"):
            sizes.append(request.sizes()["responseBodySize"])

    page.on("requestfinished", count)
    page.goto(url + path)
    page.locator(ready).first.wait_for(timeout=PATIENCE_MS)
    page.wait_for_load_state("networkidle") if not logged_in else page.wait_for_timeout(3_000)
    seen = page.evaluate("() => window.seen")
    context.close()
    return {"js_kb": sum(sizes) / 1024, "lcp_ms": seen["lcp"], "cls": seen["cls"], "blocked_ms": seen["blocked"]}


def until(page: Page, condition: str) -> None:
    """Asks from outside: in the page, the content security policy forbids to evaluate text."""
    deadline = time.monotonic() + PATIENCE_MS / 1_000
    while not page.evaluate(condition):
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited in vain for {condition}")
        page.wait_for_timeout(50)


def overview(page: Page, url: str) -> dict[str, float]:
    """When the overview was there: after the navigation began, and after the answer with the list of all servers."""
    page.goto(url)
    until(page, "window.seen.rows > 0")
    seen: dict[str, float] = page.evaluate("() => window.seen")
    data: float = page.evaluate(
        r"() => performance.getEntriesByType('resource').find(e => /.api.servers(\?|$)/.test(e.name)).responseEnd"
    )
    return {"overview_after_navigation_ms": seen["rows"], "overview_after_data_ms": seen["rows"] - data}


def cpu_cores(session: CDPSession, wait: Callable[[float], None], seconds: float) -> float:
    """What all processes of the browser take."""

    def total() -> float:
        return sum(process["cpuTime"] for process in session.send("SystemInfo.getProcessInfo")["processInfo"])

    before, began = total(), time.perf_counter()
    wait(seconds * 1_000)
    return float((total() - before) / (time.perf_counter() - began))


def chart(page: Page, url: str) -> dict[str, float]:
    """100,000 points: from their arrival until they are drawn, and drawn again."""
    now_ms = round(time.time() * 1000)
    step_ms = 10_000
    times = [now_ms - step_ms * (POINTS - index) for index in range(POINTS)]
    random = np.random.default_rng(7)
    series = [
        {
            "server_id": None,
            "metric": "bench",
            "labels": {"line": f"{line:03}"},
            "unit": "ratio",
            "kind": "gauge",
            "aggregation": "avg",
            "members": 1,
            "times": times,
            "min": None,
            "max": None,
            # Like the usage of a CPU: it wanders.
            "values": np.round(np.clip(0.4 + np.cumsum(random.normal(0, 0.01, POINTS)), 0, 1), 4).tolist(),
        }
        for line in range(LINES)
    ]
    answer = {
        "start_ms": times[0],
        "end_ms": now_ms,
        "resolution": "raw",
        "step_ms": None,
        "missing": [],
        "next": None,
        "series": series,
    }

    def fulfil(route: Route) -> None:
        route.fulfill(json=answer)

    page.route("**/api/metrics/history*", fulfil)
    page.add_init_script(
        """window.canvasAt = 0
        const wait = () => {
          if (document.querySelector('[data-testid=explorer-chart] canvas')) {
            requestAnimationFrame(() => setTimeout(() => { window.canvasAt = performance.now() }))
          }
          else requestAnimationFrame(wait)
        }
        wait()"""
    )
    page.goto(f"{url}/metrics?metric=bench&range=6h")
    until(page, "window.canvasAt > 0")
    arrived: float = page.evaluate(
        "() => performance.getEntriesByType('resource').find(e => e.name.includes('/metrics/history')).responseEnd"
    )
    first: float = page.evaluate("() => window.canvasAt") - arrived
    page.get_by_role("button", name="Pause updates").click()
    redraws = [page.evaluate(REDRAW) for _ in range(10)]
    page.unroute("**/api/metrics/history*")
    return {"chart_from_answer_ms": first, "chart_redraw_p50_ms": float(np.median(redraws))}


def changes(page: Page, url: str) -> dict[str, float]:
    """From one page to another and back; the first time loads their code."""
    page.goto(f"{url}/alerts")
    page.get_by_role("heading", name="Alerts", exact=True).first.wait_for()
    found = [page.evaluate(CHANGE, "Metrics" if number % 2 == 0 else "Alerts") for number in range(ROUTE_CHANGES)]
    return {
        "route_change_first_ms": found[0],
        "route_change_p50_ms": float(np.median(found[2:])),
        "route_change_longest_ms": max(found[2:]),
    }


def measure(servers: int, seconds: float) -> dict[str, float]:
    """One run on an empty database."""
    os.environ |= ENVIRONMENT | {
        "BONGSU_ADMIN_EMAIL": EMAIL,
        "BONGSU_ADMIN_PASSWORD": PASSWORD,
        # All servers enrol from one address.
        "BONGSU_RATE_LIMITS__LOGIN": "1000000/minute",
    }
    with tempfile.TemporaryDirectory(prefix="bongsu-bench-") as name:
        folder = Path(name)
        with running_server(folder) as (port, _), admin(port) as site, chromium() as browser:
            url = f"http://127.0.0.1:{port}"
            results: dict[str, float] = {}
            unlimited = {"name": "bench", "uses": 0}
            token = site.post("/api/enrolment-tokens", json=unlimited).raise_for_status().json()["token"]
            login = first_load(browser, url, "/login", "input[type=password]", logged_in=False)
            words = ["simulate", "--servers", str(servers), "--interval", "10s", "--url", url]
            fleet = subprocess.Popen(
                [sys.executable, "-m", "bongsu.cli", *words, "--data-dir", str(folder / "fleet")],
                env=os.environ | {"BONGSU_SIMULATE_ENROLMENT_TOKEN": token},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),
            )
            try:
                wait_for_fleet(site, servers)
                loads = {"login": login}
                loads["home"] = first_load(browser, url, "/", "[data-testid=fleet] tr.row")
                loads["server"] = first_load(browser, url, "/servers/1", "[data-testid=history-chart] canvas")
                for page_name, load in loads.items():
                    results |= {f"{page_name}_{figure}": value for figure, value in load.items()}
                context = context_of(browser, url)
                page = context.new_page()
                page.add_init_script(f"({OBSERVE})()")
                # The second time, with the code in the cache, as on every other day.
                page.goto(url)
                page.locator("[data-testid=fleet] tr.row").first.wait_for(timeout=PATIENCE_MS)
                results |= overview(page, url)
                session = browser.new_browser_cdp_session()
                results["overview_live_cores"] = cpu_cores(session, page.wait_for_timeout, seconds)
                page.goto(f"{url}/?view=tiles")
                page.locator("[data-testid=fleet-tiles] a").first.wait_for(timeout=PATIENCE_MS)
                results["heat_map_live_cores"] = cpu_cores(session, page.wait_for_timeout, seconds)
                results |= changes(page, url)
                results |= chart(page, url)
                context.close()
            finally:
                fleet.terminate()
                fleet.wait(60)
    return {"servers": float(servers)} | results


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--servers", type=int, default=1_000)
    arguments.add_argument("--seconds", type=float, default=30, help="how long the CPU is measured for")
    options = arguments.parse_args()
    report("dashboard", measure(options.servers, options.seconds), as_json=options.json)


if __name__ == "__main__":
    main()
