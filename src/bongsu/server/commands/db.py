"""``bongsu db``: maintenance of the database."""

import argparse
import asyncio
import contextlib
import datetime as dt
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

from bongsu.core.clock import SystemClock
from bongsu.core.errors import BongsuError
from bongsu.core.units import format_bytes
from bongsu.server.commands.distribute import distribute
from bongsu.server.config import Settings, load_settings
from bongsu.server.database.backup import backup, restore
from bongsu.server.database.copy import Progress, copy_database
from bongsu.server.database.database import Database, open_database
from bongsu.server.database.distribution import MOST_SHARDS, SHARDS
from bongsu.server.database.in_use import using_database
from bongsu.server.database.migrations import upgrade
from bongsu.server.database.space import file_bytes
from bongsu.server.storage.check import check_database
from bongsu.server.storage.floors import floors
from bongsu.server.storage.stats import TierStats, tier_stats


def main(argv: Sequence[str]) -> int:
    """Returns the exit status: 0 success, 1 the data has problems, 2 the command failed."""
    options = _parser().parse_args(list(argv))
    try:
        settings = load_settings(options.config, data_dir=options.data_dir)
        status: int = asyncio.run(options.run(settings, options))
    except BongsuError as error:
        print(f"bongsu db: {error.message}", file=sys.stderr)
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bongsu db", description="Maintenance of the database.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--config", type=Path, metavar="FILE", help="settings, see config/server.yml")
    shared.add_argument("--data-dir", type=Path, metavar="DIR", help="directory of the database and keys")

    def add(name: str, run: Callable[..., object], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, parents=[shared], help=text, description=text)
        command.set_defaults(run=run)
        return command

    add("upgrade", _upgrade, "create the tables or bring them up to date (the API server does this too)")
    stats = add("stats", _stats, "show rows, bytes, bytes per sample, oldest and newest of each tier")
    stats.add_argument("--json", action="store_true", help="print one JSON object")
    add("check", _check, "verify all checksums and list what is damaged")
    command = add("backup", _backup, "write a consistent backup while Bongsu is running")
    command.add_argument("file", type=Path, metavar="FILE")
    command = add("restore", _restore, "replace the database with a backup while Bongsu is stopped")
    command.add_argument("file", type=Path, metavar="FILE")
    command = add(
        "copy",
        _copy,
        "copy to another database, for example from SQLite to PostgreSQL; continues after an interruption",
    )
    command.add_argument("--from", dest="source", metavar="URL", help="default: the database from the settings")
    command.add_argument(
        "--to", dest="target", metavar="URL", required=True, help="for example postgresql://user@host/bongsu"
    )
    command = add("distribute", _distribute, "distribute the tables of metrics over the nodes of Citus")
    command.add_argument("--shards", type=_shards, metavar="N", help=f"how many parts to make (default: {SHARDS})")
    return parser


def _shards(argument: str) -> int:
    if not argument.isdecimal() or not 1 <= int(argument) <= MOST_SHARDS:
        raise argparse.ArgumentTypeError(f"a number from 1 to {MOST_SHARDS}")
    return int(argument)


@contextlib.asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Database]:
    database = open_database(url)
    try:
        yield database
    finally:
        await database.close()


async def _upgrade(settings: Settings, _options: argparse.Namespace) -> int:
    async with _opened(settings.effective_database_url) as database:
        before, after = await database.write(upgrade, patient=True)
    if before == after:
        print(f"The database is up to date (revision {after}).")
    else:
        print(f"The database was upgraded from {before or 'empty'} to revision {after}.")
    return 0


async def _stats(settings: Settings, options: argparse.Namespace) -> int:
    async with _opened(settings.effective_database_url) as database:
        tiers = await database.read(tier_stats)
        size = await database.read(file_bytes)
        known = await database.read(floors)
    if options.json:
        fields = [{name: getattr(tier, name) for name in (*TierStats.__slots__, "bytes_per_sample")} for tier in tiers]
        print(json.dumps({"bytes": size, "tiers": fields, "given_up_before_ms": {str(k): v for k, v in known.items()}}))
        return 0
    print(f"{'tier':<10} {'rows':>9} {'samples':>15} {'size':>10} {'bytes/sample':>12}  {'oldest':<16}  newest (UTC)")
    for tier in tiers:
        each = "" if tier.bytes_per_sample is None else f"{tier.bytes_per_sample:.3f}"
        samples = f"{tier.samples:,}" if tier.samples else ""
        print(
            f"{tier.name:<10} {tier.rows:>9,} {samples:>15} {format_bytes(tier.bytes):>10} {each:>12}  "
            f"{_moment(tier.oldest_ms):<16}  {_moment(tier.newest_ms)}"
        )
    print(f"\nWhole database: {format_bytes(size)}, including keys, indexes and free pages.")
    return 0


def _moment(time_ms: int | None) -> str:
    return "" if time_ms is None else f"{dt.datetime.fromtimestamp(time_ms / 1000, dt.UTC):%Y-%m-%d %H:%M}"


async def _check(settings: Settings, _options: argparse.Namespace) -> int:
    problems = 0
    async with _opened(settings.effective_database_url) as database:
        async for problem in check_database(database):
            problems += 1
            print(problem)
    print(f"{problems} problems found." if problems else "No problems found.")
    return 1 if problems else 0


async def _backup(settings: Settings, options: argparse.Namespace) -> int:
    async with _opened(settings.effective_database_url) as database:
        with _progress() as progress:
            await backup(database, options.file, progress)
    print(f"{options.file}: {format_bytes(options.file.stat().st_size)}.")
    print("Keep a copy of secret.key as well: without it, stored passwords and keys cannot be decrypted.")
    return 0


async def _restore(settings: Settings, options: argparse.Namespace) -> int:
    with _progress() as progress:
        before = await restore(options.file, settings.effective_database_url, progress)
    print(f"{options.file} was restored." + (f" The previous database is now {before}." if before else ""))
    return 0


async def _copy(settings: Settings, options: argparse.Namespace) -> int:
    source_url = options.source or settings.effective_database_url
    async with _opened(source_url) as source, _opened(options.target) as target:
        with using_database(source, alone=True), using_database(target, alone=True), _progress() as progress:
            copied = await copy_database(source, target, progress)
    print(f"{copied:,} rows copied; the target is complete. Set BONGSU_DATABASE_URL to use it.")
    return 0


async def _distribute(settings: Settings, options: argparse.Namespace) -> int:
    async with _opened(settings.effective_database_url) as database:
        async for line in distribute(database, SystemClock(), options.shards):
            print(line, flush=True)
    return 0


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """A progress bar for each table on a terminal; nothing in a file or pipe."""
    if not sys.stderr.isatty():
        yield lambda _table, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def show(table: str, done: int, total: int) -> None:
            if table not in tasks:
                if not total:
                    return
                tasks[table] = bars.add_task(table, total=total)
            bars.update(tasks[table], completed=done)

        yield show
