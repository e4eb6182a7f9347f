"""What a container may use: the limits at the top of the control groups that it sees.

On a host the top is the machine itself and has no limit. The agent's own group is not looked at: systemd gives the
agent caps that say nothing about the machine. Version 2: https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from bongsu.agent.collectors.base import read_bytes

# Version 1 writes "no limit" as the largest multiple of a page in 63 bits; no machine has a quarter of that.
_NO_LIMIT = 2**61


def memory_limit(sys: str) -> int | None:
    """Bytes; None where none is set. ``sys``: where sysfs is mounted."""
    text = _first(f"{sys}/fs/cgroup/memory.max", f"{sys}/fs/cgroup/memory/memory.limit_in_bytes")
    limit = int(text) if text.isdigit() else 0
    return limit if 0 < limit < _NO_LIMIT else None


def cpu_limit(sys: str) -> float | None:
    """Cores' worth of time; None where none is set."""
    text = _first(f"{sys}/fs/cgroup/cpu.max")
    if text:
        quota, _, period = text.partition(b" ")
    else:
        quota = _first(f"{sys}/fs/cgroup/cpu/cpu.cfs_quota_us")
        period = _first(f"{sys}/fs/cgroup/cpu/cpu.cfs_period_us") if quota.isdigit() else b""
    if not quota.isdigit() or not period.isdigit() or int(period) == 0:  # max, or -1 in version 1
        return None
    return int(quota) / int(period)


def _first(*paths: str) -> bytes:
    """The first of these files that is there; empty when none is."""
    for path in paths:
        try:
            return read_bytes(path).strip()
        except OSError:
            continue
    return b""
