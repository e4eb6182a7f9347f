"""How full a filesystem is.

``statvfs`` on a network mount whose server died sleeps in the kernel, where no signal can interrupt it, until the
server is back. So a ``UsageProber`` asks network mounts in threads of their own. It does not ask a mount again while a
thread still waits for it.
"""

import os
import sys
import threading
from collections.abc import Callable
from typing import NamedTuple

# A healthy server answers in milliseconds. The scheduler gives the whole disk collector 2 s.
WAIT_SECONDS = 0.5
# Each hanging thread keeps about 100 KB. With this many, further network mounts are not asked.
MAX_HANGING = 8


class FilesystemUsage(NamedTuple):
    """What ``df`` and ``df -i`` print, in bytes and inodes. ``inodes`` is 0 if the filesystem has no fixed number."""

    total: int
    used: int
    available: int
    inodes: int = 0
    inodes_used: int = 0


def read_usage(mountpoint: str) -> FilesystemUsage:
    """Asks the kernel. May hang on a network mount. Raises OSError."""
    if sys.platform == "win32":
        import shutil

        space = shutil.disk_usage(mountpoint)
        return FilesystemUsage(space.total, space.used, space.free)
    stat = os.statvfs(mountpoint)
    block_bytes = stat.f_frsize
    return FilesystemUsage(
        stat.f_blocks * block_bytes,
        (stat.f_blocks - stat.f_bfree) * block_bytes,
        stat.f_bavail * block_bytes,
        stat.f_files,
        stat.f_files - stat.f_ffree,
    )


class UsageProber:
    """Asks mounts that may hang, and stops waiting after ``wait_seconds``."""

    def __init__(self, read: Callable[[str], FilesystemUsage], wait_seconds: float = WAIT_SECONDS) -> None:
        self._read = read
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._hanging: set[str] = set()

    def usage(self, mountpoint: str) -> FilesystemUsage:
        """Raises OSError, including TimeoutError."""
        with self._lock:
            if mountpoint in self._hanging:
                raise TimeoutError("does not answer")
            if len(self._hanging) >= MAX_HANGING:
                raise TimeoutError("not asked, because too many other mounts do not answer")
            self._hanging.add(mountpoint)
        answers: list[FilesystemUsage | OSError] = []
        thread = threading.Thread(target=self._probe, args=(mountpoint, answers), name="bongsu-mount", daemon=True)
        thread.start()
        thread.join(self._wait_seconds)
        if not answers:
            raise TimeoutError("does not answer")
        if isinstance(answers[0], OSError):
            raise answers[0]
        return answers[0]

    def _probe(self, mountpoint: str, answers: list[FilesystemUsage | OSError]) -> None:
        try:
            answer: FilesystemUsage | OSError = self._read(mountpoint)
        except OSError as error:
            answer = error
        with self._lock:
            self._hanging.discard(mountpoint)
        answers.append(answer)
