"""What a container uses, from the files of its control group (versions 1 and 2) and of its first process.

Some 40 us for a container. Sources: https://docs.kernel.org/admin-guide/cgroup-v2.html, cgroup-v1/memory.html,
cgroup-v1/blkio-controller.html and proc_pid_net(5).
"""

import os
from typing import NamedTuple

from bongsu.agent.collectors.base import NAN
from bongsu.agent.collectors.containers.groups import Group, find_groups

# Version 1 writes "no limit" as the largest multiple of a page in 63 bits.
_NO_LIMIT = 2**61
# memory.stat of version 1 has some 1.5 KB; io.stat 100 bytes for each device.
_READ_BYTES = 65_536
# How many groups below a container are looked at for its first process.
_MAX_BELOW = 50


class Usage(NamedTuple):
    """``memory_bytes``: the working set; ``memory_limit_bytes``: 0 without a limit. NaN: the kernel does not tell."""

    cpu_seconds: float
    periods: int
    throttled_periods: int
    memory_bytes: float
    memory_limit_bytes: int
    oom_kills: int
    processes: float


class Traffic(NamedTuple):
    """Bytes since the container started. NaN: unknown, or the network is the host's."""

    disk_read: float
    disk_written: float
    received: float
    transmitted: float


class GroupFiles:
    """``proc`` and ``sys``: where the host's are mounted."""

    def __init__(self, proc: str, sys: str) -> None:
        self._proc = proc
        self._root = f"{sys}/fs/cgroup"
        # What hardly ever changes is read again at each search: a file takes 10 us and more. Memory limits by file, and
        # groups without a CPU limit.
        self._limits: dict[str, int] = {}
        self._unthrottled: set[str] = set()
        # The namespace of its first process, if that may be known, and its interfaces; read again at each search.
        self._network_of_host: tuple[str, list[bytes]] | None = None
        self._is_unified = os.path.exists(f"{self._root}/cgroup.controllers")
        # A hybrid host has its controllers in version 1; its version 2 only groups processes.
        walked = ("memory", "cpuacct", "pids", "systemd", "unified")
        self._tree = (
            self._root
            if self._is_unified
            else next((f"{self._root}/{name}" for name in walked if os.path.isdir(f"{self._root}/{name}")), "")
        )

    def find(self) -> dict[str, Group]:
        """The groups of all containers by id, without those that only hold the network of a pod."""
        self.forget()
        groups = {group.id: group for group in find_groups(self._tree)} if self._tree else {}
        return {id: group for id, group in groups.items() if group.runtime != "kubernetes" or not self._is_pause(group)}

    def forget(self) -> None:
        """Reads again what hardly ever changes."""
        self._network_of_host = None
        self._limits.clear()
        self._unthrottled.clear()

    def created_ms(self, group: Group) -> int:
        """When the group was made, in Unix ms; 0 if it is gone."""
        try:
            return int(os.stat(self._tree + group.path).st_ctime * 1000)
        except OSError:
            return 0

    def usage(self, group: Group) -> Usage | None:
        """None if the group is gone."""
        return self._usage_2(group.path) if self._is_unified else self._usage_1(group.path)

    def _usage_2(self, path: str) -> Usage | None:
        folder = self._root + path
        cpu = _read(f"{folder}/cpu.stat")
        if not cpu:  # every group has this file
            return None
        return Usage(
            _number(cpu, b"usage_usec") / 1e6,
            _number(cpu, b"nr_periods"),
            _number(cpu, b"nr_throttled"),
            _working_set(_read(f"{folder}/memory.current"), _read(f"{folder}/memory.stat"), b"inactive_file"),
            self._limit(f"{folder}/memory.max"),
            _number(_read(f"{folder}/memory.events"), b"oom_kill"),
            _single(_read(f"{folder}/pids.current")),
        )

    def _usage_1(self, path: str) -> Usage | None:
        memory = f"{self._root}/memory{path}"
        nanoseconds = _read(f"{self._root}/cpuacct{path}/cpuacct.usage")
        in_use = _read(f"{memory}/memory.usage_in_bytes")
        if not nanoseconds and not in_use:
            return None
        periods, throttled_periods = self._periods(path)
        return Usage(
            _single(nanoseconds) / 1e9,
            periods,
            throttled_periods,
            _working_set(in_use, _read(f"{memory}/memory.stat"), b"total_inactive_file"),
            self._limit(f"{memory}/memory.limit_in_bytes"),
            _number(_read(f"{memory}/memory.oom_control"), b"oom_kill"),
            _single(_read(f"{self._root}/pids{path}/pids.current")),
        )

    def _limit(self, path: str) -> int:
        limit = self._limits.get(path)
        if limit is None:
            limit = self._limits[path] = _limit(_read(path))
        return limit

    def _periods(self, path: str) -> tuple[int, int]:
        """Those of version 1, and how many of them were throttled."""
        if path in self._unthrottled:
            return 0, 0
        cpu = _read(f"{self._root}/cpu{path}/cpu.stat")
        periods = _number(cpu, b"nr_periods")
        if not periods:
            self._unthrottled.add(path)
        return periods, _number(cpu, b"nr_throttled")

    def disk(self, group: Group) -> tuple[float, float]:
        """Bytes read and written since the group was made."""
        if self._is_unified:
            return _io_stat(_read(f"{self._root}{group.path}/io.stat"))
        folder = f"{self._root}/blkio{group.path}"
        return _blkio(
            _read(f"{folder}/blkio.throttle.io_service_bytes_recursive")
            or _read(f"{folder}/blkio.throttle.io_service_bytes")
        )

    def traffic(self, group: Group) -> Traffic:
        pid = self.first_process(group)
        return Traffic(*self.disk(group), *(self._network(pid) if pid else (NAN, NAN)))

    def first_process(self, group: Group) -> int:
        """The lowest PID of the container; 0 without any. Podman and LXC keep their processes in a group below."""
        waiting = [self._tree + group.path]
        for _ in range(_MAX_BELOW):
            if not waiting:
                return 0
            folder = waiting.pop(0)
            pids = [int(pid) for pid in _read(f"{folder}/cgroup.procs").split()]
            if any(pids):  # a process that this PID namespace cannot see is 0
                return min(filter(None, pids))
            try:
                with os.scandir(folder) as entries:
                    waiting += sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
            except OSError:  # it ended
                return 0
        return 0

    def _network(self, pid: int) -> tuple[float, float]:
        """Bytes received and sent, without loopback."""
        devices = _read(f"{self._proc}/{pid}/net/dev")
        if not devices or self._has_network_of_host(pid, devices):
            return NAN, NAN
        received = transmitted = 0
        for line in devices.splitlines()[2:]:
            name, _, numbers = line.partition(b":")
            columns = numbers.split()
            if name.strip() != b"lo" and len(columns) > 8:
                received += int(columns[0])
                transmitted += int(columns[8])
        return received, transmitted

    def _has_network_of_host(self, pid: int, devices: bytes) -> bool:
        if self._network_of_host is None:
            self._network_of_host = (_link(f"{self._proc}/1/ns/net"), _interfaces(_read(f"{self._proc}/1/net/dev")))
        link, interfaces = self._network_of_host
        if link and (own := _link(f"{self._proc}/{pid}/ns/net")):
            return own == link
        # Only root may read the links. A host with containers has a bridge that they do not have.
        return _interfaces(devices) == interfaces

    def _is_pause(self, group: Group) -> bool:
        pid = self.first_process(group)
        return bool(pid) and _read(f"{self._proc}/{pid}/comm") == b"pause\n"


