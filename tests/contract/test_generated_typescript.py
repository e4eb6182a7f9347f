"""The dashboard's committed generated code is what the schema and the OpenAPI document make today."""

import os
import subprocess
from pathlib import Path

from tests.support.repository import REPOSITORY

FRONTEND = REPOSITORY / "frontend"


def run(*words: str) -> None:
    """Runs a tool of the dashboard's packages with the project's own Node."""
    path = os.pathsep.join(
        [str(REPOSITORY / ".node" / "bin"), str(FRONTEND / "node_modules" / ".bin"), os.environ["PATH"]]
    )
    done = subprocess.run(words, cwd=FRONTEND, env=os.environ | {"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr} (has `make setup` run?)"


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_the_wire_code_is_up_to_date(tmp_path: Path) -> None:
    run("npm", "run", "--silent", "gen:proto", "--", "--output", str(tmp_path))
    for folder in ("app/api/proto", "tests/proto"):
        made = files(tmp_path / folder)
        assert made
        assert made == files(FRONTEND / folder), "run `make proto`"


def test_the_api_client_is_up_to_date(tmp_path: Path) -> None:
    run("openapi-ts", "--output", str(tmp_path / "generated"))
    made = files(tmp_path / "generated")
    assert made
    assert made == files(FRONTEND / "app" / "api" / "generated"), "run `make api`"
