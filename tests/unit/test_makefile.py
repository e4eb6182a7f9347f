"""What the targets of the Makefile start."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.repository import REPOSITORY

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        pytest.param({}, "data", id="in the repository"),
        pytest.param({"BONGSU_DATA_DIR": "/var/lib/my bongsu"}, "/var/lib/my bongsu", id="where the variable says"),
    ],
)
def test_where_make_run_keeps_its_data(tmp_path: Path, environment: dict[str, str], folder: str) -> None:
    program = tmp_path / "bongsu"
    program.write_text('#!/bin/sh\necho "$BONGSU_DATA_DIR: $*"\n')
    program.chmod(0o700)
    variables = {name: value for name, value in os.environ.items() if not name.startswith("BONGSU_")} | environment
    # As if everything were installed.
    command = [
        "make",
        "-s",
        "-o",
        ".stamps/bongsu",
        "-o",
        ".stamps/dashboard",
        "-o",
        ".stamps/docs",
        "run",
        f"BIN={tmp_path}",
        "ARGS=--port 1",
    ]
    output = subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=True).stdout
    assert output == f"{folder}: up --port 1\n"
