"""``bongsu db``: care of the database."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from bongsu.core.errors import BongsuError
from bongsu.server.config import load_settings
from bongsu.server.migrations import upgrade
from bongsu.server.storage.database import open_database


def main(argv: Sequence[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="bongsu db", description="Care of the database.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser(
        "upgrade", help="make the tables, or bring them up to date (the API server does it as well)"
    )
    one.add_argument("--config", type=Path, metavar="FILE", help="settings, see config/server.yml")
    one.add_argument("--data-dir", type=Path, metavar="DIR", help="where everything is kept")
    options = parser.parse_args(list(argv))
    try:
        settings = load_settings(options.config, data_dir=options.data_dir)
        before, after = asyncio.run(_upgrade(settings.effective_database_url))
    except BongsuError as error:
        print(f"bongsu db: {error.message}", file=sys.stderr)
        return 2
    if before == after:
        print(f"The database is up to date (revision {after}).")
    else:
        print(f"The database was upgraded from {before or 'empty'} to revision {after}.")
    return 0


async def _upgrade(url: str) -> tuple[str | None, str | None]:
    database = open_database(url)
    try:
        return await database.write(upgrade)
    finally:
        await database.close()
