"""The data directory, where the agent keeps its identity, token, unsent frames and status. One process holds it."""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from bongsu.core.errors import ConfigError


def default_data_dir(environment: Mapping[str, str] = os.environ) -> str:
    if environment.get("STATE_DIRECTORY"):  # systemd's StateDirectory=
        return environment["STATE_DIRECTORY"].split(":")[0]
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        return os.path.join(environment.get("PROGRAMDATA", home), "Bongsu", "agent")
    is_root = os.geteuid() == 0
    if sys.platform == "darwin":
        return os.path.join("/" if is_root else home, "Library", "Application Support", "Bongsu", "agent")
    if is_root:
        return "/var/lib/bongsu/agent"
    return os.path.join(environment.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share"), "bongsu", "agent")


def make_data_dir(path: str) -> None:
    """Raises OSError."""
    os.makedirs(path, mode=0o750, exist_ok=True)


def lock_data_dir(path: str) -> int:
    """Locks the data directory until this process ends. Returns the file descriptor that holds the lock.

    Raises:
        ConfigError: another agent holds the lock.
    """
    descriptor = os.open(os.path.join(path, "lock"), os.O_RDWR | os.O_CREAT, 0o640)
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise ConfigError(f"Another agent already uses {path}. Give this one its own --data-dir.") from None
    return descriptor


def write_private_json(path: str, content: Mapping[str, Any]) -> None:
    """Replaces the file in one step, so that a crash leaves the old or the new content. Only its owner can read it.

    Raises:
        OSError: it cannot be written.
    """
    temporary = f"{path}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
