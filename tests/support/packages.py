"""The packages that people install, in virtual environments of their own."""

import subprocess
import sys
from pathlib import Path

from tests.support.repository import REPOSITORY


def built_packages(into: Path) -> list[Path]:
    """Builds both wheels, as ``make wheel`` does after the dashboard: bongsu and bongsu-agent."""
    subprocess.run([sys.executable, "-m", "scripts.packages", str(into)], cwd=REPOSITORY, check=True)
    return sorted(into.glob("*.whl"))


def installed(wheel: Path, lock: str, into: Path) -> Path:
    """Installs a wheel with locked packages into an empty virtual environment; returns its ``bongsu``."""
    uv = [str(Path(sys.executable).with_name("uv"))]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(into)], check=True)
    install = [*uv, "pip", "install", "--quiet", "--python", str(into)]
    subprocess.run([*install, "--require-hashes", "--requirement", str(REPOSITORY / "deploy" / lock)], check=True)
    # Offline: what the wheel requires must be in the lock file.
    subprocess.run([*install, "--offline", str(wheel)], check=True)
    return into / "bin" / "bongsu"
