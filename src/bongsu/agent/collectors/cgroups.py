"""What a container may use: the limits of the topmost control group that it can see.

On a host, the topmost group is the machine itself and has no limit. The agent's own group is ignored: systemd caps the
agent, which says nothing about the machine. Version 2: https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from bongsu.agent.procfs import read_first

# Version 1 writes "no limit" as the largest multiple of a page in 63 bits. No machine has a quarter of that.
_NO_LIMIT = 2**61


def memory_limit(sys: str) -> int | None:
    """Bytes, or None without a limit. ``sys``: where sysfs is mounted."""
    text = read_first(f"{sys}/fs/cgroup/memory.max", f"{sys}/fs/cgroup/memory/memory.limit_in_bytes").strip()
    limit = int(text) if text.isdigit() else 0
    return limit if 0 < limit < _NO_LIMIT else None


def cpu_limit(sys: str) -> float | None:
    """CPU time in cores, or None without a limit."""
    version_2 = read_first(f"{sys}/fs/cgroup/cpu.max").strip()
    if version_2:
        quota, _, period = version_2.partition(b" ")
    else:
        quota = read_first(f"{sys}/fs/cgroup/cpu/cpu.cfs_quota_us").strip()
        period = read_first(f"{sys}/fs/cgroup/cpu/cpu.cfs_period_us").strip() if quota.isdigit() else b""
    if not quota.isdigit() or not period.isdigit() or int(period) == 0:  # no limit: "max", or -1 in version 1
        return None
    return int(quota) / int(period)
