"""What a newcomer asks of a monitor, found in at most four clicks."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from bongsu.core.samples import Frame, Process, ProcessList
from bongsu.core.series import Kind, Layout, Series
from bongsu.core.units import DAY_MS, MINUTE_MS
from bongsu.wire import protobuf
from tests.support.pages import SLOW_MS, Look, person_at
from tests.support.processes import answers, bongsu, enrolled, free_port, logged_in, wait_for
from tests.support.pushes import a_frame, a_push

MOST_CLICKS = 4
LAYOUT = Layout.of(
    (
        Series("cpu_usage_ratio", (), "ratio", Kind.GAUGE),
        Series("filesystem_usage_ratio", (("mountpoint", "/"),), "ratio", Kind.GAUGE),
        Series("filesystem_usage_ratio", (("mountpoint", "/srv/archive"),), "ratio", Kind.GAUGE),
    )
)
NIGHT = "night-1"
# CPU and both filesystems, as a rule.
USUAL = {"web-1": (0.2, 0.6, 0.3), "files-1": (0.1, 0.4, 0.97), NIGHT: (0.1, 0.5, 0.2)}
RULE = "Night load"


class Site:
    """An API server with its worker, and three servers whose frames the test makes."""

    def __init__(self, url: str, client: httpx.Client) -> None:
        self.url = url
        self.client = client
        self.now_ms: int = client.get("/api/health").raise_for_status().json()["time_ms"]
        self._tokens = enrolled(url, *(f"agent-{name}" for name in USUAL))
        # The last time that it was 03:12, in UTC.
        now = dt.datetime.fromtimestamp(self.now_ms / 1000, dt.UTC)
        night = now.replace(hour=3, minute=12, second=0, microsecond=0)
        self.night_ms = round((night if night < now else night - dt.timedelta(days=1)).timestamp() * 1000)

    def push(self, name: str, frames: list[Frame], lists: list[ProcessList] | None = None) -> None:
        """Stores what an agent would have sent, a minute between two frames."""
        for first in range(0, len(frames), 500):
            push = a_push(frames[first : first + 500], name=name, layouts=[LAYOUT], interval_ms=MINUTE_MS)
            push.process_lists = (lists or []) if first == 0 else []
            headers = {
                "Authorization": f"Bearer {self._tokens[f'agent-{name}']}",
                "Content-Type": protobuf.CONTENT_TYPE,
            }
            body = protobuf.encode_push(push)
            httpx.post(f"{self.url}/api/metrics", content=body, headers=headers, timeout=60).raise_for_status()

    def night(self) -> None:
        """A day of the server on which something ate the CPU at 03:12, for five minutes."""

        def is_busy(time_ms: int) -> bool:
            return abs(time_ms - self.night_ms) < 3 * MINUTE_MS

        times = range(self.now_ms - DAY_MS, self.now_ms, MINUTE_MS)
        self.push(
            NIGHT,
            [a_frame(time_ms, (0.97 if is_busy(time_ms) else 0.1, 0.5, 0.2), LAYOUT) for time_ms in times],
            [
                ProcessList(
                    time_ms,
                    [
                        Process(7, "rebuild-index" if is_busy(time_ms) else "idle-daemon", "root", 1.9, 1 << 20, 4),
                        Process(8, "sshd", "root", 0.01, 1 << 20, 1),
                    ],
                )
                for time_ms in times
                if abs(time_ms - self.night_ms) < 20 * MINUTE_MS
            ],
        )

    def silenced_alert(self) -> None:
        """An alert that fired and was resolved while a maintenance went on."""
        maintenance = {"kind": "maintenance", "comment": "Index maintenance", "rules": [RULE]}
        self.client.post(
            "/api/alerts/silences", json=maintenance | {"ends_ms": self.now_ms + DAY_MS}
        ).raise_for_status()
        condition = {"type": "threshold", "metric": "cpu_usage_ratio", "function": "last", "window": "5m", "value": 0.9}
        self.client.post(
            "/api/alerts/rules", json={"name": RULE, "condition": condition, "for": "0s"}
        ).raise_for_status()
        self.push(NIGHT, [a_frame(self.now_ms + 1_000, (0.99, 0.5, 0.2), LAYOUT)])
        wait_for(lambda: self._alerts("firing"), "the alert to fire")
        self.push(NIGHT, [a_frame(self.now_ms + 2_000, (0.1, 0.5, 0.2), LAYOUT)])
        wait_for(lambda: self._alerts("resolved"), "the alert to be resolved")

    def _alerts(self, state: str) -> list[object]:
        answer = self.client.get("/api/alerts/history", params={"rule": RULE, "state": state})
        alerts: list[object] = answer.raise_for_status().json()["alerts"]
        return alerts


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    folder: Path = tmp_path_factory.mktemp("clicks")
    words = ["server", "--port", str(port), "--data-dir", str(folder)]
    with bongsu(*words, BONGSU_ALERT_INTERVAL="1s") as process:
        wait_for(lambda: answers(url) or process.poll() is not None, "the API server")
        with logged_in(url) as client:
            site = Site(url, client)
            site.night()
            for name, values in USUAL.items():
                site.push(name, [a_frame(site.now_ms, values, LAYOUT)])
            yield site


class Clicks:
    """Counts them."""

    count = 0

    def __call__(self, target: Locator) -> None:
        self.count += 1
        target.click(timeout=SLOW_MS)


@pytest.fixture
def clicks() -> Iterator[Clicks]:
    counted = Clicks()
    yield counted
    assert 0 < counted.count <= MOST_CLICKS


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    with person_at(browser, site.url, Look(1440, 900, locale="en-GB")) as page:
        # The hours below are those of UTC, wherever this machine is.
        page.add_init_script("localStorage.setItem('bongsu.zone', 'UTC')")
        page.goto(site.url)
        yield page


def test_the_fullest_disk_of_the_fleet(page: Page, clicks: Clicks) -> None:
    clicks(page.get_by_role("button", name="Disk", exact=True))
    first = page.get_by_test_id("fleet").locator("tbody tr.row").first
    expect(first).to_contain_text("files-1", timeout=SLOW_MS)
    expect(first).to_contain_text("97.0%")
    expect(first).to_contain_text("/srv/archive")


def test_the_process_that_ate_the_cpu_at_night(site: Site, page: Page, clicks: Clicks) -> None:
    clicks(page.get_by_test_id("fleet").get_by_role("link", name=NIGHT))
    clicks(page.get_by_text("24h", exact=True))
    chart = page.get_by_test_id("history-chart")
    plot = chart.locator(".u-over")
    expect(plot).to_be_visible(timeout=SLOW_MS)
    box = plot.bounding_box()
    assert box is not None

    def at(time_ms: int) -> float:
        assert box is not None
        return box["x"] + box["width"] * (time_ms - (site.now_ms - DAY_MS)) / DAY_MS

    # The spike is what one sees in the chart of a day; dragging over it is one click more.
    clicks.count += 1
    page.mouse.move(at(site.night_ms - 8 * MINUTE_MS), box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(at(site.night_ms + 2 * MINUTE_MS), box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    processes = page.get_by_role("region", name="Processes")
    expect(processes.locator("tbody tr").first).to_contain_text("rebuild-index", timeout=SLOW_MS)
    expect(processes).to_contain_text("03:1")


def test_why_an_alert_was_not_told(site: Site, page: Page, clicks: Clicks) -> None:
    site.silenced_alert()
    clicks(page.get_by_role("navigation", name="Pages").get_by_role("link", name="Alerts"))
    clicks(page.get_by_test_id("alerts").last.get_by_role("link", name=RULE))
    why = page.get_by_role("region", name="Why it was told, or not")
    expect(why).to_contain_text("Held back", timeout=SLOW_MS)
    expect(why).to_contain_text("Index maintenance")
    # And the chart of its window, with the threshold that it crossed.
    expect(page.get_by_role("application", name=RULE)).to_be_visible(timeout=SLOW_MS)
