"""``bongsu server list | retire | restore | delete``: what becomes of monitored servers.

It works on the database, beside a running API server, which learns of a change within a second.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection

from bongsu.core.clock import SystemClock
from bongsu.core.errors import BongsuError, Conflict, NotFound
from bongsu.core.text import visible
from bongsu.server.auth import retirement
from bongsu.server.auth.audit import Actor
from bongsu.server.commands.transaction import in_transaction
from bongsu.server.config import Settings, load_settings
from bongsu.server.fleet.servers import ServerRecord, load_servers

ACTOR = Actor("system", "command line")


def main(argv: Sequence[str]) -> int:
    """Returns the exit status."""
    options = _parser().parse_args(list(argv))
    try:
        settings = load_settings(options.config, data_dir=options.data_dir)
        return int(options.run(settings, options))
    except BongsuError as error:
        print(f"bongsu server: {error.message}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bongsu server", description="Manage the monitored servers.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, metavar="FILE", help="settings, see config/server.yml")
    common.add_argument("--data-dir", type=Path, metavar="DIR", help="directory of the database and keys")
    for name, run, text in (
        ("list", _list, "list all servers, including retired ones"),
        ("retire", _retire, "keep a server's history, but expect no more of it"),
        ("restore", _restore, "put a retired server back into service"),
        ("delete", _delete, "delete a server with all its data"),
    ):
        command = commands.add_parser(name, parents=[common], help=text)
        command.set_defaults(run=run)
        if name != "list":
            command.add_argument("server", metavar="SERVER", help="its id or name, see bongsu server list")
        if name == "delete":
            command.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    return parser


def _find(connection: Connection, wanted: str) -> ServerRecord:
    """The server with this id or name.

    Raises:
        NotFound: there is none.
        Conflict: several have this name.
    """
    records = load_servers(connection)
    matches = [record for record in records if str(record.id) == wanted]
    matches = matches or [record for record in records if record.agent.name == wanted]
    if not matches:
        raise NotFound(f"There is no server {wanted}.")
    if len(matches) > 1:
        ids = ", ".join(str(record.id) for record in matches)
        raise Conflict(f"Several servers are called {wanted}; name one by its id: {ids}.")
    return matches[0]


def _list(settings: Settings, options: argparse.Namespace) -> int:
    for record in in_transaction(settings, load_servers):
        seen = datetime.fromtimestamp(record.last_seen_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
        note = "  (retired)" if record.retired_ms else ""
        print(f"{record.id:6}  {visible(record.agent.name):40} last seen {seen}{note}")
    return 0


def _retire(settings: Settings, options: argparse.Namespace) -> int:
    now_ms = SystemClock().now_ms()
    record = in_transaction(settings, lambda connection: _apply(connection, retirement.retire, options.server, now_ms))
    print(f"Server {record.id} ({visible(record.agent.name)}) is retired.")
    return 0


def _restore(settings: Settings, options: argparse.Namespace) -> int:
    now_ms = SystemClock().now_ms()
    record = in_transaction(settings, lambda connection: _apply(connection, retirement.restore, options.server, now_ms))
    print(f"Server {record.id} ({visible(record.agent.name)}) is in service.")
    return 0


def _delete(settings: Settings, options: argparse.Namespace) -> int:
    record = in_transaction(settings, lambda connection: _find(connection, options.server))
    name = f"server {record.id} ({visible(record.agent.name)})"
    if not options.yes and not _confirmed(f"Delete {name} with its samples, alerts and token? This cannot be undone."):
        print("Nothing was deleted.", file=sys.stderr)
        return 1
    now_ms = SystemClock().now_ms()
    in_transaction(settings, lambda connection: retirement.delete(connection, ACTOR, record.id, now_ms))
    print(f"Deleted {name}. The worker deletes its data within some minutes.")
    return 0


def _apply(
    connection: Connection, action: Callable[[Connection, Actor, int, int], ServerRecord], wanted: str, now_ms: int
) -> ServerRecord:
    return action(connection, ACTOR, _find(connection, wanted).id, now_ms)


def _confirmed(question: str) -> bool:
    """Asks a person. Where nobody answers, the answer is no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print(file=sys.stderr)
        return False
