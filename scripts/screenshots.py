"""The pictures of the manual: ``make screenshots``.

Forms and dialogs come from the browser test of the first day, pages with charts from a simulated fleet that has a day
of history (see ``scripts.pictures``), both in English and Korean. Only what the manual names is kept. Takes about seven
minutes.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Browser

from scripts.pictures import SERVER, Picture, chromium, fleet, server_id, take
from tests.support.endpoints import Endpoint, endpoint
from tests.support.pages import Look
from tests.support.processes import wait_for

ROOT = Path(__file__).resolve().parents[1]
STEPS = ROOT / "artifacts" / "screenshots" / "day-one"
FOLDER = ROOT / "docs" / "images" / "manual"
MANUALS = {"en": ROOT / "docs" / "manual.md", "ko": ROOT / "docs" / "ko" / "manual.md"}
LOCALES = {"en": "en-GB", "ko": "ko-KR"}
PICTURE = re.compile(r"images/manual/(?:en|ko)/([a-z-]+)\.png")
PAGES = {
    "server": Picture("/servers/{server}", "[data-testid=history-chart] canvas", 1280, 900),
    "all-servers": Picture("/", "[data-testid=fleet] tr.row svg path + path", 1280, 800),
    "metrics": Picture(
        "/metrics?metric=cpu_usage_ratio&combine=avg&by=tag:role&range=24h",
        "[data-testid=explorer-chart] canvas",
        1280,
        800,
    ),
    "dashboard": Picture("/dashboards/{dashboard}", "[data-testid^=widget-] canvas", 1280, 900),
    "alert-in-detail": Picture("/alerts/{alert}", "[role=application] canvas", 1280, 1000),
    "phone": Picture("/", "[data-testid=fleet] tr.row", 390, 844),
}
RULES = {"en": "API servers are busy", "ko": "API 서버 과부하"}


def named(language: str) -> set[str]:
    """The pictures that the manual of a language names."""
    return set(PICTURE.findall(MANUALS[language].read_text(encoding="utf-8")))


def compressed(source: Path, language: str, name: str) -> None:
    """Puts a screenshot into the documents."""
    target = FOLDER / language / f"{name}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as file:
        image = file.convert("RGB")
    # No colour is off by more than 7 of 255, and those of large areas are exact; a third of the bytes.
    few = image.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    few.save(target, optimize=True)
    print(f"{target.relative_to(FOLDER)}  {target.stat().st_size / 1024:.0f} KB")


def steps_of_the_first_day() -> None:
    """Runs the test that takes them."""
    shutil.rmtree(STEPS, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "pytest", "-q", "tests/e2e/test_day_one.py"], cwd=ROOT, check=True)
    for language in MANUALS:
        found = {file.stem.partition("-")[2]: file for file in (STEPS / language).glob("*.png")}
        for name in sorted(named(language) - PAGES.keys()):
            compressed(found[name], language, name)


def what_there_is(client: httpx.Client, language: str) -> dict[str, int]:
    """The ids of what the pages show: a server, an alert that fires and its rule, a dashboard in the language."""
    texts = json.loads((ROOT / "frontend" / "i18n" / "locales" / f"{language}.json").read_text(encoding="utf-8"))
    templates = client.get("/api/dashboards/templates").raise_for_status().json()["templates"]
    document = next(item["dashboard"] for item in templates if item["key"] == "built-in:linux-host")
    document["title"] = texts["dashboards"]["template"]["linux-host"]["title"]
    document["variables"][0]["values"] = [SERVER]
    dashboard = client.post("/api/dashboards", json={"dashboard": document}).raise_for_status().json()["id"]
    condition = {"type": "threshold", "metric": "cpu_usage_ratio", "function": "avg", "window": "5m", "value": 0.2}
    rule = {"name": RULES[language], "condition": condition, "for": "0s", "scope": {"tags": {"role": "api"}}}
    stored = client.post("/api/alerts/rules", json=rule).raise_for_status().json()

    def firing() -> list[dict[str, int]]:
        asked = client.get("/api/alerts/history", params={"rule": RULES[language], "state": "firing"})
        alerts: list[dict[str, int]] = asked.raise_for_status().json()["alerts"]
        return alerts

    return {
        "rule": stored["id"],
        "server": server_id(client, SERVER),
        "dashboard": dashboard,
        "alert": wait_for(firing, "an alert to fire")[0]["id"],
    }


def pages_of_the_fleet(browser: Browser, client: httpx.Client, folder: Path) -> None:
    url = str(client.base_url).rstrip("/")
    for language, locale in LOCALES.items():
        ids = what_there_is(client, language)
        for name in sorted(named(language) & PAGES.keys()):
            picture = replace(PAGES[name], path=PAGES[name].path.format(**ids))
            take(browser, url, picture, Look(picture.width, picture.height, "light", locale), folder / "page.png")
            compressed(folder / "page.png", language, name)
        # Its alerts are on the pages of the next language otherwise.
        client.delete(f"/api/alerts/rules/{ids['rule']}").raise_for_status()


def notified(client: httpx.Client, service: Endpoint) -> None:
    """Adds a channel, so that alerts are sent."""
    channel = {"name": "Operations", "type": "webhook", "default": True, "config": {"url": service.url}}
    client.post("/api/alerts/channels", json=channel).raise_for_status()


def main() -> None:
    steps_of_the_first_day()
    with (
        tempfile.TemporaryDirectory(prefix="bongsu-screenshots-") as folder,
        fleet(Path(folder)) as client,
        endpoint() as service,
        chromium() as browser,
    ):
        notified(client, service)
        pages_of_the_fleet(browser, client, Path(folder))
    for file in FOLDER.rglob("*.png"):
        if file.stem not in named(file.parent.name):
            file.unlink()


if __name__ == "__main__":
    main()
