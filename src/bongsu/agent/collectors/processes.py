"""The processes that use most CPU and memory.

This collector has no series: processes come and go, and each would change the layout. It makes a list that is sent and
stored beside the frames. The list holds names but no arguments, which may contain secrets.
"""

import os
import sys
from collections.abc import Iterable
from typing import ClassVar

from bongsu.agent.collectors.base import Collector, Filter, Options, Ps, Reading
from bongsu.agent.collectors.process_sampler import ProcessSampler
from bongsu.agent.config_values import parse_count
from bongsu.core.errors import ConfigError
from bongsu.core.samples import Process
from bongsu.core.text import visible
from bongsu.wire.limits import MAX_PROCESS_NAME_CHARS, MAX_PROCESSES

# By CPU, and as many by memory.
DEFAULT_TOP = 10
MAX_TOP = MAX_PROCESSES // 2


def _parse_top(text: str) -> int:
    top = parse_count(text)
    if top > MAX_TOP:
        raise ConfigError(f"{text!r} is more than {MAX_TOP}")
    return top


class ProcessesCollector(Collector):
    """The processes that used most CPU since the last list, and those with most resident memory.

    Filter: ``names``. Setting: ``top``, how many of each.
    """

    name = "processes"
    interval_seconds = 60
    filters = ("names",)
    settings: ClassVar = {"top": _parse_top}

    def __init__(self, ps: Ps, options: Options | None = None) -> None:
        super().__init__(ps, options)
        self._sampler = ProcessSampler(self._options.proc)
        self._is_selected = self._options.filter("names", Filter())
        self._top: int = self._options.settings.get("top", DEFAULT_TOP)
        self._user_names: dict[int, str] = {}

    def collect(self) -> Iterable[Reading]:
        selected = [process for process in self._sampler.sample() if self._is_selected(process.name)]
        busy = sorted(
            (process for process in selected if process.cpu_ratio > 0), key=lambda process: -process.cpu_ratio
        )
        large = sorted(
            (process for process in selected if process.memory_bytes > 0), key=lambda process: -process.memory_bytes
        )
        listed = {process.pid: process for process in busy[: self._top] + large[: self._top]}
        self.processes = [
            Process(
                process.pid,
                _wire_text(process.name),
                _wire_text(self._user_name(process.pid)),
                round(process.cpu_ratio, 4),
                process.memory_bytes,
                process.threads,
                process.started_ms,
            )
            for process in sorted(listed.values(), key=lambda process: (-process.cpu_ratio, -process.memory_bytes))
        ]
        return ()

    def _user_name(self, pid: int) -> str:
        """The name of the process's user; empty if it cannot be found."""
        if sys.platform != "linux":
            import psutil

            try:
                return psutil.Process(pid).username()
            except (psutil.Error, KeyError):  # it ended, it belongs to another user, or the user has no name
                return ""
        try:
            user_id = os.stat(f"{self._options.proc}/{pid}").st_uid
        except OSError:  # it ended
            return ""
        if user_id not in self._user_names:
            import pwd

            try:
                self._user_names[user_id] = pwd.getpwuid(user_id).pw_name
            except KeyError:  # a user of a container, or a deleted one
                self._user_names[user_id] = str(user_id)
        return self._user_names[user_id]


def _wire_text(text: str) -> str:
    """Visible text of a length that the API server accepts. File names that are not UTF-8 contain lone surrogates."""
    return visible(text.encode(errors="replace").decode())[:MAX_PROCESS_NAME_CHARS]
