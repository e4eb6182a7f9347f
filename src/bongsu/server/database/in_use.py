"""Tells whether a process uses a SQLite database: a lock on a file beside it, which ends with the process.

Several processes may use a database together, but nobody may replace its file meanwhile.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from bongsu.core.errors import BongsuError
from bongsu.server.config import not_writable
from bongsu.server.database.database import Database, SqliteDatabase

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be replaced anyway
    fcntl = None  # type: ignore[assignment]


class InUse(BongsuError):
    """Bongsu is running on this database; stop it first."""

    code = "database_in_use"


def using_database(database: Database, *, alone: bool = False) -> AbstractContextManager[None]:
    """``using`` for a SQLite file; nothing for a database server."""
    return using(database.path, alone=alone) if isinstance(database, SqliteDatabase) else contextlib.nullcontext()


@contextlib.contextmanager
def using(database: Path, *, alone: bool = False) -> Iterator[None]:
    """Holds the lock, shared with others or ``alone``.

    Raises:
        InUse: others use the database, or another process holds it alone.
        ConfigError: its directory cannot be written.
    """
    if fcntl is None:
        yield
        return
    try:
        database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(database.with_name(database.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise not_writable(database.parent, error) from None
    try:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"{database} is in use: stop Bongsu first.") from None
        yield
    finally:
        os.close(descriptor)
