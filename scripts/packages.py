"""Builds the packages: ``python -m scripts.packages INTO``. ``make wheel`` builds dashboard and help first."""

import hashlib
import subprocess
import sys
from pathlib import Path

from bongsu.server.agent_package import WHEEL, agent_wheel

ROOT = Path(__file__).parent.parent


def build(into: Path) -> None:
    """Writes both wheels, and SHA256SUMS as ``sha256sum -c`` reads it."""
    for folder in ("static", "help"):
        if not (ROOT / "src/bongsu/server" / folder / "index.html").is_file():
            sys.exit("The dashboard or the help is not built: run 'make wheel'.")
    into.mkdir(parents=True, exist_ok=True)
    for old in into.glob("bongsu*.whl"):
        old.unlink()
    # In a virtual environment of its own it would have to fetch hatchling; this one has it, locked.
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(into.resolve())]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (into / WHEEL).write_bytes(agent_wheel())
    wheels = sorted(into.glob("bongsu*.whl"))
    sums = "".join(f"{hashlib.sha256(wheel.read_bytes()).hexdigest()}  {wheel.name}\n" for wheel in wheels)
    (into / "SHA256SUMS").write_text(sums, encoding="utf-8")
    print(*wheels, sep="\n")


if __name__ == "__main__":
    build(Path(sys.argv[1]))
