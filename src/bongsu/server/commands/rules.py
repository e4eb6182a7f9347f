"""``bongsu rules``: checks, imports and exports rules files."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from bongsu.alerts.rules_file import dump_rules, read_rules
from bongsu.core.clock import SystemClock
from bongsu.core.errors import BongsuError
from bongsu.server.alerts.queries.rules import Imported, import_rules, load_rules
from bongsu.server.config import Settings, load_settings
from bongsu.server.database.database import open_database
from bongsu.server.database.migrations import upgrade


def main(argv: Sequence[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="bongsu rules", description="Check, import and export alert rules (YAML).")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check_parser = commands.add_parser("check", help="check a file and report errors; changes nothing")
    check_parser.add_argument("file", type=Path, metavar="FILE")
    export_parser = commands.add_parser("export", help="print all rules")
    export_parser.add_argument("--output", type=Path, metavar="FILE", help="write to this file instead")
    import_parser = commands.add_parser(
        "import", help="create and update rules by name; rules that people changed or deleted stay as they are"
    )
    import_parser.add_argument("file", type=Path, metavar="FILE")
    for subparser in (export_parser, import_parser):
        subparser.add_argument("--config", type=Path, metavar="SETTINGS", help="settings file, see config/server.yml")
        subparser.add_argument("--data-dir", type=Path, metavar="DIR", help="data directory of the API server")
    options = parser.parse_args(list(argv))
    try:
        if options.command == "check":
            print(f"{options.file}: {len(read_rules(options.file))} rules, no errors")
            return 0
        settings = load_settings(options.config, data_dir=options.data_dir)
        if options.command == "export":
            text = asyncio.run(_export(settings))
            if options.output:
                options.output.write_text(text, "utf-8")
            else:
                print(text, end="")
            return 0
        imported = asyncio.run(_import(settings, options.file))
    except (BongsuError, OSError) as error:
        print(f"bongsu rules: {error}", file=sys.stderr)
        return 2
    for outcome, names in (
        ("created", imported.created),
        ("updated", imported.updated),
        ("unchanged", imported.unchanged),
        ("not imported because people changed or deleted them", imported.kept),
    ):
        if names:
            print(f"{outcome}: {', '.join(names)}")
    return 0


async def _export(settings: Settings) -> str:
    database = open_database(settings.effective_database_url)
    try:
        await database.write(upgrade, patient=True)
        return dump_rules([stored.rule for stored in await database.read(load_rules)])
    finally:
        await database.close()


async def _import(settings: Settings, file: Path) -> Imported:
    rules = read_rules(file)
    database = open_database(settings.effective_database_url)
    try:
        await database.write(upgrade, patient=True)
        now_ms = SystemClock().now_ms()
        return await database.write(lambda connection: import_rules(connection, rules, now_ms))
    finally:
        await database.close()
