"""The TypeScript client, built and installed once for all tests here."""

from pathlib import Path

import pytest
from scripts.typescript_client import build

from tests.support.typescript import run


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of npm."""
    return build(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def project(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with the package installed, without a network."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "package.json").write_text('{"type": "module", "private": true}')
    run(folder, "npm", "install", "--offline", "--no-audit", "--no-fund", package)
    return folder
