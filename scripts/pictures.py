"""The pictures of the README: ``python -m scripts.pictures``, after ``make setup`` and ``scripts/chromium``.

Starts Bongsu on loopback with a simulated fleet that has a day of history, and takes each picture in light and dark.
Fails instead of taking one of a page that still loads or has lost its connection. Takes about four minutes.
"""

import argparse
import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import httpx
from playwright.sync_api import Browser, expect, sync_playwright

from tests.support.pages import SLOW_MS, Look, person_at
from tests.support.processes import answers, bongsu, free_port, logged_in, wait_for

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SERVERS = 40
SERVER = "web-01"
HISTORY = "24h"
# Until sealing and rollups have taken in the history, and rules have looked at it.
SETTLE_SECONDS = 90
# Until a chart shows values that arrived while somebody looked.
LOOK_SECONDS = 15
LARGEST_KB = 300


@dataclass(frozen=True)
class Picture:
    """``path`` may name things by their ids, as ``{server}``. ``ready``: what is there when the page is."""

    path: str
    ready: str
    width: int = 1440
    height: int = 1000


PICTURES = {
    "server": Picture("/servers/{server}", "[data-testid=history-chart] canvas"),
    "fleet": Picture("/", "[data-testid=fleet] tr.row svg path + path"),
    "phone": Picture("/", "[data-testid=fleet] tr.row", width=390, height=844),
}


@contextlib.contextmanager
def fleet(folder: Path) -> Iterator[httpx.Client]:
    """An API server with a worker, and servers that send. Yields a client of it, logged in as an admin."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with bongsu("server", "--port", str(port), "--data-dir", str(folder / "server")) as process:
        wait_for(lambda: answers(url) or process.poll() is not None, "the API server")
        with logged_in(url) as client:
            enrolment = client.post("/api/enrolment-tokens", json={"name": "pictures", "uses": 0})
            words = ["--servers", str(SERVERS), "--history", HISTORY, "--url", url, "--data-dir", str(folder / "fleet")]
            token = enrolment.raise_for_status().json()["token"]
            with bongsu("simulate", *words, BONGSU_SIMULATE_ENROLMENT_TOKEN=token):
                wait_for(lambda: all_send(client), "all servers to send")
                time.sleep(SETTLE_SECONDS)
                yield client


def server_id(client: httpx.Client, name: str) -> int:
    """The id of a server."""
    found = client.get("/api/servers").raise_for_status().json()["servers"]
    return next(int(item["id"]) for item in found if item["name"] == name)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser of the machine, or that of Playwright."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def all_send(client: httpx.Client) -> bool:
    """Whether every server has sent its history and is at the present."""
    answer = client.get("/api/metrics/current", params={"metric": "cpu_usage_ratio"}).raise_for_status().json()
    fresh = [item for item in answer["servers"] if answer["time_ms"] - item["time_ms"] < 30_000]
    return len(fresh) == SERVERS


def take(browser: Browser, url: str, picture: Picture, look: Look, file: Path) -> None:
    """Writes the picture of a page. ``url``: of the API server."""
    live = {"en-GB": "Live", "ko-KR": "실시간"}[look.locale]
    with person_at(browser, url, look) as page:
        page.goto(url + picture.path)
        expect(page.locator(picture.ready).first).to_be_visible(timeout=SLOW_MS)
        expect(page.get_by_test_id("connection")).to_contain_text(live, timeout=SLOW_MS)
        page.wait_for_timeout(LOOK_SECONDS * 1_000)
        expect(page.locator("[aria-busy=true], .skeleton, [role=alert]")).to_have_count(0)
        page.screenshot(path=file)


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--into", type=Path, default=FOLDER)
    into: Path = arguments.parse_args().into
    with (
        tempfile.TemporaryDirectory(prefix="bongsu-pictures-") as folder,
        fleet(Path(folder)) as client,
        chromium() as browser,
    ):
        url, server = str(client.base_url).rstrip("/"), server_id(client, SERVER)
        for name, picture in PICTURES.items():
            shown = replace(picture, path=picture.path.format(server=server))
            for theme in THEMES:
                file = into / f"{name}-{theme}.png"
                take(browser, url, shown, Look(picture.width, picture.height, theme, "en-GB"), file)
                kilobytes = file.stat().st_size / 1024
                print(f"{file.name}  {kilobytes:.0f} KB")
                if kilobytes > LARGEST_KB:
                    raise SystemExit(f"{file} is larger than {LARGEST_KB} KB")


if __name__ == "__main__":
    main()
