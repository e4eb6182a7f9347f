"""Builds the TypeScript client as a package of npm: ``python -m scripts.typescript_client INTO`` (``make client``).

Its methods and types are generated from frontend/openapi.json, with the tools of the dashboard; no network is needed.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bongsu import __version__

ROOT = Path(__file__).parent.parent
FRONTEND = ROOT / "frontend"
TOOLS = FRONTEND / "node_modules" / ".bin"


def _run(folder: Path, *command: str | Path) -> None:
    """Runs a tool of Node; ends the program with what the tool says if it fails."""
    path = os.pathsep.join([str(ROOT / ".node" / "bin"), os.environ["PATH"]])
    done = subprocess.run(command, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{Path(command[0]).name}: {done.stdout}{done.stderr}")


def build(into: Path) -> Path:
    """Writes the package into the folder, and returns its path."""
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        package = Path(temporary, "package")
        shutil.copytree(ROOT / "clients" / "typescript", package)
        shutil.copy(ROOT / "LICENSE", package)
        words = ["-f", package / "openapi-ts.config.mjs", "-i", FRONTEND / "openapi.json", "--no-log-file"]
        _run(FRONTEND, TOOLS / "openapi-ts", *words)
        _run(package, TOOLS / "tsc", "--project", package)
        description = package / "package.json"
        description.write_text(json.dumps(json.loads(description.read_text()) | {"version": __version__}, indent=2))
        _run(package, "npm", "pack", "--pack-destination", into.resolve())
    return into / f"bongsu-client-{__version__}.tgz"


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))
