"""Two API servers and two workers on one PostgreSQL, and a browser at each API server."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support.faulty_proxy import FaultyProxy
from tests.support.pages import connection, person_at, shows, table_of
from tests.support.postgres import new_postgres_database
from tests.support.processes import Part, answers, free_port, running, wait_for
from tests.support.pusher import Pusher
from tests.support.redis import Redis, redis

__all__ = ["new_postgres_database", "redis"]


@dataclass
class Server:
    """An API server, and the proxy through which browsers reach it, or another one while it is away."""

    part: Part
    port: int
    proxy: FaultyProxy

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ready(self) -> bool:
        return self.part.runs() and answers(self.url)

    def send_browsers_to(self, other: "Server") -> None:
        """As a load balancer does when this server is away, or back."""
        self.proxy.target_port = other.port
        self.proxy.reset()


@dataclass
class Site:
    """Agents post to the first API server."""

    servers: list[Server]
    workers: list[Part]


@pytest.fixture(params=["postgresql", "redis"])
def site(request: pytest.FixtureRequest, tmp_path: Path, new_postgres_database: Callable[..., str]) -> Iterator[Site]:
    environment = {"BONGSU_DATABASE_URL": new_postgres_database()}
    if request.param == "redis":
        bus: Redis = request.getfixturevalue("redis")
        environment["BONGSU_REDIS_URL"] = bus.url

    def part(role: str, *arguments: str) -> Part:
        return Part(["server", "--role", role, "--data-dir", str(tmp_path), *arguments], environment)

    ports = [free_port(), free_port()]
    servers = [Server(part("api", "--port", str(port)), port, FaultyProxy(port)) for port in ports]
    workers = [part("worker"), part("worker")]
    with running({str(number): part for number, part in enumerate([*(s.part for s in servers), *workers])}):
        for server in servers:
            wait_for(server.ready, "the API servers")
        yield Site(servers, workers)
    for server in servers:
        server.proxy.close()


def test_both_browsers_show_the_same_whoever_is_killed(site: Site, browser: Browser) -> None:
    first, second = site.servers
    agent = Pusher(first.url)
    pushed: list[int] = []

    def push(pages: list[Page]) -> None:
        """What comes next is on every screen."""
        pushed.append(11 + len(pushed))
        agent.push(pushed[-1])
        for page in pages:
            shows(page, pushed[-1])

    push([])
    with (
        person_at(browser, f"http://127.0.0.1:{first.proxy.port}", broken_network=True) as one,
        person_at(browser, f"http://127.0.0.1:{second.proxy.port}", broken_network=True) as other,
    ):
        pages = [one, other]
        for page, server in zip(pages, site.servers, strict=True):
            page.goto(f"http://127.0.0.1:{server.proxy.port}")
            connection(page, "Live")
        push(pages)
        push(pages)
        for server, stays in ((first, second), (second, first)):
            server.part.kill()
            server.send_browsers_to(stays)
            agent.url = stays.url
            push(pages)
            for page in pages:
                connection(page, "Live")
            push(pages)
            server.part.start()
            wait_for(server.ready, "the API server to be back")
            server.send_browsers_to(server)
            agent.url = first.url
            push(pages)
            for page in pages:
                connection(page, "Live")
        for worker in site.workers:
            worker.kill()
            push(pages)
            worker.start()
            push(pages)
        expected = [f"{percent}.0%" for percent in reversed(pushed)]
        for page in pages:
            assert table_of(page) == expected
