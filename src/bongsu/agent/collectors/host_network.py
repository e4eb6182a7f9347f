"""The host's network interfaces, for an agent in a container, whose own may be others.

psutil asks the kernel for the interfaces of the process. Those of the host are in the files of its first process and
in its sysfs.
"""

import os
from typing import NamedTuple

from bongsu.agent.procfs import read_bytes, read_first


class Traffic(NamedTuple):
    """As ``psutil.net_io_counters`` has it."""

    bytes_sent: int
    bytes_recv: int
    packets_sent: int
    packets_recv: int
    errin: int
    errout: int
    dropin: int
    dropout: int


class State(NamedTuple):
    """As ``psutil.net_if_stats`` has it. ``speed``: Mbit/s; 0: unknown."""

    isup: bool
    speed: int


def read_traffic(proc: str) -> dict[str, Traffic]:
    """By interface. Raises OSError."""
    traffic = {}
    for line in read_bytes(f"{proc}/1/net/dev").decode(errors="replace").splitlines()[2:]:
        name, _, numbers = line.rpartition(":")
        columns = [int(number) for number in numbers.split()]
        if len(columns) >= 12:
            traffic[name.strip()] = Traffic(
                columns[8], columns[0], columns[9], columns[1], columns[2], columns[10], columns[3], columns[11]
            )
    return traffic


def read_states(sysfs: str) -> dict[str, State]:
    folder = f"{sysfs}/class/net"
    try:
        names = os.listdir(folder)
    except OSError:
        return {}
    return {name: _state(f"{folder}/{name}") for name in names}


def _state(folder: str) -> State:
    # An interface that is down has no speed that can be read; one that has none, as a bridge, has -1.
    speed = read_first(f"{folder}/speed").strip()
    state = read_first(f"{folder}/operstate").strip()
    return State(state in (b"up", b"unknown"), int(speed) if speed.isdigit() else 0)
