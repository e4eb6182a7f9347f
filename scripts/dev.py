"""``make dev``: runs all of Bongsu, restarts it when Python code changes, and the dashboard in development mode.

``--simulate N`` adds N simulated servers with a day of history; the other arguments are those of ``bongsu up``.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from sqlalchemy import Connection
from watchfiles import watch

from bongsu.core.units import DAY_MS
from bongsu.server.auth.queries.agents import ANY_NUMBER, EnrolmentRecord, add_enrolment, delete_enrolments_named
from bongsu.server.auth.tokens import Prefix, digest, new_token
from bongsu.server.commands.transaction import in_transaction
from bongsu.server.config import Settings, load_settings, local_url

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = REPOSITORY / "data"
ENROLMENT = "simulated servers (make dev)"
# What a restart leaves out, and more: the rest of the day was sent before.
AFTER_RESTART = "5m"
# A start takes seconds, the first one on a slow machine more.
READY_SECONDS = 60

Process = subprocess.Popen[bytes]


def run(*arguments: str, **environment: str) -> Process:
    """Starts ``bongsu ...``."""
    return subprocess.Popen(
        [sys.executable, "-m", "bongsu.cli", *arguments], cwd=REPOSITORY, env=os.environ | environment
    )


def start(arguments: list[str], *, simulated: int, history: str) -> list[Process]:
    """Starts ``bongsu up`` on its default port, which the development server uses as its proxy target, and then the
    simulated servers."""
    # By default, an address may enrol 20 servers a minute.
    limits = {"BONGSU_RATE_LIMITS__LOGIN": "100000/minute"} if simulated else {}
    bongsu = run("up", "--data-dir", str(DATA), *arguments, **limits | dict(os.environ))
    if not simulated:
        return [bongsu]
    settings = load_settings(data_dir=DATA)
    if not is_ready(local_url(settings), bongsu):
        return [bongsu]
    fleet = run(
        *("simulate", "--servers", str(simulated), "--history", history, "--url", local_url(settings)),
        *("--data-dir", str(DATA / "simulator")),
        BONGSU_SIMULATE_ENROLMENT_TOKEN=enrolment_token(settings),
        TERM="dumb",  # a line that is updated in place would be torn by the log of the others
    )
    return [fleet, bongsu]


def is_ready(url: str, bongsu: Process) -> bool:
    """Waits until the API server answers."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and bongsu.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/api/health", timeout=5):  # noqa: S310
            return True
        time.sleep(0.2)
    return False


def enrolment_token(settings: Settings) -> str:
    """A token with which any number of servers can enrol for a day. It replaces the one of the previous start."""
    token, now_ms = new_token(Prefix.ENROLMENT), int(time.time() * 1000)

    def store(connection: Connection) -> None:
        delete_enrolments_named(connection, ENROLMENT)
        record = EnrolmentRecord(0, ENROLMENT, digest(token), "make dev", now_ms, now_ms + DAY_MS, ANY_NUMBER)
        add_enrolment(connection, record)

    in_transaction(settings, store)
    return token


def stop(processes: list[Process]) -> None:
    """Stops them as Ctrl-C would."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="make dev ARGS=...", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--simulate", type=int, default=0, metavar="N", help="add this many simulated servers")
    options, arguments = parser.parse_known_args()
    dashboard = subprocess.Popen(["npm", "run", "dev"], cwd=REPOSITORY / "frontend", env=os.environ)  # noqa: S607
    processes = start(arguments, simulated=options.simulate, history="24h")
    try:
        for changes in watch(REPOSITORY / "src", raise_interrupt=False):
            if any(path.endswith((".py", ".mako")) for _, path in changes):
                print("== Python code changed: restarting", flush=True)
                stop(processes)
                processes = start(arguments, simulated=options.simulate, history=AFTER_RESTART)
    finally:
        stop(processes)
        stop([dashboard])


if __name__ == "__main__":
    main()
