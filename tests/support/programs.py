"""System programs that some tests need."""

import os
import shutil

import pytest


def need(program: str) -> None:
    """Skips the test on a laptop without the program; fails in CI, where a test that never runs would go unnoticed."""
    if shutil.which(program):
        return
    if os.environ.get("CI"):
        pytest.fail(f"{program} is not installed, and CI must have it")
    pytest.skip(f"{program} is not installed")
