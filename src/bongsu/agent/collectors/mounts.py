"""How full a filesystem is, without ever waiting for one that does not answer.

``statvfs`` on a mount whose server died sleeps in the kernel, beyond any signal, until that server is back. So mounts
of other machines are asked by threads of the prober; a mount whose thread has not come back yet is not asked again.
"""

import os
import re
import sys
import threading
from collections.abc import Callable
from typing import NamedTuple

from bongsu.agent.collectors.base import read_bytes

REMOTE = frozenset(
    (
        *(
            "nfs",
            "nfs4",
            "cifs",
            "smb2",
            "smb3",
            "smbfs",
            "afs",
            "9p",
            "ceph",
            "glusterfs",
            "lustre",
            "ncpfs",
            "ocfs2",
            "gfs2",
        ),
        *("beegfs", "virtiofs", "webdav", "afpfs", "fuse", "fuseblk", "orangefs", "pvfs2"),
    )
)
# A healthy server answers in milliseconds; the scheduler gives the whole disk collector 2 s.
WAIT_SECONDS = 0.5
# Each thread that hangs keeps about 100 KB. Beyond this many, dead mounts wait for their turn.
MAX_HANGING = 8
# space, tab, newline and backslash in a mount point
_ESCAPED = re.compile(r"\\([0-7]{3})")


class Usage(NamedTuple):
    """As df and df -i print it. ``inodes`` is 0 where a filesystem has no fixed number."""

    total: int
    used: int
    available: int
    inodes: int = 0
    inodes_used: int = 0


def usage_of(mountpoint: str) -> Usage:
    """Asks the kernel. Raises OSError; may hang on a mount of another machine."""
    if sys.platform == "win32":
        import shutil

        space = shutil.disk_usage(mountpoint)
        return Usage(space.total, space.used, space.free)
    stat = os.statvfs(mountpoint)
    block = stat.f_frsize
    return Usage(
        stat.f_blocks * block,
        (stat.f_blocks - stat.f_bfree) * block,
        stat.f_bavail * block,
        stat.f_files,
        stat.f_files - stat.f_ffree,
    )


def read_only_filesystems(proc: str) -> dict[str, bool]:
    """Mount point -> whether the filesystem itself is read-only, as after an error of its disk; empty elsewhere than
    on Linux.

    From the last column of mountinfo, see proc_pid_mountinfo(5). The options of the mount say something else: a
    service with systemd's ProtectSystem sees all of its mounts read-only.
    """
    try:
        data = read_bytes(f"{proc}/self/mountinfo")
    except OSError:
        return {}
    found = {}
    for line in data.decode(errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        fields, of_filesystem = before.split(" "), after.split(" ")
        if len(fields) > 4 and len(of_filesystem) == 3:
            mountpoint = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[4])
            found[mountpoint] = "ro" in of_filesystem[2].split(",")
    return found


class Prober:
    """Asks mounts that may hang."""

    def __init__(self, usage: Callable[[str], Usage], wait_seconds: float = WAIT_SECONDS) -> None:
        self._usage = usage
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._hanging: set[str] = set()

    def usage(self, mountpoint: str) -> Usage:
        """Raises OSError, also when there is no answer in time."""
        with self._lock:
            if mountpoint in self._hanging:
                raise TimeoutError("does not answer")
            if len(self._hanging) >= MAX_HANGING:
                raise TimeoutError("not asked, since too many other mounts do not answer")
            self._hanging.add(mountpoint)
        answer: list[Usage | OSError] = []
        thread = threading.Thread(target=self._ask, args=(mountpoint, answer), name="bongsu-mount", daemon=True)
        thread.start()
        thread.join(self._wait_seconds)
        if not answer:
            raise TimeoutError("does not answer")
        if isinstance(answer[0], OSError):
            raise answer[0]
        return answer[0]

    def _ask(self, mountpoint: str, answer: list[Usage | OSError]) -> None:
        try:
            result: Usage | OSError = self._usage(mountpoint)
        except OSError as error:
            result = error
        with self._lock:
            self._hanging.discard(mountpoint)
        answer.append(result)
