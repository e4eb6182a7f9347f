"""The data directory and its lock."""

import os
from pathlib import Path

import pytest

from bongsu.agent.config import (
    default_data_dir,
)
from bongsu.agent.data_dir import lock_data_dir
from bongsu.core.errors import ConfigError


def test_only_one_agent_can_use_a_data_directory(tmp_path: Path) -> None:
    lock = lock_data_dir(str(tmp_path))
    with pytest.raises(ConfigError, match="Another agent already uses"):
        lock_data_dir(str(tmp_path))
    os.close(lock)
    os.close(lock_data_dir(str(tmp_path)))


def test_systemd_sets_the_data_directory() -> None:
    assert default_data_dir({"STATE_DIRECTORY": "/var/lib/bongsu-agent"}) == "/var/lib/bongsu-agent"
