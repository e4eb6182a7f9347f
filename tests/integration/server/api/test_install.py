"""What another machine gets from the API server: the agent, and a script that installs it."""

import hashlib
import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bongsu.server.agent_package import WHEEL
from tests.support.app import running_app
from tests.support.repository import REPOSITORY

# Stands in for Python, useradd, su, systemctl and others: notes how it was called, and what it was given to read.
PROGRAM = """#!/bin/sh
name=$(basename "$0")
case "$*" in *enrol*) token=" < $(cat)" ;; *) token= ;; esac
echo "$name $*$token" >> @LOG@
case "$name $1" in
  "python3 -c") exit 127 ;;
  "id -u") echo 0 ;;
  "id "*) exit 1 ;;
  "python3.13 -m") mkdir -p "$3/bin" && cp "$0" "$3/bin/pip" ;;
  "python3.13 -c") case "$*" in *urllib*) exit @HTTPS@ ;; esac ;;
esac
"""
PROGRAMS = ("id", "python3", "python3.13", "useradd", "su", "systemctl", "chown")


class Machine:
    """A machine below a folder, on which the script runs."""

    def __init__(self, folder: Path, *, https: bool = False) -> None:
        self.root = folder / "root"
        self.log = folder / "log"
        self._bin = folder / "bin"
        self._bin.mkdir()
        for place in ("opt", "etc/systemd/system", "var/lib", "run/systemd/system"):
            (self.root / place).mkdir(parents=True)
        text = PROGRAM.replace("@LOG@", str(self.log)).replace("@HTTPS@", "0" if https else "1")
        for name in PROGRAMS:
            (self._bin / name).write_text(text)
            (self._bin / name).chmod(0o755)

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Runs the script as the line from "Add server" does."""
        moved = re.sub(r"(?<![\w.])/(opt|etc|var/lib|run)/", rf"{self.root}/\1/", script)
        return subprocess.run(
            ["sh"],
            input=f"bongsu_token=s3cret\n{moved}",
            env={"PATH": f"{self._bin}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self, name: str) -> list[str]:
        """The arguments of each call of a program."""
        lines = self.log.read_text().splitlines()
        return [line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")]


async def test_the_script_names_this_server_and_is_a_script(tmp_path: Path) -> None:
    async with running_app(tmp_path, public_url="https://monitor.example/") as app:
        script = (await app.client.get("/agent/install.sh")).text
    assert "server=https://monitor.example\n" in script
    assert WHEEL in script
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0


async def test_the_script_makes_a_hardened_service_without_root(tmp_path: Path) -> None:
    async with running_app(tmp_path, public_url="https://monitor.example") as app:
        script = (await app.client.get("/agent/install.sh")).text
        content = (await app.client.get(f"/agent/{WHEEL}")).content
    machine = Machine(tmp_path)
    done = machine.run(script)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    unit = (machine.root / "etc/systemd/system/bongsu-agent.service").read_text()
    assert unit.replace(str(machine.root), "") == (REPOSITORY / "deploy/systemd/bongsu-agent.service").read_text()
    assert "\nUser=bongsu-agent\n" in unit
    assert machine.calls("useradd")[0].endswith("bongsu-agent")
    digest = hashlib.sha256(content).hexdigest()
    assert machine.calls("pip")[0].endswith(f"https://monitor.example/agent/{WHEEL}#sha256={digest}")
    enrolment = machine.calls("su")[-1]
    assert enrolment.endswith(" bongsu-agent < s3cret"), "enrols as the user, and the token is no argument"
    assert "--server 'https://monitor.example'" in enrolment
    assert machine.calls("systemctl")[-1] == "restart bongsu-agent.service"
    config = (machine.root / "etc/bongsu/agent.yml").read_text()
    assert config.replace(str(machine.root), "") == (
        "server: https://monitor.example\ndata_dir: /var/lib/bongsu-agent\n"
    )


@pytest.mark.parametrize(
    ("url", "https", "used", "warns"),
    [
        pytest.param("http://monitor.example", True, "https://monitor.example", False, id="HTTPS where it answers"),
        pytest.param("http://monitor.example", False, "http://monitor.example", True, id="HTTP, and says so"),
        pytest.param("http://127.0.0.1:8600", False, "http://127.0.0.1:8600", False, id="this machine"),
        pytest.param("http://[::1]:8600", False, "http://[::1]:8600", False, id="this machine, over IPv6"),
    ],
)
async def test_the_script_prefers_https(tmp_path: Path, url: str, https: bool, used: str, warns: bool) -> None:
    async with running_app(tmp_path, public_url=url) as app:
        script = (await app.client.get("/agent/install.sh")).text
    machine = Machine(tmp_path, https=https)
    done = machine.run(script)
    assert done.returncode == 0, done.stderr
    assert f"{used}/agent/" in machine.calls("pip")[0]
    assert ("WARNING" in done.stderr) is warns


async def test_an_agent_that_ran_as_root_keeps_its_identity(tmp_path: Path) -> None:
    async with running_app(tmp_path, public_url="https://monitor.example") as app:
        script = (await app.client.get("/agent/install.sh")).text
    machine = Machine(tmp_path)
    older = machine.root / "var/lib/bongsu/agent"
    older.mkdir(parents=True)
    (older / "identity.json").write_text("{}")
    config = machine.root / "etc/bongsu/agent.yml"
    config.parent.mkdir()
    config.write_text(f"server: https://monitor.example\ndata_dir: {older}\ntags:\n  site: seoul\n")
    done = machine.run(script)
    assert done.returncode == 0, done.stderr
    state = machine.root / "var/lib/bongsu-agent"
    assert (state / "identity.json").exists()
    assert not older.exists()
    assert config.read_text() == f"server: https://monitor.example\ndata_dir: {state}\ntags:\n  site: seoul\n"
    assert f"-R -h bongsu-agent {state}" in machine.calls("chown")


@pytest.mark.parametrize("host", ["a'; rm -rf /; '", "$(id)", "a b", "", "x/y"])
async def test_no_host_name_gets_a_command_into_the_script(tmp_path: Path, host: str) -> None:
    async with running_app(tmp_path, host="0.0.0.0") as app:
        assert (await app.client.get("/agent/install.sh", headers={"Host": host})).status_code == 400


async def test_the_agent_runs_from_the_package_alone(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        assert (await app.client.get("/agent/bongsu_agent-9.9-py3-none-any.whl")).status_code == 404
        content = (await app.client.get(f"/agent/{WHEEL}")).content
    folder = tmp_path / "installed"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert not [name for name in archive.namelist() if "server" in name or "alerts" in name]
        archive.extractall(folder)
    code = "import bongsu, sys; from bongsu.cli import main; print(bongsu.__file__); sys.exit(main(['agent', 'once']))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(folder), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert str(folder) in done.stdout
    assert done.returncode == 0, done.stderr
    assert "cpu_usage_ratio" in done.stdout, done.stdout