def _read(path: str) -> bytes:
    """Empty if it cannot be read. A third faster than a file object."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _READ_BYTES)
    except OSError:  # the group ended after it was opened
        return b""
    finally:
        os.close(descriptor)


def _link(path: str) -> str:
    """Empty if it may not be read."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _number(text: bytes, key: bytes) -> int:
    """The number after ``key`` at the beginning of a line; 0 without it."""
    begin = 0 if text.startswith(key + b" ") else text.find(b"\n" + key + b" ") + 1
    if begin == 0 and not text.startswith(key + b" "):
        return 0
    number = text[begin + len(key) + 1 :].split(b"\n", 1)[0].strip()
    return int(number) if number.isdigit() else 0


def _single(text: bytes) -> float:
    text = text.strip()
    return int(text) if text.isdigit() else NAN


def _limit(text: bytes) -> int:
    text = text.strip()
    limit = int(text) if text.isdigit() else 0  # version 2 writes "max"
    return limit if limit < _NO_LIMIT else 0


def _working_set(in_use: bytes, stat: bytes, inactive: bytes) -> float:
    """By which Kubernetes evicts."""
    in_use = in_use.strip()
    return max(0, int(in_use) - _number(stat, inactive)) if in_use.isdigit() else NAN


def _io_stat(text: bytes) -> tuple[float, float]:
    """Lines such as ``8:0 rbytes=90112 wbytes=4096 rios=5 ...``."""
    read = written = 0
    for field in text.split():
        name, _, number = field.partition(b"=")
        if name == b"rbytes" and number.isdigit():
            read += int(number)
        elif name == b"wbytes" and number.isdigit():
            written += int(number)
    return read, written


def _blkio(text: bytes) -> tuple[float, float]:
    """Lines such as ``8:0 Read 90112``."""
    read = written = 0
    for line in text.splitlines():
        columns = line.split()
        if len(columns) == 3 and columns[2].isdigit():
            if columns[1] == b"Read":
                read += int(columns[2])
            elif columns[1] == b"Write":
                written += int(columns[2])
    return read, written


def _interfaces(devices: bytes) -> list[bytes]:
    return [line.partition(b":")[0].strip() for line in devices.splitlines()[2:]]
