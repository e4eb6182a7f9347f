"""What a container may use: the limits of the topmost control group that it can see.

On a host, the topmost group is the machine itself and has no limit. The agent's own group is ignored: systemd caps the
agent, which says nothing about the machine. Version 2: https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from bongsu.agent.procfs import number_after, read_first

# Version 1 writes "no limit" as the largest multiple of a page in 63 bits. No machine has a quarter of that.
_NO_LIMIT = 2**61


def memory_limit(sys: str) -> int | None:
    """Bytes, or None without a limit. ``sys``: where sysfs is mounted."""
    text = read_first(f"{sys}/fs/cgroup/memory.max", f"{sys}/fs/cgroup/memory/memory.limit_in_bytes").strip()
    limit = int(text) if text.isdigit() else 0
    return limit if 0 < limit < _NO_LIMIT else None


def memory_in_use(sys: str) -> int | None:
    """Bytes that count towards the limit and that the kernel cannot free at once, which is what Kubernetes evicts by:
    the usage without files that have not been used lately. None without a control group."""
    current = read_first(f"{sys}/fs/cgroup/memory.current", f"{sys}/fs/cgroup/memory/memory.usage_in_bytes").strip()
    if not current.isdigit():
        return None
    stat = read_first(f"{sys}/fs/cgroup/memory.stat", f"{sys}/fs/cgroup/memory/memory.stat")
    # Version 1 counts the groups below in fields of their own.
    inactive = number_after(stat, b"total_inactive_file") or number_after(stat, b"inactive_file") or 0
    return max(0, int(current) - inactive)


def oom_kills(sys: str) -> int | None:
    """Processes that were killed because the group was out of memory, since it was made."""
    events = read_first(f"{sys}/fs/cgroup/memory.events", f"{sys}/fs/cgroup/memory/memory.oom_control")
    return number_after(events, b"oom_kill")


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
