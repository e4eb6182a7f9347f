"""Trees of files such as the kernel shows them below /sys/fs/cgroup, and processes below /proc."""

from pathlib import Path

MiB = 1024**2
_HOST_DEVICES = (
    "Inter-|\n face |\n    lo: 9 0 0 0 0 0 0 0 9 0\n  eth0: 5 0 0 0 0 0 0 0 5 0\nveth01: 5 0 0 0 0 0 0 0 5 0\n"
)


def full_id(number: int) -> str:
    return f"{number:012x}".ljust(64, "0")


class Tree:
    """``sys`` and ``proc``: for the options of a collector."""

    def __init__(self, folder: Path, version: int = 2) -> None:
        self.sys = folder / "sys"
        self.proc = folder / "proc"
        self._root = self.sys / "fs/cgroup"
        self._version = version
        self._root.mkdir(parents=True)
        if version == 2:
            (self._root / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
        else:
            for controller in ("cpu", "cpuacct", "memory", "blkio", "pids", "unified"):
                (self._root / controller).mkdir()
        self.process(1, _HOST_DEVICES)

    def process(self, pid: int, devices: str, comm: str = "app") -> None:
        folder = self.proc / str(pid)
        (folder / "net").mkdir(parents=True, exist_ok=True)
        (folder / "net/dev").write_text(devices)
        (folder / "comm").write_text(comm + "\n")

    def group(
        self, path: str, *, cpu: float = 0.0, memory: int = 10 * MiB, inactive: int = 2 * MiB, limit: int = 0,
        oom_kills: int = 0, periods: int = 0, throttled: int = 0, read: int = 0, written: int = 0, processes: int = 3,
        pids: tuple[int, ...] = (),
    ) -> None:  # fmt: skip
        """Makes the group, or changes its numbers. ``path`` begins with a slash."""
        procs = "".join(f"{pid}\n" for pid in pids)
        if self._version == 2:
            files = {
                "cpu.stat": f"usage_usec {round(cpu * 1e6)}\nuser_usec 1\nsystem_usec 1\n"
                f"nr_periods {periods}\nnr_throttled {throttled}\nthrottled_usec 5\n",
                "memory.current": f"{memory}\n",
                "memory.stat": f"anon 1\nfile 2\ninactive_anon 7\ninactive_file {inactive}\nactive_file 1\n",
                "memory.max": f"{limit or 'max'}\n",
                "memory.events": f"low 0\nhigh 0\nmax 0\noom {oom_kills}\noom_kill {oom_kills}\noom_group_kill 0\n",
                "io.stat": f"8:0 rbytes={read} wbytes={written} rios=1 wios=1 dbytes=0 dios=0\n8:16 \n",
                "pids.current": f"{processes}\n",
                "cgroup.procs": procs,
            }
        else:
            files = {
                "cpuacct/cpuacct.usage": f"{round(cpu * 1e9)}\n",
                "cpu/cpu.stat": f"nr_periods {periods}\nnr_throttled {throttled}\nthrottled_time 5\n",
                "memory/memory.usage_in_bytes": f"{memory}\n",
                "memory/memory.stat": f"cache 1\ninactive_file 3\ntotal_inactive_file {inactive}\n",
                "memory/memory.limit_in_bytes": f"{limit or 9223372036854771712}\n",
                "memory/memory.oom_control": f"oom_kill_disable 0\nunder_oom 0\noom_kill {oom_kills}\n",
                "blkio/blkio.throttle.io_service_bytes": f"8:0 Read {read}\n8:0 Write {written}\n"
                f"8:0 Total {read + written}\nTotal {read + written}\n",
                "pids/pids.current": f"{processes}\n",
                "memory/cgroup.procs": procs,
            }
        for name, text in files.items():
            controller, _, file = name.rpartition("/")
            folder = self._root / controller / path.lstrip("/")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)

    def remove(self, path: str) -> None:
        for folder in self._root.glob(f"**{path}"):
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
