"""What has happened to containers, from the events of a daemon and what it knows of each afterwards."""

import time
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from bongsu.agent.collectors.containers.details import Details

# SIGHUP, SIGUSR1 and SIGUSR2 ask for other things than an end.
OTHER_SIGNALS = ("1", "10", "12")
# A kill that was asked for ends the container within this time; Docker waits 10 s by default.
_ASKED_SECONDS = 60.0
# 128 + SIGTERM, 128 + SIGKILL.
_TERMINATED = 143
_KILLED = 137


class Told(NamedTuple):
    """An event of a daemon. ``action``: create, start, ask (for the end), die, oom, remove or change."""

    time_ms: int
    action: str
    details: Details
    exit_code: int


class Happened(NamedTuple):
    """``type``: as in a ContainerEvent. ``details``: afterwards. ``failed``: an end with an exit code other than 0 that
    nobody asked for."""

    time_ms: int
    type: str
    details: Details
    exit_code: int = 0
    failed: bool = False


class EventReader:
    """Reads the events of one daemon in their order."""

    def __init__(self, runtime: str) -> None:
        self._runtime = runtime
        self._asked: dict[str, float] = {}
        # Containers of whose latest run a kill for want of memory has been told.
        self._oom_killed: set[str] = set()
        self._exit_codes: dict[str, int] = {}
        # The daemon's count can rise before the event comes.
        self._restarts: dict[str, int] = {}

    def know(self, details: Details) -> None:
        """What the daemon answers. Restarts of a container that is seen for the first time are no news."""
        self._restarts.setdefault(details.id, details.restarts)

    def keep(self, ids: AbstractSet[str]) -> None:
        """Forgets all other containers. A daemon may have removed some while it could not be heard."""
        self._oom_killed.intersection_update(ids)
        for known in (self._asked, self._exit_codes, self._restarts):
            for id in known.keys() - ids:
                del known[id]

    def read(self, told: Told, details: Details, *, is_gone: bool) -> list[Happened]:
        """``details``: the latest; ``is_gone``: the daemon knows the container no more."""
        id, time_ms = details.id, told.time_ms
        if told.action == "create":
            self._restarts[id] = 0
        elif told.action == "ask":
            self._asked[id] = time.monotonic()
        elif told.action == "oom":
            self._oom_killed.add(id)
            return [Happened(time_ms, "oom_killed", details)]
        elif told.action == "start":
            return [self._started(time_ms, details)]
        elif told.action == "die":
            return self._ended(time_ms, details, told.exit_code, is_gone=is_gone)
        elif told.action == "remove":
            self._oom_killed.discard(id)
            for known in (self._asked, self._exit_codes, self._restarts):
                known.pop(id, None)
            return [Happened(time_ms, "removed", details)]
        return []

    def _started(self, time_ms: int, details: Details) -> Happened:
        id = details.id
        self._oom_killed.discard(id)
        self._asked.pop(id, None)
        restarts = self._restarts.get(id, details.restarts)
        is_again = details.restarts > restarts
        self._restarts[id] = restarts + is_again
        details = details._replace(started_ms=details.started_ms or time_ms)
        return Happened(time_ms, "restarted" if is_again else "started", details, self._exit_codes.get(id, 0))

    def _ended(self, time_ms: int, details: Details, code: int, *, is_gone: bool) -> list[Happened]:
        id = details.id
        happened = []
        if details.state != "running":
            code = code or details.exit_code
        if details.oom_killed and id not in self._oom_killed:  # Podman has no event for it
            self._oom_killed.add(id)
            happened.append(Happened(time_ms, "oom_killed", details))
        self._exit_codes[id] = code
        is_asked = time.monotonic() - self._asked.pop(id, -_ASKED_SECONDS) < _ASKED_SECONDS
        # Podman does not tell that somebody asked, and kills what does not end when asked.
        may_be_asked = is_asked or (self._runtime == "podman" and code == _KILLED and not details.oom_killed)
        if is_gone:
            details = details._replace(state="exited", exit_code=code, finished_ms=time_ms)
        failed = code not in (0, _TERMINATED) and not may_be_asked
        return [*happened, Happened(time_ms, "exited", details, code, failed)]
