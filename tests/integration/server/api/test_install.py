"""What another machine gets from the API server: the agent, and a script that installs it."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bongsu.server.api.install import WHEEL
from tests.support.app import running_app


async def test_the_script_names_this_server_and_is_a_script(tmp_path: Path) -> None:
    async with running_app(tmp_path, public_url="https://monitor.example/") as app:
        script = (await app.client.get("/agent/install.sh")).text
    assert "server='https://monitor.example'\n" in script
    assert WHEEL in script
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.parametrize("host", ["a'; rm -rf /; '", "$(id)", "a b", "", "x/y"])
async def test_no_host_name_gets_a_command_into_the_script(tmp_path: Path, host: str) -> None:
    async with running_app(tmp_path, host="0.0.0.0") as app:
        assert (await app.client.get("/agent/install.sh", headers={"Host": host})).status_code == 400


async def test_the_agent_runs_from_the_package_alone(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        assert (await app.client.get("/agent/bongsu-9.9-py3-none-any.whl")).status_code == 404
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
