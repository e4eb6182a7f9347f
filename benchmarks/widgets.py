"""Dashboards in a real Chromium: 40 widgets that are live, a widget that is dragged among them, 20 widgets over a day.

Starts an API server and ``bongsu simulate`` (every second, with a day of history) on core 0; Chromium may use both.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
from playwright.sync_api import Page

from benchmarks.access import ENVIRONMENT
from benchmarks.dashboard import PATIENCE_MS, context_of, cpu_cores, until
from benchmarks.fleet import wait_for_fleet
from benchmarks.ingest import SERVER_CORE, running_server
from benchmarks.report import parser, report
from benchmarks.screen import EMAIL, PASSWORD, admin, chromium

LIVE, OF_A_DAY = 40, 20
HISTORY = "24h"
GAUGES = ("cpu_usage_ratio", "memory_usage_ratio", "load_1m", "swap_usage_ratio")
COUNTERS = (
    "network_receive_bytes_total",
    "network_transmit_bytes_total",
    "disk_read_bytes_total",
    "disk_write_bytes_total",
)
# Nothing waits, and each widget that draws on a canvas has one.
DRAWN = """() => {
  const cells = [...document.querySelectorAll('[data-testid^=widget-]')]
  return cells.length > 0 && !document.querySelector('.skeleton')
    && cells.every(cell => !/chart|heatmap/.test(cell.dataset.testid) || cell.querySelector('canvas'))
}"""
# When that first was so, by the clock of the page.
WATCH = f"""() => {{
  const drawn = {DRAWN}
  window.drawnMs = 0
  const look = () => requestAnimationFrame(() => {{
    if (!drawn()) return look()
    requestAnimationFrame(() => {{ window.drawnMs = performance.now() }})
  }})
  look()
}}"""
FRAMES = """() => {
  window.longest = 0
  let before = performance.now()
  const look = (now) => {
    window.longest = Math.max(window.longest, now - before)
    before = now
    requestAnimationFrame(look)
  }
  requestAnimationFrame(look)
}"""


def widgets(count: int) -> list[dict[str, Any]]:
    """Half of them charts, the others one of each kind, in turn; three in a row."""
    found = []
    for index in range(count):
        metric = (GAUGES if index % 2 else COUNTERS)[index // 2 % 4]
        combined = {"source": {"metrics": [metric], "combine": "sum" if metric in COUNTERS else "avg"}}
        single = {"source": {"metrics": [metric]}}
        kind, config = (
            ("chart", {"source": {"metrics": [metric], "combine": "max", "by": "tag:role"}})
            if index % 2 == 0
            else (
                ("stat", combined),
                ("gauge", combined),
                ("top", single),
                ("heatmap", single),
                ("table", {"source": {"metrics": list(GAUGES), "combine": "max", "by": "server"}}),
            )[index // 2 % 5]
        )
        place = {"x": index % 3 * 4, "y": index // 3 * 4, "w": 4, "h": 4}
        found.append({"id": f"{kind}-{index}", "type": kind, "place": place, "config": config})
    return found


def create(site: httpx.Client, title: str, count: int, span: str) -> int:
    """A dashboard with so many widgets over this range. Returns its id."""
    document = {"title": title, "range": span, "widgets": widgets(count)}
    answer = site.post("/api/dashboards", json={"dashboard": document}).raise_for_status()
    return int(answer.json()["id"])


def of_a_day(page: Page, url: str, number: int) -> float:
    """Ms from the navigation until all is drawn; the code is in the cache."""
    page.goto(f"{url}/dashboards/{number}")
    until(page, "window.drawnMs > 0")
    return float(page.evaluate("() => window.drawnMs"))


def dragged(page: Page) -> float:
    """The longest frame in ms while a widget is dragged through the others."""
    page.get_by_test_id("dashboard-edit").click()
    handle = page.locator(".drag-handle").first
    handle.wait_for(timeout=PATIENCE_MS)
    page.wait_for_timeout(2_000)
    box = handle.bounding_box()
    if box is None:
        raise RuntimeError("there is nothing to drag")
    page.mouse.move(box["x"] + 8, box["y"] + 8)
    page.mouse.down()
    page.evaluate(FRAMES)
    for step in range(120):
        page.mouse.move(box["x"] + 8 + step * 5, box["y"] + 8 + abs(step % 60 - 30) * 10)
        page.wait_for_timeout(16)
    longest = float(page.evaluate("() => window.longest"))
    page.mouse.up()
    return longest


@contextlib.contextmanager
def on_server_core(*words: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of Bongsu beside the API server."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bongsu.cli", *words],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def measure(servers: int, seconds: float) -> dict[str, float]:
    """One run on an empty database."""
    os.environ |= ENVIRONMENT | {
        "BONGSU_ADMIN_EMAIL": EMAIL,
        "BONGSU_ADMIN_PASSWORD": PASSWORD,
        "BONGSU_RATE_LIMITS__LOGIN": "1000000/minute",
    }
    with tempfile.TemporaryDirectory(prefix="bongsu-bench-") as name:
        folder = Path(name)
        with running_server(folder) as (port, _), admin(port) as site, chromium() as browser:
            url = f"http://127.0.0.1:{port}"
            unlimited = {"name": "bench", "uses": 0}
            token = site.post("/api/enrolment-tokens", json=unlimited).raise_for_status().json()["token"]
            words = ["simulate", "--servers", str(servers), "--url", url, "--data-dir", str(folder / "fleet")]
            enrolment = {"BONGSU_SIMULATE_ENROLMENT_TOKEN": token}
            with on_server_core("server", "--role", "worker", "--data-dir", str(folder)) as worker:
                context = context_of(browser, url)
                page = context.new_page()
                page.add_init_script(f"({WATCH})()")
                with on_server_core(*words, "--interval", "10s", "--history", HISTORY, **enrolment):
                    wait_for_fleet(site, servers)
                    wait_for_history(site, servers)
                    until_idle(worker)
                    day = create(site, "Day", OF_A_DAY, "24h")
                    of_a_day(page, url, day)
                    drawn = sorted(of_a_day(page, url, day) for _ in range(5))
                with on_server_core(*words, "--interval", "1s", **enrolment):
                    page.goto(f"{url}/dashboards/{create(site, 'Live', LIVE, '15m')}")
                    until(page, "window.drawnMs > 0")
                    page.wait_for_timeout(10_000)
                    session = browser.new_browser_cdp_session()
                    cores = cpu_cores(session, page.wait_for_timeout, seconds)
                    longest = dragged(page)
                context.close()
    return {
        "servers": float(servers),
        "live_40_widgets_cores": cores,
        "drag_longest_frame_ms": longest,
        "day_20_widgets_drawn_p50_ms": drawn[2],
        "day_20_widgets_drawn_longest_ms": drawn[-1],
    }


def wait_for_history(site: httpx.Client, servers: int) -> None:
    """Waits until every server has sent its day, and sends what is sampled now."""
    deadline = time.monotonic() + 1_200
    while time.monotonic() < deadline:
        answer = site.get("/api/metrics/current", params={"metric": "cpu_usage_ratio"}).raise_for_status().json()
        fresh = [one for one in answer["servers"] if answer["time_ms"] - one["time_ms"] < 20_000]
        if len(fresh) == servers:
            return
        time.sleep(1)
    raise RuntimeError("the fleet has not caught up")


def until_idle(process: subprocess.Popen[bytes]) -> None:
    """Waits until the worker has sealed and rolled up the day."""
    worker, quiet = psutil.Process(process.pid), 0
    for _ in range(600):
        quiet = quiet + 1 if worker.cpu_percent(1) < 15 else 0
        if quiet == 5:
            return
    raise RuntimeError("the worker has not caught up")


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--servers", type=int, default=50)
    arguments.add_argument("--seconds", type=float, default=30, help="how long the CPU is measured for")
    options = arguments.parse_args()
    report("widgets", measure(options.servers, options.seconds), as_json=options.json)


if __name__ == "__main__":
    main()
