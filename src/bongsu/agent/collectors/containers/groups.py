"""Finds the control groups of containers by the names that runtimes give them.

The whole tree is walked, because the place differs: below ``docker``, ``machine.slice``, ``kubepods.slice`` or a user's
slice. Nothing below a container is looked at. A tree of 200 groups takes some 2 ms.
"""

import os
import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

# Deeper than any runtime goes: user.slice/user-1000.slice/user@1000.service/user.slice/libpod-<id>.scope
MAX_DEPTH = 10
# A host with 1,000 containers and as many services has some 4,000.
MAX_GROUPS = 20_000

_HEX = "[0-9a-f]{64}"
# What the name of a group begins with -> the runtime.
_PREFIXES = {
    "docker": "docker",
    "libpod": "podman",
    "cri-containerd": "kubernetes",
    "crio": "kubernetes",
    "nerdctl": "containerd",
    "containerd": "containerd",
}
_SCOPE = re.compile(rf"({'|'.join(_PREFIXES)})-({_HEX})(?:\.scope)?")
_ID = re.compile(_HEX)
# libvirt names its virtual machines machine-qemu\x2d1\x2dname.scope
_MACHINE = re.compile(r"machine-(?!qemu\\x2d|libpod)(.+)\.scope|systemd-nspawn@(.+)\.service")
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")
# pod<uid>, with _ for - below systemd; of a static pod a hash.
_POD = re.compile(r"[/-]pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?/")
# What a folder above tells of a group whose name is only an id.
_PARENTS = (("kubepods", "kubernetes"), ("libpod", "podman"), ("docker", "docker"), ("ecs", "docker"))


class Group(NamedTuple):
    """``id``: the runtime's, or the name of an LXC container or a machine of systemd; ``path``: below the root of each
    hierarchy."""

    id: str
    runtime: str
    path: str

    @property
    def has_name(self) -> bool:
        """Whether the id is a name that people gave."""
        return self.runtime in ("lxc", "nspawn")

    @property
    def short_id(self) -> str:
        return short_id(self.id)

    @property
    def pod_uid(self) -> str:
        """Of a container of Kubernetes; else empty."""
        pod = _POD.search(self.path)
        return pod[1].replace("_", "-") if pod else ""


def short_id(id: str) -> str:
    """12 characters. Names can be longer, and alike at their beginning."""
    if len(id) <= 12 or _ID.fullmatch(id):
        return id[:12]
    return f"{id[:3]}-{zlib.crc32(id.encode(errors='surrogateescape')):08x}"


def identify(path: str) -> Group | None:
    """The container whose group is at ``path``; None if it is no container's."""
    parent, _, name = path.rpartition("/")
    if scope := _SCOPE.fullmatch(name):
        return Group(scope[2], _PREFIXES[scope[1]], path)
    if _ID.fullmatch(name):
        runtime = next((runtime for word, runtime in _PARENTS if word in parent), "containerd")
        return Group(name, runtime, path)
    if name.startswith("lxc.payload."):
        return Group(name.removeprefix("lxc.payload."), "lxc", path)
    if parent in ("/lxc", "/lxc.payload"):
        return Group(name, "lxc", path)
    if parent == "/machine.slice" and (machine := _MACHINE.fullmatch(name)):
        return Group(_ESCAPED.sub(lambda match: chr(int(match[1], 16)), machine[1] or machine[2]), "nspawn", path)
    return None


def find_groups(root: str) -> Iterator[Group]:
    """The groups of all containers below ``root``, the root of one hierarchy."""
    waiting = [("", 0)]
    seen = 0
    while waiting and seen < MAX_GROUPS:
        path, depth = waiting.pop()
        try:
            with os.scandir(root + path) as entries:
                names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:  # it ended
            continue
        for name in names:
            seen += 1
            below = f"{path}/{name}"
            group = identify(below)
            if group is not None:
                yield group
            elif depth < MAX_DEPTH:
                waiting.append((below, depth + 1))
