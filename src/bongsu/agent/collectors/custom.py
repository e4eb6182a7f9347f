"""Values that scripts, or programs through StatsD, hand in.

Every name gets the prefix ``custom_`` and is brought to lower case with ``_`` for anything else, so that nothing here
can pass for a metric of the agent's. The series have a layout of their own: they may come and go without touching that
of the machine.
"""

import os
import re
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from bongsu.agent.collectors.base import Counter, Gauge, Labels, Metric, Options, Ps, Reading
from bongsu.core.errors import ConfigError

PREFIX = "custom_"
# Beyond this a program has put an id into a name.
MAX_SERIES = 1_000
DEFAULT_TIMEOUT_MS = 30_000
# A pipe holds 64 KB; a script that says more is stopped by its timeout.
MAX_OUTPUT_BYTES = 65_536

_NOT_A_NAME = re.compile(r"[^a-z0-9_]+")
_LINE = re.compile(r"\s*([A-Za-z_:][\w:.-]*)\s*(?:\{(.*)\})?\s+(\S+)(?:\s+\d+)?\s*")
_LABEL = re.compile(r'\s*([A-Za-z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?')


def clean(name: str) -> str:
    """``Orders.Paid-EU`` -> ``custom_orders_paid_eu``."""
    return PREFIX + (_NOT_A_NAME.sub("_", name.lower()).strip("_") or "value")[:100]


