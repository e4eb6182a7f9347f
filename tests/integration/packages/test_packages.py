"""The packages as people get them: built, installed into empty virtual environments, and run far from the sources."""

import contextlib
import os
import re
import subprocess
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import bongsu
from bongsu.server.agent_package import REQUIREMENTS, agent_wheel
from tests.support.packages import built_packages, installed
from tests.support.processes import QUICK, answers, free_port, logged_in, wait_for
from tests.support.repository import REPOSITORY

pytestmark = pytest.mark.skipif(os.name != "posix", reason="paths and signals of POSIX")

PACKAGE = REPOSITORY / "src" / "bongsu"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    whole, agent = built_packages(tmp_path_factory.mktemp("dist"))
    return whole, agent


@contextlib.contextmanager
def started(program: Path, *arguments: str, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs a program from a folder, with no other program to be found: no Node, no Python but its own."""
    environment = QUICK | {"PATH": str(program.parent), "HOME": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, *arguments], cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


def test_the_whole_package_holds_every_file_and_no_other(wheels: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(wheels[0]) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = {f"bongsu/{file.relative_to(PACKAGE).as_posix()}" for file in PACKAGE.rglob("*") if file.is_file()}
    assert inside == {name for name in files if "__pycache__" not in name}
    expected = {
        "bongsu/server/static/index.html.gz",
        "bongsu/server/help/ko/troubleshooting.html.gz",
        "bongsu/server/database/migrations/versions/0001_servers_layouts_frames.py",
        "bongsu/server/dashboards/built_in/linux-host.yml",
        "bongsu/server/api/install.sh",
        "bongsu/alerts/rules.yml",
        "bongsu/alerts/templates/mail.html.j2",
        "bongsu/agent/bongsu-agent.service",
        "bongsu/simulator/data/host-capture.npz",
        "bongsu/wire/metrics_pb2.py",
    }
    assert expected - inside == set()
    assert [name for name in inside if re.match(r"bongsu/server/static/_nuxt/.*\.js$", name)], "no scripts"
    assert [name for name in inside if re.search(r"node_modules|/tests?/|/test_|conftest", name)] == []


def test_the_whole_package_serves_everything(wheels: tuple[Path, Path], tmp_path: Path) -> None:
    program = installed(wheels[0], "server.lock", tmp_path / "venv")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    up = started(program, "up", "--port", str(port), "--data-dir", "data", "--interval", "1s", folder=tmp_path)
    with up as process:
        wait_for(lambda: answers(url) or process.poll() is not None, "the API server")
        assert process.poll() is None, (tmp_path / "log").read_text()
        page = httpx.get(url).text
        (script, *_) = re.findall(r'"(/_nuxt/[^"]+\.js)"', page)
        assert httpx.get(url + script).headers["content-type"] == "text/javascript; charset=utf-8"
        assert httpx.get(f"{url}/docs").status_code == 200
        # The other package, from this one.
        assert f"bongsu_agent-{bongsu.__version__}" in httpx.get(f"{url}/agent/install.sh").text
        with logged_in(url) as client:

            def memory() -> list[float]:
                answer = client.get("/api/metrics/history", params={"metric": "memory_used_bytes"}).json()
                return answer["series"][0]["values"] if answer["series"] else []

            wait_for(memory, "a sample of this machine's memory")
            assert client.get("/api/about").json()["version"] == bongsu.__version__
            assert client.get("/api/alerts/rules").json()["rules"] != []


def test_the_agent_alone_is_small(wheels: tuple[Path, Path], tmp_path: Path) -> None:
    assert wheels[1].read_bytes() == agent_wheel(), "the API server gives away another one"
    program = installed(wheels[1], "agent.lock", tmp_path / "venv")
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    packages = {folder.name for folder in site.iterdir() if folder.is_dir() and "." not in folder.name}
    assert packages - {"__pycache__"} == {"bongsu", "psutil", "yaml", "_yaml"}
    once = subprocess.run([program, "agent", "once"], cwd=tmp_path, env={}, capture_output=True, text=True, check=True)
    assert "cpu_usage_ratio" in once.stdout
    version = subprocess.run([program, "--version"], env={}, capture_output=True, text=True, check=True)
    assert version.stdout == f"bongsu {bongsu.__version__}\n"
    up = subprocess.run([program, "up"], cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
    assert (up.returncode, up.stderr) == (
        1,
        "bongsu up is not part of the package bongsu-agent; install the package bongsu instead\n",
    )


def test_the_agent_requires_what_the_whole_requires_of_these_packages() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert set(REQUIREMENTS) <= set(project["dependencies"])


@pytest.mark.parametrize("lock", ["server.lock", "agent.lock"])
def test_what_is_installed_is_what_is_tested(lock: str) -> None:
    def pins(file: Path) -> set[str]:
        return set(re.findall(r"^([A-Za-z0-9._-]+==[^ ]+)", file.read_text(), re.MULTILINE))

    assert pins(REPOSITORY / "deploy" / lock) - pins(REPOSITORY / "requirements.lock") == set(), "run make lock"
