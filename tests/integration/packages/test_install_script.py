"""``deploy/install.sh`` below a folder: all but users and services, which need root and systemd."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.packages import built_packages
from tests.support.programs import need
from tests.support.repository import REPOSITORY

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a script of POSIX systems")

SCRIPT = REPOSITORY / "deploy" / "install.sh"
SCRIPTS = (
    SCRIPT,
    REPOSITORY / "src/bongsu/server/api/install.sh",
    REPOSITORY / "deploy/docker/frontend.sh",
    REPOSITORY / "scripts/images",
)


def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["sh", SCRIPT, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.parent.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    need("shellcheck")
    subprocess.run(["shellcheck", script], check=True)


def test_the_agent_is_installed_again_and_removed(tmp_path: Path) -> None:
    _, wheel = built_packages(tmp_path / "dist")
    root = tmp_path / "root"
    # Its checksum is in SHA256SUMS beside it, and the versions of psutil and PyYAML in agent.lock beside the script.
    arguments = ("agent", "--root", root, "--server", "https://monitor.example", "--wheel", wheel)
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    program, config = root / "opt/bongsu-agent/bin/bongsu", root / "etc/bongsu/agent.yml"
    assert config.read_text() == "server: https://monitor.example\ndata_dir: /var/lib/bongsu-agent\n"
    unit = root / "etc/systemd/system/bongsu-agent.service"
    assert unit.read_text() == (REPOSITORY / "deploy/systemd/bongsu-agent.service").read_text()
    assert "cpu_usage_ratio" in subprocess.run([program, "agent", "once"], capture_output=True, text=True).stdout

    config.write_text("server: https://other.example\n")
    (root / "var/lib/bongsu-agent/identity.json").write_text("{}")
    unit.unlink()
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert config.read_text() == "server: https://other.example\n", "the settings are kept"
    assert unit.exists(), "what was missing is there again"

    done = run(*arguments, "--sha256", hashlib.sha256(b"another file").hexdigest())
    assert done.returncode == 1
    assert "cannot be installed" in done.stderr
    assert program.exists(), "the installation of before is still there"

    assert run("agent", "--root", root, "--uninstall").returncode == 0
    assert not unit.exists()
    assert not program.exists()
    assert (root / "var/lib/bongsu-agent/identity.json").exists()
    assert run("agent", "--root", root, "--uninstall", "--purge").returncode == 0
    assert [path for path in root.rglob("*") if path.is_file()] == []
    assert run("agent", "--root", root, "--uninstall", "--purge").returncode == 0, "there is nothing left to remove"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        pytest.param([], 2, "usage:", id="nothing"),
        pytest.param(["client"], 2, "usage:", id="what there is not"),
        pytest.param(["server", "--colour", "red"], 2, "usage:", id="an option that there is not"),
        pytest.param(["server"], 1, "--wheel or --version", id="no package"),
        pytest.param(["server", "--wheel", "no.whl"], 1, "there is no file no.whl", id="a file that there is not"),
        pytest.param(["server", "--version", "1"], 1, "--sha256 with 64 digits", id="no checksum"),
        pytest.param(
            ["server", "--version", "1", "--sha256", "abc"], 1, "--sha256 with 64 digits", id="no such checksum"
        ),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, arguments: list[str], status: int, message: str) -> None:
    below = ["--root", str(tmp_path)] if arguments else []
    done = run(*arguments, *below)
    assert done.returncode == status
    assert message in done.stderr


@pytest.mark.parametrize("kind", ["agent", "server"])
def test_the_services_may_do_little(kind: str) -> None:
    need("systemd-analyze")
    unit = REPOSITORY / "deploy/systemd" / f"bongsu-{kind}.service"
    # A tenth of its scale, which ends at 10: 2.5.
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=25", "--no-pager", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
