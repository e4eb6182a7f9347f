"""The identity of the agent and the facts about its machine."""

from pathlib import Path
from uuid import UUID

import pytest

from bongsu.agent.identity import host_facts, load_identity
from bongsu.core.errors import ConfigError


def test_the_identity_is_generated_once(tmp_path: Path) -> None:
    first = load_identity(str(tmp_path / "new"), "machine")
    assert UUID(first.agent_id).version == 4
    again = load_identity(str(tmp_path / "new"), "machine")
    assert (again.agent_id, again.notice) == (first.agent_id, "")
    assert (tmp_path / "new/identity.json").stat().st_mode & 0o077 == 0


def test_a_cloned_disk_gets_a_new_identity(tmp_path: Path) -> None:
    first = load_identity(str(tmp_path), "machine")
    clone = load_identity(str(tmp_path), "another machine")
    assert clone.agent_id != first.agent_id
    assert "comes from another machine" in clone.notice
    assert load_identity(str(tmp_path), "another machine").notice == ""


def test_a_machine_without_an_id_keeps_its_identity(tmp_path: Path) -> None:
    first = load_identity(str(tmp_path), "machine")
    assert load_identity(str(tmp_path), "").agent_id == first.agent_id


@pytest.mark.parametrize("content", ["", "{", "[]", '{"agent_id": 7}', '{"agent_id": "short"}'])
def test_a_damaged_identity_is_replaced_and_reported(tmp_path: Path, content: str) -> None:
    (tmp_path / "identity.json").write_text(content)
    identity = load_identity(str(tmp_path), "machine")
    assert "was damaged" in identity.notice
    assert load_identity(str(tmp_path), "machine").agent_id == identity.agent_id


def test_a_data_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot be used: .* Choose another with --data-dir"):
        load_identity(str(tmp_path / "file"), "machine")


def test_facts_of_this_machine() -> None:
    import psutil

    facts = host_facts(psutil)
    assert facts.hostname
    assert facts.os
    assert facts.kernel
    assert facts.cpu_count >= 1
    assert facts.memory_total_bytes > 1024**2
    assert facts.boot_time_ms > 1_000_000_000_000
