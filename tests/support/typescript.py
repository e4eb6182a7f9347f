"""Programs in TypeScript, checked and run with the project's own Node."""

import os
import subprocess
from pathlib import Path

from tests.support.repository import REPOSITORY

TSC = REPOSITORY / "frontend" / "node_modules" / ".bin" / "tsc"
# As a new project has them.
STRICT = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2023"]


def run(folder: Path, *command: str | Path) -> str:
    """Runs a tool in ``folder``; its output."""
    path = os.pathsep.join([str(REPOSITORY / ".node" / "bin"), os.environ["PATH"]])
    done = subprocess.run(command, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


def check_and_run(project: Path, name: str, program: str) -> str:
    """What a program prints whose types are right."""
    file = project / f"{name}.ts"
    file.write_text(program)
    run(project, TSC, *STRICT, file)
    return run(project, "node", file)
