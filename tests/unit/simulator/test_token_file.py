"""The file with the tokens of simulated servers."""

import stat
import sys
from pathlib import Path

import pytest

from bongsu.core.errors import ConfigError
from bongsu.simulator.token_file import FILE, Credential, TokenFile

FIRST, SECOND = Credential("id-1", "token-1"), Credential("id-2", "token-2")


def test_a_second_run_knows_the_servers_of_the_first(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "new", "fleet")
    tokens.store(0, FIRST)
    tokens.store(7, FIRST)
    tokens.store(7, SECOND)
    tokens.close()
    tokens = TokenFile(tmp_path / "new", "fleet")
    assert (tokens.get(0), tokens.get(7), tokens.get(1)) == (FIRST, SECOND, None)
    tokens.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    TokenFile(tmp_path / "new", "fleet").close()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new" / FILE).stat().st_mode) == 0o600


def test_fleets_are_kept_apart(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path, "one")
    tokens.store(0, FIRST)
    tokens.close()
    tokens = TokenFile(tmp_path, "two")
    assert tokens.get(0) is None
    tokens.close()


def test_a_line_that_was_cut_short_costs_only_its_server(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path, "fleet")
    tokens.store(0, FIRST)
    tokens.close()
    with (tmp_path / FILE).open("a") as stream:
        stream.write('{"fleet": "fleet", "ind')
    tokens = TokenFile(tmp_path, "fleet")
    tokens.store(1, SECOND)
    tokens.close()
    tokens = TokenFile(tmp_path, "fleet")
    assert (tokens.get(0), tokens.get(1)) == (FIRST, SECOND)
    tokens.close()


@pytest.mark.skipif(sys.platform == "win32", reason="the lock is one of Unix")
def test_one_simulator_at_a_time(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path, "fleet")
    with pytest.raises(ConfigError, match="Another simulator already uses"):
        TokenFile(tmp_path, "another")
    tokens.close()
    TokenFile(tmp_path, "another").close()


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"--data-dir: .* cannot be used"):
        TokenFile(tmp_path / "file", "fleet")
