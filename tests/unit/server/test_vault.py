"""The vault: one secret, a key for each purpose."""

import base64
import os
import stat
from pathlib import Path

import pytest

from bongsu.core.errors import ConfigError
from bongsu.server.vault import FILE_NAME, WrongSecret, open_vault


def test_the_first_start_makes_a_secret_that_later_ones_find(tmp_path: Path) -> None:
    stored = open_vault(tmp_path / "new").encrypt(b"smtp password", "channels")
    assert b"password" not in stored
    assert open_vault(tmp_path / "new").decrypt(stored, "channels") == b"smtp password"
    file = tmp_path / "new" / FILE_NAME
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in file.parent.iterdir()] == [FILE_NAME]


def test_each_purpose_has_a_key_of_its_own(tmp_path: Path) -> None:
    vault = open_vault(tmp_path)
    assert vault.key("channels") != vault.key("signing")
    with pytest.raises(WrongSecret):
        vault.decrypt(vault.encrypt(b"secret", "channels"), "signing")


def test_a_secret_from_the_settings_needs_no_file(tmp_path: Path) -> None:
    secret = base64.b64encode(bytes(range(32))).decode()
    stored = open_vault(tmp_path, secret).encrypt(b"x", "channels")
    assert open_vault(tmp_path / "elsewhere", secret).decrypt(stored, "channels") == b"x"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(WrongSecret):
        open_vault(tmp_path).decrypt(stored, "channels")


@pytest.mark.parametrize("secret", [pytest.param("hunter-2", id="no base64"), pytest.param("c2hvcnQ=", id="too short")])
def test_a_weak_secret_is_refused_without_showing_it(tmp_path: Path, secret: str) -> None:
    with pytest.raises(ConfigError, match="openssl rand") as error:
        open_vault(tmp_path, secret)
    assert secret not in str(error.value)
