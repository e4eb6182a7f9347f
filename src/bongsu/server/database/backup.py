"""Backups: a consistent copy in one SQLite file, whatever the engine, made while Bongsu runs.

A backup is written under a temporary name and renamed when it is complete and on disk, so a file with its name is
complete.
"""

import asyncio
import contextlib
import os
import sqlite3
from pathlib import Path

from bongsu.core.errors import BongsuError
from bongsu.server.database.copy import Progress, copy_database
from bongsu.server.database.database import Database, SqliteDatabase, make_private, open_database
from bongsu.server.database.in_use import using
from bongsu.server.database.migrations import revisions


class BackupFailed(BongsuError):
    """The backup could not be made or restored."""

    code = "backup_failed"


async def backup(database: Database, file: Path, progress: Progress) -> None:
    """Writes a backup to ``file``.

    Raises:
        BackupFailed: the file exists, or cannot be written.
    """
    if await asyncio.to_thread(file.exists):
        raise BackupFailed(f"{file} already exists.")
    partial = file.with_name(file.name + ".partial")
    _remove(partial)
    try:
        if isinstance(database, SqliteDatabase):
            _copy_file(database.path, partial)
        else:
            target = open_database(f"sqlite:///{partial}")
            try:
                async with database.snapshot() as source:
                    await copy_database(source, target, progress)
            finally:
                await target.close()
            _one_file(partial)
        _check(partial)
        _sync(partial)
        os.replace(partial, file)
        _sync(file.parent)
    except (OSError, sqlite3.Error) as error:
        raise BackupFailed(f"{file} cannot be written: {error}.") from error


async def restore(file: Path, url: str, progress: Progress) -> Path | None:
    """Replaces the database ``url`` with a backup. Returns where the old database was moved to, if there was one.

    Raises:
        BackupFailed: not a backup of this or an older version, or the database (PostgreSQL) is not empty.
        InUse: Bongsu is running on the database.
    """
    if not await asyncio.to_thread(file.is_file):
        raise BackupFailed(f"{file} does not exist.")
    _check(file)
    target = open_database(url)
    try:
        if not isinstance(target, SqliteDatabase):
            await _restore_rows(file, target, progress)
            return None
    finally:
        await target.close()
    with using(target.path, alone=True):
        partial = target.path.with_name(target.path.name + ".partial")
        _remove(partial)
        try:
            _copy_file(file, partial)
            _sync(partial)
            old_database = _put_aside(target.path)
            os.replace(partial, target.path)
            _sync(target.path.parent)
        except (OSError, sqlite3.Error) as error:
            raise BackupFailed(f"{target.path} cannot be written: {error}.") from error
    return old_database


async def _restore_rows(file: Path, target: Database, progress: Progress) -> None:
    source = open_database(f"sqlite:///{file}")
    try:
        await copy_database(source, target, progress)
    finally:
        await source.close()
        _one_file(file)


def _copy_file(source: Path, target: Path) -> None:
    """SQLite's own consistent copy; writers can go on meanwhile."""
    make_private(target)
    with (
        contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=60)) as origin,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        # In one step: a copy in several steps starts again whenever somebody writes in between.
        origin.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def _one_file(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")


def _check(file: Path) -> None:
    """Raises BackupFailed for a file that is not a database of Bongsu, or of a newer version."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ("none",)
    except sqlite3.Error as error:
        raise BackupFailed(f"{file} is not a backup: {error}.") from None
    if answer != "ok":
        raise BackupFailed(f"{file} is damaged: {answer}.")
    if revision not in revisions():
        raise BackupFailed(f"{file} has revision {revision}, which a newer version of Bongsu made: upgrade Bongsu.")


def _put_aside(path: Path) -> Path | None:
    """Moves a database and its log to a free name."""
    if not path.exists():
        return None
    _one_file(path)
    number = 1
    while (aside := path.with_name(f"{path.name}.before-restore-{number}")).exists():
        number += 1
    os.replace(path, aside)
    for suffix in ("-wal", "-shm"):
        _remove(path.with_name(path.name + suffix))
    return aside


def _remove(file: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    if os.name != "posix" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
