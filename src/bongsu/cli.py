"""The command ``bongsu``. Each subcommand is imported only when it runs, so that the agent stays small."""

import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec

USAGE = """\
usage: bongsu COMMAND ...

  up        run everything on this machine: API server, worker and an agent
  server    run the API server and its worker; manage monitored servers: list, retire, restore, delete
  agent     monitor this machine and send to an API server
  watch     show a server live in the terminal, from an API server
  db        maintain the database: upgrade, stats, check, backup, restore, copy
  config    show the settings that count, and check them
  user      manage users: create, list, password, role, disable, enable, delete, reset-second-factor
  auth      manage the keys that sign logins: rotate-keys
  rules     manage alert rules as a file: check, import, export
  health    ask an API server whether it runs, for health checks of containers
  import    bring history from Prometheus, OpenMetrics dumps or InfluxDB files into an API server
  simulate  run a simulated fleet against an API server, for demos and load tests

  See bongsu COMMAND --help for details.   bongsu --version
"""


def _up(argv: Sequence[str]) -> int:
    from bongsu.up import main

    return main(argv)


def _server(argv: Sequence[str]) -> int:
    if argv and argv[0] in ("list", "retire", "restore", "delete"):
        from bongsu.server.commands.server import main as manage

        return manage(argv)
    from bongsu.server.main import main

    return main(argv)


def _agent(argv: Sequence[str]) -> int:
    from bongsu.agent.main import main

    return main(argv)


def _watch(argv: Sequence[str]) -> int:
    from bongsu.watch.main import main

    return main(argv)


def _db(argv: Sequence[str]) -> int:
    from bongsu.server.commands.db import main

    return main(argv)


def _config(argv: Sequence[str]) -> int:
    from bongsu.server.commands.config import main

    return main(argv)


def _user(argv: Sequence[str]) -> int:
    from bongsu.server.commands.user import main

    return main(argv)


def _health(argv: Sequence[str]) -> int:
    from bongsu.server.commands.health import main

    return main(argv)


def _rules(argv: Sequence[str]) -> int:
    from bongsu.server.commands.rules import main

    return main(argv)


def _auth(argv: Sequence[str]) -> int:
    from bongsu.server.commands.user import auth_main

    return auth_main(argv)


def _import(argv: Sequence[str]) -> int:
    from bongsu.importer.main import main

    return main(argv)


def _simulate(argv: Sequence[str]) -> int:
    from bongsu.simulator.main import main

    return main(argv)


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "up": _up,
    "server": _server,
    "agent": _agent,
    "watch": _watch,
    "db": _db,
    "config": _config,
    "user": _user,
    "auth": _auth,
    "rules": _rules,
    "health": _health,
    "import": _import,
    "simulate": _simulate,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 success, 1 failure, 2 wrong usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        from bongsu import __version__

        print(f"bongsu {__version__}")
        return 0
    command = COMMANDS.get(words[0])
    if command is None:
        print(f"bongsu: there is no command {words[0]!r}\n\n{USAGE}", end="", file=sys.stderr)
        return 2
    try:
        return command(words[1:])
    except ModuleNotFoundError:
        if find_spec("bongsu.server") is not None:
            raise
        print(
            f"bongsu {words[0]} is not part of the package bongsu-agent; install the package bongsu instead",
            file=sys.stderr,
        )
        return 1


if __name__ == "__main__":
    sys.exit(main())
