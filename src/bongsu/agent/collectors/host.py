"""Where the host's files are, if the agent runs in a container that has the host's root mounted at ``/host``.

Through it the agent sees the host's control groups, network and mounts whatever namespaces it has itself.
"""

import os
from typing import NamedTuple

from bongsu.agent.collectors.mounts import read_mountinfo

MOUNT = "/host"


class Host(NamedTuple):
    """``root``: empty if the agent runs on the host itself; ``proc`` and ``sys``: where the host's are mounted."""

    root: str
    proc: str
    sys: str


def find_host(proc: str = "/proc", mount: str = MOUNT) -> Host:
    """A mount without the host's /proc and /sys inside, such as a disk with that name, is not the host."""
    if any(info.mount.mountpoint == mount for info in read_mountinfo(proc)) and os.path.exists(f"{mount}/proc/1/stat"):
        has_sys = os.path.isdir(f"{mount}/sys/fs/cgroup")
        return Host(mount, f"{mount}/proc", f"{mount}/sys" if has_sys else "/sys")
    return Host("", proc, "/sys")
