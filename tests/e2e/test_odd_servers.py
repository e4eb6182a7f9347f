"""Servers that nobody had in mind: enormous, with odd names, with values that are none. Each looks intended."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from bongsu.core.samples import HostFacts
from bongsu.core.series import Kind, Layout, Series
from bongsu.wire import protobuf
from tests.support.pages import SLOW_MS, Look, person_at
from tests.support.processes import api_server, enrolled, free_port, logged_in
from tests.support.pushes import a_frame, a_push

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "artifacts" / "screenshots" / "odd"
CORES, FILESYSTEMS = 128, 300
LONG = "an-extremely-long-host-name-" * 7 + "end"
NAMES = {"huge": "huge-01", "long": LONG, "rtl": "خادم-الويب-01", "markup": "<b>bold</b>&amp;", "foreign": "mq-1"}
# What others than an agent send of a server.
QUEUE = Layout.of((Series("queue_length", (("queue", "mail"),)),))
NOTHING = float("nan")

CPU = Series("cpu_usage_ratio", (), "ratio", Kind.GAUGE)
MEMORY = (
    Series("memory_usage_ratio", (), "ratio", Kind.GAUGE),
    Series("memory_used_bytes", (), "bytes", Kind.GAUGE),
)


def huge() -> tuple[Layout, list[float]]:
    """Cores, filesystems, and custom values with labels from right to left."""
    cores = [Series("cpu_core_usage_ratio", (("core", str(core)),), "ratio", Kind.GAUGE) for core in range(CORES)]
    disks = [
        Series(
            "filesystem_usage_ratio",
            (
                ("device", f"/dev/mapper/vg-{n:03}"),
                ("fstype", "xfs"),
                ("mountpoint", f"/srv/tenants/customer-{n:03}/data"),
            ),
            "ratio",
            Kind.GAUGE,
        )
        for n in range(FILESYSTEMS)
    ]
    custom = [
        Series("shop_orders_total", (("region", "الرياض"),), "", Kind.COUNTER),
        Series("shop_nothing", (), "", Kind.GAUGE),
    ]
    values = [0.5, 0.7, 1e12, *(core / CORES for core in range(CORES)), *(n / FILESYSTEMS for n in range(FILESYSTEMS))]
    return Layout.of((CPU, *MEMORY, *cores, *disks, *custom)), [*values, 1e18, NOTHING]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with api_server(tmp_path_factory.mktemp("odd"), port), logged_in(url) as client:
        now_ms: int = client.get("/api/health").raise_for_status().json()["time_ms"]
        tokens = enrolled(url, *(f"agent-{kind}" for kind in NAMES))
        for kind, name in NAMES.items():
            layout, values = huge() if kind == "huge" else (Layout.of((CPU, *MEMORY)), [NOTHING, 0.0, NOTHING])
            if kind == "foreign":
                layout, values = QUEUE, [7.0]
            host = HostFacts(name[:200], "Debian 13", "6.12.0", "x86_64", "EPYC", CORES, 1 << 42, now_ms - 1_000)
            # A gap of half the time.
            frames = [
                a_frame(now_ms - 10_000 * ago, values, layout) for ago in (*range(90, 60, -1), *range(30, -1, -1))
            ]
            push = a_push(frames, layouts=[layout], host=host)
            version = "" if kind == "foreign" else push.agent.version
            push.agent = replace(push.agent, agent_id=f"agent-{kind}", name=name, version=version)
            body = protobuf.encode_push(push)
            headers = {"Authorization": f"Bearer {tokens[f'agent-{kind}']}", "Content-Type": protobuf.CONTENT_TYPE}
            answer = httpx.post(f"{url}/api/metrics", content=body, headers=headers, timeout=60)
            assert answer.is_success, answer.text
        yield url


@pytest.mark.parametrize(
    "look", [Look(1440, 900, "light", "en-GB"), Look(360, 740, "dark", "ko-KR")], ids=["wide", "phone"]
)
def test_each_looks_intended(browser: Browser, url: str, look: Look) -> None:
    with logged_in(url) as client:
        ids = {server["name"]: server["id"] for server in client.get("/api/servers").json()["servers"]}
    assert set(NAMES.values()) == set(ids)
    paths = {"home": "/", "tiles": "/?view=tiles&value=disk"} | {
        kind: f"/servers/{ids[name]}?family=cpu" for kind, name in NAMES.items()
    }
    paths["explorer"] = "/metrics?metric=cpu_core_usage_ratio&metric=filesystem_usage_ratio&range=15m"
    paths["nothing"] = "/metrics?metric=shop_nothing&metric=shop_orders_total&draw=log&range=15m"
    with person_at(browser, url, look) as page:
        for name, path in paths.items():
            page.goto(url + path)
            expect(page.locator("h1").first).to_be_visible(timeout=SLOW_MS)
            expect(page.locator(".skeleton")).to_have_count(0, timeout=SLOW_MS)
            page.screenshot(path=SCREENSHOTS / f"{look.width}-{name}.png", full_page=name == "huge")
            assert page.evaluate("document.documentElement.scrollWidth") <= look.width, name
        # What looks like markup is text.
        page.goto(f"{url}/servers/{ids[NAMES['markup']]}")
        expect(page.get_by_role("heading", name=NAMES["markup"], exact=True)).to_be_visible(timeout=SLOW_MS)


def test_a_server_without_an_agent_has_its_readings_and_no_empty_cards(browser: Browser, url: str) -> None:
    with logged_in(url) as client:
        servers = client.get("/api/servers").json()["servers"]
    (number,) = (server["id"] for server in servers if server["name"] == NAMES["foreign"])
    with person_at(browser, url, Look(1280, 900, "light", "en-GB")) as page:
        page.goto(f"{url}/servers/{number}")
        readings = page.get_by_test_id("readings")
        expect(readings.get_by_role("button", name="queue")).to_be_visible(timeout=SLOW_MS)
        readings.get_by_role("button", name="queue").click()
        expect(readings).to_contain_text("mail")
        for card in ("cpu-value", "history-chart", "processes"):
            expect(page.get_by_test_id(card)).to_have_count(0)


def test_the_cores_of_a_large_machine_are_a_heat_map(browser: Browser, url: str) -> None:
    with logged_in(url) as client:
        (number,) = (
            server["id"]
            for server in client.get("/api/servers").json()["servers"]
            if server["name"] == NAMES["huge"][:200]
        )
    with person_at(browser, url, Look(1280, 900, "dark", "en-GB")) as page:
        page.goto(f"{url}/servers/{number}?family=cpu")
        page.get_by_text("Cores", exact=True).click(timeout=SLOW_MS)
        chart = page.get_by_test_id("history-chart")
        rows = chart.get_by_role("listitem")
        expect(rows).to_have_count(CORES, timeout=SLOW_MS)
        assert page.get_by_role("img", name="128 cores").evaluate("bars => bars.scrollWidth <= bars.clientWidth")
        page.screenshot(path=SCREENSHOTS / "cores.png")
        chart.locator("canvas").hover(position={"x": 600, "y": 5})
        expect(chart.get_by_text("%")).not_to_have_count(0)
        page.get_by_role("button", name="As lines").click()
        expect(rows).to_have_count(0)
        expect(chart.get_by_role("application")).to_be_visible(timeout=SLOW_MS)
