"""Keeps the parts of Bongsu running as child processes.

A child that dies is restarted, with growing pauses. When this process ends, in whatever way, the pipe that is the
standard input of each child closes, and the children end by themselves.
"""

import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from bongsu import __version__
from bongsu.core.errors import ConfigError
from bongsu.server.config import Settings, local_url

# A start takes a second or two.
TELL_SECONDS = 30.0
STOP_TIMEOUT_SECONDS = 15
# A child that has run for this long started well, so its next pause is the shortest again.
WELL_AFTER_SECONDS = 60
PAUSES_SECONDS = (1, 2, 5, 10, 30)
# As in server/auth/setup.py, which this process does not import, since it would load half of the API server.
SETUP_VARIABLE, SETUP_PREFIX = "BONGSU_SETUP_TOKEN", "bongsu_setup_"


@dataclass(slots=True)
class Child:
    """One part of Bongsu."""

    name: str
    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    failures: int = 0
    start_at: float = 0.0

    def start(self) -> None:
        """Starts it in its own process group: Ctrl-C reaches only the parent, which stops the children in order."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bongsu.cli", *self.arguments],
            stdin=subprocess.PIPE,
            env=os.environ | self.environment | {"BONGSU_SUPERVISED": "1"},
            process_group=0 if os.name == "posix" else None,
        )
        self.started = time.monotonic()

    def stop(self) -> None:
        """Terminates it, and kills it if it does not end in time."""
        process = self.process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                print(f"{self.name} did not stop within {STOP_TIMEOUT_SECONDS} s and was killed", file=sys.stderr)
                process.kill()
                process.wait()
        if process.stdin is not None:
            process.stdin.close()
        self.process = None


class Stopped(Exception):
    """A signal asked this process to stop."""


class Supervisor:
    """Keeps children running until it is told to stop."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children

    def start(self, child: Child) -> None:
        """Starts one of the children."""
        child.start()

    def watch(self) -> None:
        """Restarts children that die. Ends only by ``Stopped``."""
        while True:
            now = time.monotonic()
            for child in self._children:
                process = child.process
                if process is None:
                    if child.start_at <= now:
                        child.start()
                elif process.poll() is not None:
                    self._died(child, process.returncode, now)
            time.sleep(0.25)

    def _died(self, child: Child, status: int, now: float) -> None:
        child.stop()
        if now - child.started > WELL_AFTER_SECONDS:
            child.failures = 0
        pause = PAUSES_SECONDS[min(child.failures, len(PAUSES_SECONDS) - 1)]
        child.failures += 1
        child.start_at = now + pause
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        print(f"{child.name} ended with {how}; restarting it in {pause} s", file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Stops the children, the last one first, so that the agent can still send its last frame."""
        for child in reversed(self._children):
            child.stop()


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    # A second Ctrl-C while the children stop must not leave them behind.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped


@contextlib.contextmanager
def _stoppable(supervisor: Supervisor) -> Iterator[None]:
    signal.signal(signal.SIGINT, _on_signal)
    signal.signal(signal.SIGTERM, _on_signal)
    try:
        yield
    except Stopped:
        pass
    finally:
        supervisor.stop()


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
    """Waits for the API server as long as it runs: an upgrade of a large database takes its time. Returns whether it
    answered before it ended."""
    tell_at = time.monotonic() + TELL_SECONDS
    while child.process is not None and child.process.poll() is None:
        if ask(url, "/api/health") is not None:
            return True
        if time.monotonic() >= tell_at:
            print("bongsu: the API server is still starting; an upgrade of the database can take minutes", flush=True)
            tell_at = time.monotonic() + TELL_SECONDS
        time.sleep(0.05)
    return False


def ask(url: str, path: str) -> "dict[str, Any] | None":
    """The JSON that our own API server answers; None if it does not answer or reports an error."""
    scheme, _, authority = url.partition("://")
    if scheme == "https":
        # It is our own child on this machine, and its certificate is for the name that others use.
        unverified = ssl._create_unverified_context()  # noqa: S323
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(authority, timeout=2, context=unverified)
    else:
        connection = http.client.HTTPConnection(authority, timeout=2)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        document = json.loads(answer.read()) if answer.status == 200 else None
        return document if isinstance(document, dict) else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


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


def run(settings: Settings, children: list[Child]) -> int:
    """Starts the API server, waits for it, starts the other children, prints the address and keeps them running."""
    supervisor = Supervisor(children)
    status = 0
    with _stoppable(supervisor):
        supervisor.start(children[0])
        url = local_url(settings)
        if not wait_until_ready(url, children[0]):
            print("bongsu: the API server did not start; see the message above.", file=sys.stderr)
            status = 1
            raise Stopped
        for child in children[1:]:
            supervisor.start(child)
        print(_greeting(settings, url, children[0].environment[SETUP_VARIABLE]), flush=True)
        supervisor.watch()
    if status == 0:
        print("Bongsu stopped.", flush=True)
    return status


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
