"""``make dev``: all of Bongsu, started again when Python code changes, and the dashboard's development server."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from watchfiles import watch

REPOSITORY = Path(__file__).resolve().parents[1]


def start() -> "subprocess.Popen[bytes]":
    """``bongsu up`` on the usual port, which the development server's proxy points to."""
    return subprocess.Popen(
        [sys.executable, "-m", "bongsu.cli", "up", "--data-dir", "data", *sys.argv[1:]], cwd=REPOSITORY
    )


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Ends it as Ctrl-C would."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait()


def main() -> None:
    """Runs until Ctrl-C."""
    bongsu = start()
    dashboard = subprocess.Popen(["npm", "run", "dev"], cwd=REPOSITORY / "frontend", env=os.environ)  # noqa: S607
    try:
        for changes in watch(REPOSITORY / "src", raise_interrupt=False):
            if any(path.endswith((".py", ".mako")) for _, path in changes):
                print("== Python code changed: starting again", flush=True)
                stop(bongsu)
                bongsu = start()
    finally:
        stop(bongsu)
        stop(dashboard)


if __name__ == "__main__":
    main()
