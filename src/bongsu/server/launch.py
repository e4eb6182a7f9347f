"""Starts the parts of Bongsu, and greets when they are ready.

On Linux, the API server and the worker are forked from this process once it has loaded what both need, so that this is
loaded once and in memory once. Then this process becomes the supervisor and forgets it. A child that dies later is
started anew. Elsewhere, all children are started anew: no other system's libraries can be trusted to survive a fork.
"""

import contextlib
import gc
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bongsu import __version__
from bongsu.core.errors import ConfigError
from bongsu.server.config import Settings, local_url
from bongsu.server.probe import ask
from bongsu.server.supervisor import Child, become_supervisor, stoppable

# A start takes a second or two.
TELL_SECONDS = 30.0
# The exit status of a process that has told in one line what keeps it from starting.
TOLD = 2
FORKS = sys.platform == "linux"
# As in server/auth/setup.py, which this process does not import, since it would load half of the API server.
SETUP_VARIABLE, SETUP_PREFIX = "BONGSU_SETUP_TOKEN", "bongsu_setup_"


def check_port(host: str, port: int) -> None:
    """Raises ConfigError if the port is taken; names the process that listens there, if that can be found out."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        if os.name == "posix":  # a port whose last connections are still closing is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            raise ConfigError(f"Port {port} requires root: use one above 1023, for example --port 8600.") from None
        except OSError as error:
            if error.errno is not None and "in use" in os.strerror(error.errno):
                raise ConfigError(
                    f"Port {port} on {host} is taken{_owner(port)}. Stop it, or choose another: --port {port + 1}"
                ) from None
            raise ConfigError(f"Cannot listen on {host}: {error.strerror or error}.") from None


def _owner(port: int) -> str:
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr
                and connection.laddr.port == port
                and connection.pid
            ):
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    return ""


def free_port(host: str) -> int:
    """A free port."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def wait_until_ready(url: str, child: Child) -> bool:
    """Waits for the API server as long as it runs. Returns whether it answered before it ended."""
    return _wait_until(lambda: ask(url, "/api/health") is not None, child)


def _wait_until(done: Callable[[], bool], child: Child) -> bool:
    """Waits as long as the child runs: an upgrade of a large database takes its time. Returns whether it ended done."""
    tell_at = time.monotonic() + TELL_SECONDS
    while child.process is not None and child.process.poll() is None:
        if done():
            return True
        if time.monotonic() >= tell_at:
            print("bongsu: the API server is still starting; an upgrade of the database can take minutes", flush=True)
            tell_at = time.monotonic() + TELL_SECONDS
        time.sleep(0.05)
    return False


def server_children(settings: Settings) -> list[Child]:
    """The API server and its worker."""
    environment = {
        "BONGSU_HOST": settings.host,
        "BONGSU_PORT": str(settings.port),
        "BONGSU_DATA_DIR": str(settings.data_dir),
    }
    # Valid for this run: the token of the link that makes the first account, printed while there are no users.
    environment[SETUP_VARIABLE] = os.environ.get(SETUP_VARIABLE) or SETUP_PREFIX + secrets.token_urlsafe(32)
    return [
        Child("API server", ["server", "--role", "api"], environment),
        Child("worker", ["server", "--role", "worker"], environment),
    ]


@dataclass(frozen=True, slots=True)
class Programs:
    """What is forked. ``load`` loads what the API server and the worker both need. ``upgrade`` upgrades the database.
    ``main`` is the API server or the worker, by its arguments without the first one."""

    load: Callable[[], None]
    upgrade: Callable[[Sequence[str]], int]
    main: Callable[[Sequence[str]], int]


def run(settings: Settings, children: Sequence[Child], programs: Programs) -> int:
    """Starts the API server, waits for it, starts the other children, prints the address and keeps them running."""
    server, worker = children[:2]
    # In a process of its own: what migrations load is 15 MB, which would stay.
    upgrade = Child("upgrade", ["upgrade"], server.environment)
    with stoppable([*children, upgrade] if FORKS else children) as supervisor:
        if FORKS:
            programs.load()
            # Otherwise, the garbage collector would write to the pages that the children share.
            gc.freeze()
            upgrade.fork(programs.upgrade, [])
            _wait_until(lambda: False, upgrade)
            if status := _status(upgrade):
                return _not_started(status)
            upgrade.stop()
            server.fork(programs.main, [])
        else:
            server.start()
        url = local_url(settings)
        if not wait_until_ready(url, server):
            return _not_started(_status(server))
        if FORKS:
            worker.fork(programs.main, [server])
        print(_greeting(settings, url, server.environment[SETUP_VARIABLE]), flush=True)
        if FORKS:
            become_supervisor(children)
        supervisor.watch()
    print("Bongsu stopped.", flush=True)
    return 0


def _status(child: Child) -> int | None:
    return child.process.poll() if child.process is not None else None


def _not_started(status: int | None) -> int:
    """What to return if a child ended with this status instead of getting ready."""
    if status == TOLD:
        return TOLD
    print("bongsu: the API server did not start; see the message above.", file=sys.stderr)
    return 1


def _greeting(settings: Settings, url: str, setup_token: str) -> str:
    shown = settings.public_url or url
    lines = [
        f"\nBongsu {__version__} is running.\n",
        f"  Dashboard   {shown}",
        f"  API         {shown}/docs",
        f"  Data        {settings.data_dir.resolve()}",
    ]
    if (ask(url, "/api/setup") or {}).get("needed"):
        lines += ["\n  Nobody can log in yet. Create your account here (the link works once):\n"]
        # The token is in the fragment, which browsers do not send, so it stays out of logs.
        lines += [f"  {shown}/setup#{setup_token}"]
    if not settings.loopback_only and not settings.tls and not settings.trusted_proxies:
        lines.append(
            f"\n  It listens on {settings.host} without TLS: passwords can be read in transit. See docs/security.md."
        )
    lines.append("\nCtrl-C stops it.\n")
    return "\n".join(lines)
