"""The configuration of the frontend image, with a real nginx in front of a real API server. The image itself is not built."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bongsu.server.api.pages import FOLDER
from tests.support.processes import api_server, free_port, wait_for
from tests.support.programs import need
from tests.support.repository import REPOSITORY

pytestmark = pytest.mark.skipif(os.name != "posix", reason="nginx of POSIX systems")

IMAGE = REPOSITORY / "deploy" / "docker"


def moved(text: str, folder: Path) -> str:
    """What is at fixed places in the image, below a folder."""
    return (
        text.replace("/tmp/", f"{folder}/")
        .replace("/etc/bongsu/", f"{folder}/")
        .replace("/usr/share/bongsu", str(FOLDER))
    )


@contextlib.contextmanager
def frontend(folder: Path, api: str) -> Iterator[str]:
    """Runs what the image runs, and returns its address."""
    need("nginx")
    for name in ("frontend.conf", "frontend.sh"):
        (folder / name).write_text(moved((IMAGE / name).read_text(), folder))
    port = free_port()
    environment = os.environ | {"BONGSU_API": api, "BONGSU_HOST": "127.0.0.1", "BONGSU_PORT": str(port)}
    command = ["sh", str(folder / "frontend.sh")]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{port}"

        def healthy() -> bool:
            assert process.poll() is None, process.communicate()[1]
            return subprocess.run([*command, "health"], env=environment, capture_output=True).returncode == 0

        wait_for(healthy, "nginx")
        yield url
    finally:
        process.terminate()
        process.communicate()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Clients of the frontend and of its API server."""
    folder = tmp_path_factory.mktemp("frontend")
    port = free_port()
    api = f"http://127.0.0.1:{port}"
    with (
        api_server(folder / "data", port),
        frontend(folder, api) as url,
        httpx.Client(base_url=url) as front,
        httpx.Client(base_url=api) as back,
    ):
        yield front, back


@pytest.mark.parametrize(
    "path", ["/", "/servers/1", "/theme.js", "/api/health", "/docs", "/_docs/swagger-ui.css", "/help/ko/", "/nope.js"]
)
def test_answers_are_as_if_they_came_from_the_api_server(both: tuple[httpx.Client, httpx.Client], path: str) -> None:
    ignored = {"server", "date", "connection", "etag", "last-modified", "content-length", "accept-ranges", "vary"}
    ignored.add("x-request-id")  # each request has one of its own; nginx gives none to its files
    front, back = both[0].get(path), both[1].get(path)
    assert front.status_code == back.status_code
    if front.status_code != 200:
        ignored |= {"content-type", "cache-control"}  # nginx has a page of its own for it
    elif path != "/api/health":
        assert front.content == back.content
    headers = [
        {name: value for name, value in answer.headers.items() if name not in ignored} for answer in (front, back)
    ]
    assert headers[0] == headers[1]


def test_metrics_is_a_page_for_browsers_only(both: tuple[httpx.Client, httpx.Client]) -> None:
    front, _ = both
    assert front.get("/metrics", headers={"Accept": "text/html"}).status_code == 200
    assert front.get("/metrics", headers={"Accept": "text/plain"}).status_code == 401


def test_files_with_a_hash_in_their_name_are_kept_by_browsers(both: tuple[httpx.Client, httpx.Client]) -> None:
    script = next(FOLDER.glob("_nuxt/*.js")).name
    answers = [client.get(f"/_nuxt/{script}") for client in both]
    assert [answer.headers["cache-control"] for answer in answers] == ["public, max-age=31536000, immutable"] * 2
    assert [answer.headers["content-encoding"] for answer in answers] == ["gzip", "gzip"]


@pytest.mark.parametrize("address", ["server:8600", "ftp://server", "http://", "http://a;b"])
def test_a_wrong_address_of_the_api_server_is_said(tmp_path: Path, address: str) -> None:
    environment = os.environ | {"BONGSU_API": address, "BONGSU_HOST": "127.0.0.1", "BONGSU_PORT": "1"}
    command = ["sh", str(IMAGE / "frontend.sh")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "BONGSU_API" in done.stderr
