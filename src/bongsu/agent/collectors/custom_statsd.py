"""A StatsD server on the loopback interface.

Understands counters, gauges, timers and sets, with sample rates and tags: ``name:1|c|@0.1|#tag:x``.
"""

import socket
import threading
import time
from typing import Any

from bongsu.agent.collectors.base import Labels, ProblemReporter, SeriesKey
from bongsu.agent.collectors.custom_metrics import MAX_CUSTOM_SERIES, CustomValue, CustomValues, custom_name, snake_case
from bongsu.core.errors import ConfigError

ERROR_PAUSE_SECONDS = 1.0


class StatsD:
    """A UDP socket and a thread that adds up what it receives. ``report_problem`` is called in that thread.

    Raises:
        ConfigError: the address is not on the loopback interface, or cannot be used.
    """

    def __init__(self, address: str, report_problem: ProblemReporter) -> None:
        self._report_problem = report_problem
        host, _, port = address.rpartition(":")
        host = host.strip("[]") or "127.0.0.1"
        if host not in ("127.0.0.1", "::1", "localhost") or not port.isdecimal():
            raise ConfigError(f"The StatsD address {address!r} is not a loopback address such as 127.0.0.1:8125.")
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((host, int(port)))
        except (OSError, OverflowError) as error:
            self._socket.close()
            raise ConfigError(f"The StatsD address {address} cannot be used: {error}.") from None
        self.port = int(self._socket.getsockname()[1])
        self._lock = threading.Lock()
        self._values: CustomValues = {}
        self._sets: dict[SeriesKey, set[str]] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._receive, name="bongsu-statsd", daemon=True)
        self._thread.start()

    def values(self) -> CustomValues:
        """The current values. Counters and gauges keep their values; sets start again empty."""
        with self._lock:
            values = dict(self._values)
            values.update((key, CustomValue(float(len(members)), False)) for key, members in self._sets.items())
            for members in self._sets.values():
                members.clear()
        return values

    def close(self) -> None:
        address: Any = self._socket.getsockname()
        # an empty packet wakes the thread; closing the socket does not do that on every system
        with socket.socket(self._socket.family, socket.SOCK_DGRAM) as waker:
            self._closing = True
            waker.sendto(b"", address)
        self._thread.join(2)
        self._socket.close()

    def _receive(self) -> None:
        while not self._closing:
            try:
                self._receive_packet()
            except Exception as error:  # whatever it is, the thread goes on with the next packet
                if not self._closing:
                    self._report_problem("statsd", f"a StatsD packet was lost: {type(error).__name__}: {error}")
                    # a lasting error must not keep the CPU busy
                    time.sleep(ERROR_PAUSE_SECONDS)

    def _receive_packet(self) -> None:
        packet = self._socket.recv(65_536)
        with self._lock:
            for line in packet.decode(errors="replace").splitlines():
                self._add(line)

    def _add(self, line: str) -> None:
        """Adds ``name:value|type|@rate|#tag:x,tag``. Ignores lines that are not valid."""
        name, colon, rest = line.partition(":")
        value, *parts = rest.split("|")
        if not colon or not parts:
            return
        rate = 1.0
        labels: Labels = ()
        try:
            for part in parts[1:]:
                if part.startswith("@"):
                    rate = float(part[1:])
                elif part.startswith("#"):
                    labels = _labels(part[1:])
            if 0 < rate <= 1 and len(self._values) + len(self._sets) <= MAX_CUSTOM_SERIES:
                self._add_value(custom_name(name), labels, parts[0], value, rate)
        except (ValueError, ArithmeticError):
            return

    def _add_value(self, name: str, labels: Labels, metric_type: str, value: str, rate: float) -> None:
        if metric_type == "c":
            self._count(name.removesuffix("_total") + "_total", labels, float(value) / rate)
        elif metric_type == "g":
            is_relative = value[:1] in ("+", "-")
            base = self._values[(name, labels)].value if is_relative and (name, labels) in self._values else 0.0
            self._values[(name, labels)] = CustomValue(base + float(value), False)
        elif metric_type in ("ms", "h", "d"):
            self._count(name + "_count_total", labels, 1 / rate)
            self._count(name + "_seconds_total", labels, float(value) / 1000 / rate)
        elif metric_type == "s":
            self._sets.setdefault((name, labels), set()).add(value)

    def _count(self, name: str, labels: Labels, increase: float) -> None:
        previous = self._values.get((name, labels), CustomValue(0.0, True))
        self._values[(name, labels)] = CustomValue(previous.value + increase, True)


def _labels(text: str) -> Labels:
    pairs = {}
    for tag in text.split(","):
        name, _, value = tag.partition(":")
        pairs[snake_case(name) or "tag"] = value[:200]
    return tuple(sorted(pairs.items()))
