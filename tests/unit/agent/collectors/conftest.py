"""Trees of /proc that tests write."""

from pathlib import Path

import psutil
import pytest

from bongsu.agent.collectors.base import Options


@pytest.fixture
def proc(tmp_path: Path):
    def write(**files: str) -> Options:
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return Options(proc=str(tmp_path))

    return write


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def write(**files: str) -> Path:
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
        return tmp_path

    return write
