"""Fakes for what the agent depends on: psutil, the log, a server."""

import contextlib
import socket
import sys
import threading
from collections import namedtuple
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bongsu.agent.collectors.base import Collector, Gauge, Reading
from bongsu.core.samples import Frame, Process, ProcessList, pack
from bongsu.core.series import Layout, Series

CpuTimes = namedtuple("CpuTimes", "user nice system idle iowait irq softirq steal guest guest_nice")
Partition = namedtuple("Partition", "device mountpoint fstype opts")
DiskIo = namedtuple("DiskIo", "read_count write_count read_bytes write_bytes read_time write_time busy_time")
NetIo = namedtuple("NetIo", "bytes_sent bytes_recv packets_sent packets_recv errin errout dropin dropout")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

NetState = namedtuple("NetState", "isup duplex speed mtu flags")


class FakeLog:
    """Remembers its lines. Logs a problem once until it is resolved, as the real log does."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.open_problems: set[str] = set()

    def problem(self, topic: str, message: str) -> None:
        if topic not in self.open_problems:
            self.open_problems.add(topic)
            self.lines.append(message)

    def resolved(self, topic: str, message: str) -> None:
        if topic in self.open_problems:
            self.open_problems.discard(topic)
            self.lines.append(message)

    def info(self, message: str) -> None:
        self.lines.append(message)


def fake_ps(**functions: Any) -> Any:
    """psutil with only these functions. A value that is not callable becomes a function that returns it."""
    return SimpleNamespace(
        **{
            name: value if callable(value) else (lambda *args, value=value, **kwargs: value)
            for name, value in functions.items()
        }
    )


class FastCollector(Collector):
    """Has one reading, under its own name."""

    def __init__(self, name: str = "fast") -> None:
        super().__init__(fake_ps())
        self.name = name
        self.metrics = (Gauge(name, "."),)

    def collect(self) -> Iterable[Reading]:
        yield Reading(self.name, 1.0)


def by_series(readings: Iterable[Reading]) -> dict[str, float]:
    """``metric[label value]...`` -> value."""
    return {
        reading.metric + "".join(f"[{value}]" for _, value in reading.labels): reading.value for reading in readings
    }


def write_process(proc: Path, pid: int, name: str, ticks: int, started: int = 5, pages: int = 10) -> None:
    """Writes a process into a tree of /proc."""
    fields = ["S"] + ["0"] * 10 + [str(ticks), "0"] + ["0"] * 4 + ["3", "0", str(started), "0", str(pages)]
    (proc / str(pid)).mkdir(exist_ok=True)
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")


def a_layout(*metrics: str) -> Layout:
    return Layout.of(tuple(Series(metric) for metric in metrics or ("load_1m",)))


def a_frame(time_ms: int, layout: Layout | None = None, value: float = 1.0) -> Frame:
    layout = layout or a_layout()
    return Frame(layout.id, time_ms, pack([value] * len(layout.series)))


def a_process_list(time_ms: int, *names: str) -> ProcessList:
    return ProcessList(time_ms, [Process(pid, name, "root", 0.5, 1024, 2, 3) for pid, name in enumerate(names, 1)])


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Waits until the condition holds."""
    never = threading.Event()
    for _ in range(int(seconds / 0.005)):
        if condition():
            return
        never.wait(0.005)
    raise AssertionError("the condition did not come true in time")


class RawServer:
    """A TCP server on the loopback interface that runs ``serve`` for each connection in a thread."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        self._serve = serve
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._serve(connection)
            except OSError:
                return

    def close(self) -> None:
        # shutdown wakes accept, which close alone does not
        with contextlib.suppress(OSError):  # macOS: not connected
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def read_request(connection: socket.socket) -> tuple[str, dict[str, str], bytes] | None:
    """The next request, or None if the client closed the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65_536)
        if not received:
            return None
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65_536)
    return first, headers, body
