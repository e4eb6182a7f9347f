"""Containers in a real Chromium: of a server, of all, and one of them, as they change."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from bongsu.core.samples import Container, ContainerEvent
from tests.support.pages import SLOW_MS, Look, loaded, person_at, violations
from tests.support.processes import api_server, free_port
from tests.support.pusher import Pusher

LOOKS = [
    pytest.param(Look(1440, 900, "dark", "ko-KR"), id="wide, dark, Korean"),
    pytest.param(Look(360, 740, "light", "en-GB"), id="phone, light, English"),
]


def container(name: str, **more: Any) -> Container:
    return Container(
        f"{name:0<12}"[:12], name, f"{name}:1", "shop/web", "docker", "running", memory_bytes=80 << 20
    )._replace(**more)


WEB = container("web", cpu_ratio=0.42, memory_limit_bytes=128 << 20, health="healthy", started_ms=1)
JOB = container("job", workload="job", state="exited", exit_code=137, oom_kills=1, finished_ms=2)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Pusher]:
    port = free_port()
    with api_server(tmp_path, port):
        pusher = Pusher(f"http://127.0.0.1:{port}")
        pusher.push()
        pusher.push_containers([WEB, JOB], [ContainerEvent(0, "oom_killed", JOB.id, JOB.name, JOB.workload)])
        yield pusher


def rows(page: Page, table: str) -> list[str]:
    return page.get_by_test_id(table).locator("tbody th a").all_inner_texts()


def test_of_a_server_to_one_of_them(browser: Browser, agent: Pusher) -> None:
    with person_at(browser, agent.url) as page:
        page.goto(agent.url)
        panel = page.get_by_test_id("containers")
        expect(panel).to_contain_text("exit code 137 · out of memory 1 time", timeout=SLOW_MS)
        assert rows(page, "containers") == ["web", "job"]
        expect(panel).to_contain_text("42.0")
        # What happens is seen without a reload: on the time axis, and as a value.
        agent.push_containers([WEB._replace(cpu_ratio=0.99), JOB], [ContainerEvent(0, "unhealthy", WEB.id, WEB.name)])
        expect(panel).to_contain_text("99.0", timeout=SLOW_MS)
        expect(page.get_by_test_id("events")).to_contain_text("Container web is unhealthy", timeout=SLOW_MS)
        marker = re.compile("Container web is unhealthy")
        expect(page.get_by_test_id("event-markers").get_by_role("button", name=marker)).to_be_visible(timeout=SLOW_MS)
        panel.get_by_role("link", name="job").click()
        expect(page.get_by_role("heading", level=1, name="job")).to_be_visible(timeout=SLOW_MS)
        expect(page.get_by_test_id("container-events")).to_contain_text("A process was killed for want of memory")
        expect(page.get_by_text("docker logs --tail 100 job")).to_be_visible()


def test_of_all_servers_filtered_and_sorted_as_a_link(browser: Browser, agent: Pusher) -> None:
    with person_at(browser, agent.url) as page:
        page.goto(f"{agent.url}/containers")
        expect(page.get_by_test_id("fleet-containers")).to_contain_text("web-1", timeout=SLOW_MS)
        assert rows(page, "fleet-containers") == ["job", "web"], "what is wrong comes first"
        page.get_by_role("button", name="CPU", exact=True).click()
        expect(page).to_have_url(re.compile("sort=cpu"))
        assert rows(page, "fleet-containers") == ["web", "job"]
        page.get_by_text("In trouble 1").click()
        expect(page.get_by_test_id("fleet-containers").locator("tbody tr")).to_have_count(1)
        page.reload()
        expect(page.get_by_test_id("fleet-containers").locator("tbody tr")).to_have_count(1, timeout=SLOW_MS)
        page.get_by_role("searchbox", name="Search containers").fill("nothing")
        expect(page.get_by_text("No container matches.")).to_be_visible()


@pytest.mark.parametrize("look", LOOKS)
def test_everybody_can_read_it(browser: Browser, agent: Pusher, look: Look) -> None:
    with person_at(browser, agent.url, look) as page:
        for path in ("/containers", "/containers/1/web", "/containers/1/gone", "/servers/1"):
            page.goto(agent.url + path)
            loaded(page)
            assert violations(page) == [], path
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
