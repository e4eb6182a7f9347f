"""``make dev``: runs all of Bongsu, restarts it when Python code changes, and the dashboard in development mode."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from watchfiles import watch

REPOSITORY = Path(__file__).resolve().parents[1]


def start() -> "subprocess.Popen[bytes]":
    """Starts ``bongsu up`` on its default port, which the development server uses as its proxy target."""
    return subprocess.Popen(
        [sys.executable, "-m", "bongsu.cli", "up", "--data-dir", "data", *sys.argv[1:]], cwd=REPOSITORY
    )


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Stops it as Ctrl-C would."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait()


def main() -> None:
    bongsu = start()
    dashboard = subprocess.Popen(["npm", "run", "dev"], cwd=REPOSITORY / "frontend", env=os.environ)  # noqa: S607
    try:
        for changes in watch(REPOSITORY / "src", raise_interrupt=False):
            if any(path.endswith((".py", ".mako")) for _, path in changes):
                print("== Python code changed: restarting", flush=True)
                stop(bongsu)
                bongsu = start()
    finally:
        stop(bongsu)
        stop(dashboard)


if __name__ == "__main__":
    main()
