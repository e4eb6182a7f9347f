"""``bongsu rules``: rules as a file."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from bongsu.alerts.rulebook import dump_rules
from bongsu.core.clock import SystemClock
from bongsu.core.errors import BongsuError
from bongsu.server.alerts.queries.rules import Imported, import_rules, load_rules
from bongsu.server.alerts.rules_file import read_rules
from bongsu.server.config import Settings, load_settings
from bongsu.server.database.database import open_database
from bongsu.server.database.migrations import upgrade


def main(argv: Sequence[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="bongsu rules", description="Rules for alerts, as a YAML file.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="read a file and say what is wrong with it; changes nothing")
    check.add_argument("file", type=Path, metavar="FILE")
    export = commands.add_parser("export", help="print all rules")
    export.add_argument("--output", type=Path, metavar="FILE", help="write them there instead")
    bring = commands.add_parser("import", help="create and update rules by name; what people changed stays")
    bring.add_argument("file", type=Path, metavar="FILE")
    for one in (export, bring):
        one.add_argument("--config", type=Path, metavar="SETTINGS", help="settings, see config/server.yml")
        one.add_argument("--data-dir", type=Path, metavar="DIR", help="where everything is kept")
    options = parser.parse_args(list(argv))
    try:
        if options.command == "check":
            print(f"{len(read_rules(options.file))} rules, all of them well.")
            return 0
        settings = load_settings(options.config, data_dir=options.data_dir)
        if options.command == "export":
            text = asyncio.run(_export(settings))
            if options.output:
                options.output.write_text(text, "utf-8")
            else:
                print(text, end="")
            return 0
        done = asyncio.run(_import(settings, options.file))
    except (BongsuError, OSError) as error:
        print(f"bongsu rules: {error}", file=sys.stderr)
        return 2
    for what, names in (("created", done.created), ("updated", done.updated), ("as they were", done.unchanged)):
        if names:
            print(f"{what}: {', '.join(names)}")
    if done.kept:
        print(f"left alone, as people changed or deleted them: {', '.join(done.kept)}")
    return 0


async def _export(settings: Settings) -> str:
    database = open_database(settings.effective_database_url)
    try:
        await database.write(upgrade)
        return dump_rules([stored.rule for stored in await database.read(load_rules)])
    finally:
        await database.close()


async def _import(settings: Settings, file: Path) -> Imported:
    rules = read_rules(file)
    database = open_database(settings.effective_database_url)
    try:
        await database.write(upgrade)
        now_ms = SystemClock().now_ms()
        return await database.write(lambda connection: import_rules(connection, rules, now_ms))
    finally:
        await database.close()
