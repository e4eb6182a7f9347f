"""Runs a program that kills itself with SIGKILL at a chosen point of its progress.

``python -m tests.support.progress POINT MODULE ARGUMENT ...``. A point is a statement that writes to a database, or a
file that is renamed or removed, or a SQLite database that is opened. The process dies just before the POINT-th. So a
test kills at the same moments on fast and slow machines.
"""

import asyncio
import os
import runpy
import signal
import subprocess
import sys
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

WRITES = ("INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "COMMIT")
# Audit events of Python. Backups and copies work with files without SQLAlchemy.
FILES = {"os.rename", "os.remove", "sqlite3.connect"}


async def killed_at(point: int, *command: str) -> bool:
    """Runs ``python -m COMMAND``, which kills itself at a point. Returns False if it ended before, with status 0."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.progress",
        str(point),
        *command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), (output + errors).decode()
    return process.returncode != 0


async def killed_on_the_way(*command: str, points: range) -> int:
    """Runs the command again and again, killed at each of ``points`` in turn, until it ends by itself. Returns the number
    of kills."""
    kills = 0
    for point in points:
        if not await killed_at(point, *command):
            return kills
        kills += 1
    raise AssertionError(f"killed {kills} times, and it still did not end")


def main(point: int, module: str) -> None:
    left = point

    def pass_point() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    @event.listens_for(Engine, "before_cursor_execute")
    def statement(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        if text.lstrip().upper().startswith(WRITES):
            pass_point()

    @event.listens_for(Engine, "commit")
    def commit(_connection: Any) -> None:
        pass_point()

    def audit(name: str, _arguments: Any) -> None:
        if name in FILES:
            pass_point()

    sys.addaudithook(audit)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    chosen, name = int(sys.argv[1]), sys.argv[2]
    sys.argv = [name, *sys.argv[3:]]
    main(chosen, name)
