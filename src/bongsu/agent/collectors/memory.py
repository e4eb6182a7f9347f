"""Memory and swap."""

import sys
from collections.abc import Iterable

from bongsu.agent.collectors.base import Collector, Counter, Gauge, Options, Ps, Reading
from bongsu.agent.collectors.cgroups import memory_in_use, memory_limit, oom_kills
from bongsu.agent.procfs import number_after, read_first

_MEMORY_FIELDS = ("total", "available", "used", "free", "buffers", "cached", "shared", "slab")
_MEMINFO = {"buffers": b"Buffers:", "cached": b"Cached:", "shared": b"Shmem:", "slab": b"Slab:"}


class MemoryCollector(Collector):
    """Host memory and swap in bytes.

    Source: ``psutil.virtual_memory()`` (Linux: ``/proc/meminfo``, ``MemAvailable``) and ``psutil.swap_memory()``.
    ``used`` is what ``free`` prints as used. ``usable`` and ``left`` are for alerts: they know the container's limit,
    huge pages (``/proc/meminfo``) and the cache of ZFS (``/proc/spl/kstat/zfs/arcstats``). Kills are from
    ``/proc/vmstat`` (kernel 4.13 and later), or of the control group in a container with a limit. Fields that the
    system does not have are left out, never sent as zero. So is swap on a machine without any.
    """

    name = "memory"
    metrics = (
        Gauge("memory_total_bytes", "Physical memory installed."),
        Gauge("memory_available_bytes", "Memory usable without swapping."),
        Gauge("memory_used_bytes", "Memory in use, without buffers and cache."),
        Gauge("memory_free_bytes", "Memory not used for anything."),
        Gauge("memory_buffers_bytes", "Cache of block devices."),
        Gauge("memory_cached_bytes", "Cache of files."),
        Gauge("memory_shared_bytes", "Memory shared between processes, mostly tmpfs."),
        Gauge("memory_slab_bytes", "The kernel's cache of its own data structures."),
        Gauge("memory_usage_ratio", "Share of the memory that is not available."),
        Gauge("swap_total_bytes", "Swap space."),
        Gauge("swap_used_bytes", "Swap space in use."),
        Gauge("swap_free_bytes", "Swap space not in use."),
        Gauge("swap_usage_ratio", "Share of the swap space in use."),
        Counter("swap_in_bytes_total", "Bytes read from swap."),
        Counter("swap_out_bytes_total", "Bytes written to swap."),
        Gauge("memory_limit_bytes", "Memory limit of this container."),
        Gauge("memory_usable_bytes", "Memory that programs can use: the container's limit, or all without huge pages."),
        Gauge("memory_left_bytes", "What is left of it, with caches that are freed when needed, as ZFS's."),
        Counter("memory_oom_kills_total", "Processes that the kernel killed for lack of memory."),
    )

    def __init__(self, ps: Ps, options: Options | None = None, *, platform: str = sys.platform) -> None:
        super().__init__(ps, options)
        proc = self._options.proc
        # psutil returns 0 for fields that an old kernel or a container does not have, so check once which it has
        meminfo = read_first(f"{proc}/meminfo")
        absent = {name for name, key in _MEMINFO.items() if meminfo and key not in meminfo}
        self._fields = tuple(name for name in _MEMORY_FIELDS if name not in absent)
        vmstat = read_first(f"{proc}/vmstat")
        self._counts_swapping = b"pswpin" in vmstat if meminfo else platform != "win32"

    def collect(self) -> Iterable[Reading]:
        memory = self._ps.virtual_memory()
        for name in self._fields:
            value = getattr(memory, name, None)
            if value is not None:
                yield Reading(f"memory_{name}_bytes", value)
        if memory.total > 0:
            yield Reading("memory_usage_ratio", (memory.total - memory.available) / memory.total)
        limit = memory_limit(self._options.sys)
        if limit is not None:
            yield Reading("memory_limit_bytes", limit)
        yield from self._room(memory.total, memory.available, limit)
        kills = self._oom_kills(limit)
        if kills is not None:
            yield Reading("memory_oom_kills_total", kills)
        swap = self._ps.swap_memory()
        if swap.total <= 0:
            return
        yield Reading("swap_total_bytes", swap.total)
        yield Reading("swap_used_bytes", swap.used)
        yield Reading("swap_free_bytes", swap.free)
        yield Reading("swap_usage_ratio", swap.used / swap.total)
        if self._counts_swapping:
            yield Reading("swap_in_bytes_total", swap.sin)
            yield Reading("swap_out_bytes_total", swap.sout)

    def _room(self, total: int, available: int, limit: int | None) -> Iterable[Reading]:
        """What programs can use and what is left of it. A container knows its limit; the rest is the host's matter."""
        if limit is not None and limit < total:
            in_use = memory_in_use(self._options.sys)
            usable, left = limit, None if in_use is None else limit - in_use
        else:
            # Huge pages are set aside for one program, such as a database, however full it is.
            usable = total - self._huge_pages()
            left = available + self._zfs_cache()
        if left is not None and usable > 0:
            yield Reading("memory_usable_bytes", usable)
            yield Reading("memory_left_bytes", min(usable, max(0, left)))

    def _huge_pages(self) -> int:
        meminfo = read_first(f"{self._options.proc}/meminfo")
        kilobytes = number_after(meminfo, b"Hugetlb:")
        if kilobytes is None:  # before Linux 4.15, which counts only one size
            count, kilobytes_each = number_after(meminfo, b"HugePages_Total:"), number_after(meminfo, b"Hugepagesize:")
            kilobytes = (count or 0) * (kilobytes_each or 0)
        return kilobytes * 1024

    def _zfs_cache(self) -> int:
        """Bytes that ZFS gives back when others need memory. For the kernel they are in use, not cache."""
        arc = read_first(f"{self._options.proc}/spl/kstat/zfs/arcstats")
        return max(0, (number_after(arc, b"size") or 0) - (number_after(arc, b"c_min") or 0))

    def _oom_kills(self, limit: int | None) -> int | None:
        if limit is not None:
            return oom_kills(self._options.sys)
        return number_after(read_first(f"{self._options.proc}/vmstat"), b"oom_kill")