class CustomCollector:
    """Scripts and StatsD.

    ``scripts``: name -> command. It is started at a tick and its output read at the next, so that no script can delay
    a sample; it is stopped after ``timeout`` (30 s). It prints ``name value`` or ``name{label="x"} value`` lines, or
    one number that gets the name of the script. Names that end in ``_total`` are counters. ``statsd``: an address on
    loopback, such as ``127.0.0.1:8125``. Counters, gauges, timers and sets, with sample rates and tags
    (``name:1|c|@0.1|#tag:x``).
    """

    name = "custom"
    own_layout = True
    metrics: tuple[Metric, ...] = ()

    def __init__(
        self, ps: Ps, options: Options | None = None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        options = options or Options()
        self._note = options.note
        self.found: dict[str, Metric] = {}
        timeout = options.values.get("timeout", DEFAULT_TIMEOUT_MS) / 1000
        scripts: dict[str, str] = options.values.get("scripts") or {}
        self._scripts = [Script(name, command, timeout, monotonic) for name, command in scripts.items()]
        address = options.values.get("statsd") or ""
        self.statsd = StatsD(address) if address else None

    def collect(self) -> Iterable[Reading]:
        series: dict[tuple[str, Labels], tuple[float, bool]] = {}
        for script in self._scripts:
            problem = script.step()
            if problem:
                self._note(f"script {script.name}", f"the script {script.name} {problem}")
            series.update(script.values)
        if self.statsd is not None:
            series.update(self.statsd.take())
        for (name, labels), (value, counts) in list(series.items())[:MAX_SERIES]:
            metric = self.found.get(name)
            if metric is None:
                metric = self.found[name] = (Counter if counts else Gauge)(
                    name, "Handed in by a script or through StatsD."
                )
            yield Reading(name, value, labels)
        if len(series) > MAX_SERIES:
            self._note("custom", f"more than {MAX_SERIES} custom series; the rest is not sent")

    def close(self) -> None:
        if self.statsd is not None:
            self.statsd.close()
        for script in self._scripts:
            script.stop()


class Script:
    """A command that is run again and again, without anyone waiting for it."""

    def __init__(self, name: str, command: str, timeout_seconds: float, monotonic: Callable[[], float]) -> None:
        self.name = name
        self.values: dict[tuple[str, Labels], tuple[float, bool]] = {}
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise ConfigError(f"The command of the script {name} is not complete: {error}.") from None
        self._timeout_seconds = timeout_seconds
        self._monotonic = monotonic
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    def step(self) -> str:
        """Reads what the last run said, and starts the next. Returns what went wrong."""
        problem = ""
        if self._process is not None:
            if self._process.poll() is None:
                if self._monotonic() - self._started < self._timeout_seconds:
                    return ""
                self.stop()
                problem = f"did not end within {self._timeout_seconds:g} s and was stopped"
            else:
                assert self._process.stdout is not None
                output = self._process.stdout.read(MAX_OUTPUT_BYTES).decode(errors="replace")
                self._process.stdout.close()
                if self._process.returncode:
                    problem = f"ended with status {self._process.returncode}"
                else:
                    self.values, problem = parse(self.name, output)
                self._process = None
        if problem:
            self.values = {}
        try:
            self._process = subprocess.Popen(
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # the agent's token is none of a script's business
                env={name: value for name, value in os.environ.items() if not name.startswith("BONGSU_")},
            )
        except OSError as error:
            self.values = {}
            return f"cannot be started: {error.strerror}"
        self._started = self._monotonic()
        return problem

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None


def parse(script: str, output: str) -> tuple[dict[tuple[str, Labels], tuple[float, bool]], str]:
    """The values of a script's output, and what is wrong with it. Lines that begin with # are passed over."""
    values: dict[tuple[str, Labels], tuple[float, bool]] = {}
    problem = ""
    for line in output.splitlines():
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        name, labels, number = (match[1], match[2], match[3]) if match else (script, None, text)
        try:
            value = float(number)
        except ValueError:
            problem = f"printed {text[:60]!r}, which is not a name and a number"
            continue
        pairs = tuple(sorted((found[1], found[2]) for found in _LABEL.finditer(labels or "")))
        values[(clean(name), pairs)] = (value, name.endswith("_total"))
    return values, problem


class StatsD:
    """A UDP socket on loopback, with a thread that adds up what comes. Raises ConfigError."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        host = host.strip("[]") or "127.0.0.1"
        if host not in ("127.0.0.1", "::1", "localhost") or not port.isdecimal():
            raise ConfigError(f"The StatsD address {address!r} is not one on loopback, such as 127.0.0.1:8125.")
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((host, int(port)))
        except (OSError, OverflowError) as error:
            self._socket.close()
            raise ConfigError(f"The StatsD address {address} cannot be used: {error}.") from None
        self.port = int(self._socket.getsockname()[1])
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, Labels], tuple[float, bool]] = {}
        self._sets: dict[tuple[str, Labels], set[str]] = {}
        self.bad_lines = 0
        self._thread = threading.Thread(target=self._receive, name="bongsu-statsd", daemon=True)
        self._thread.start()

    def take(self) -> dict[tuple[str, Labels], tuple[float, bool]]:
        """Counters go on, gauges stay, sets begin anew."""
        with self._lock:
            values = dict(self._kept)
            values.update((key, (float(len(members)), False)) for key, members in self._sets.items())
            for members in self._sets.values():
                members.clear()
        return values

    def close(self) -> None:
        address: Any = self._socket.getsockname()
        # an empty packet wakes the thread, which closing the socket alone does not on every system
        with socket.socket(self._socket.family, socket.SOCK_DGRAM) as waker:
            self._closing = True
            waker.sendto(b"", address)
        self._thread.join(2)
        self._socket.close()

    _closing = False

    def _receive(self) -> None:
        while not self._closing:
            packet = self._socket.recv(65_536)
            with self._lock:
                for line in packet.decode(errors="replace").splitlines():
                    if line and not self._add(line):
                        self.bad_lines += 1

    def _add(self, line: str) -> bool:
        """``name:value|type|@rate|#tag:x,tag``. Whether it was understood."""
        name, colon, rest = line.partition(":")
        value, *parts = rest.split("|")
        if not colon or not parts:
            return False
        rate = 1.0
        labels: Labels = ()
        try:
            for part in parts[1:]:
                if part.startswith("@"):
                    rate = float(part[1:])
                elif part.startswith("#"):
                    labels = _tags(part[1:])
            if not 0 < rate <= 1 or len(self._kept) + len(self._sets) > MAX_SERIES:
                return False
            return self._account(clean(name), labels, parts[0], value, rate)
        except ValueError:
            return False

    def _account(self, name: str, labels: Labels, kind: str, value: str, rate: float) -> bool:
        if kind == "c":
            self._count(name.removesuffix("_total") + "_total", labels, float(value) / rate)
        elif kind == "g":
            before = self._kept.get((name, labels), (0.0, False))[0] if value[:1] in "+-" else 0.0
            self._kept[(name, labels)] = (before + float(value), False)
        elif kind in ("ms", "h", "d"):
            self._count(name + "_count_total", labels, 1 / rate)
            self._count(name + "_seconds_total", labels, float(value) / 1000 / rate)
        elif kind == "s":
            self._sets.setdefault((name, labels), set()).add(value)
        else:
            return False
        return True

    def _count(self, name: str, labels: Labels, value: float) -> None:
        self._kept[(name, labels)] = (self._kept.get((name, labels), (0.0, True))[0] + value, True)


def _tags(text: str) -> Labels:
    pairs = {}
    for tag in text.split(","):
        name, _, value = tag.partition(":")
        pairs[_NOT_A_NAME.sub("_", name.lower()).strip("_") or "tag"] = value[:200]
    return tuple(sorted(pairs.items()))
