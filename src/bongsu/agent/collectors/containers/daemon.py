"""Follows one daemon, Docker or Podman, in a thread of its own, so that one that hangs delays nothing.

It asks for all containers once a minute, for the details of those that are new or have changed, and listens to events
in between. When the connection breaks, it tries again after 1 s, later after up to a minute, and asks for the events
since then.
"""

import json
import threading
import time
import urllib.parse
from collections import deque
from typing import Any, NamedTuple

from bongsu.agent.collectors.containers import details as parse
from bongsu.agent.collectors.containers.details import Details
from bongsu.agent.collectors.containers.happened import OTHER_SIGNALS, EventReader, Happened, Told
from bongsu.agent.collectors.containers.unix_http import BadAnswer, LineStream, get_json
from bongsu.wire.limits import MAX_CONTAINER_EVENTS, MAX_CONTAINERS

LIST_SECONDS = 60.0
# What a daemon told holds for so long after it can no longer be asked.
FORGET_SECONDS = 300.0
LONGEST_PAUSE_SECONDS = 60.0
# What belongs together comes within this time: one question answers for all of it.
SETTLE_SECONDS = 0.2
# Docker's word -> ours. Podman's API of Docker uses some words of its own.
_ACTIONS = {
    "create": "create", "start": "start", "die": "die", "died": "die", "oom": "oom", "kill": "ask",
    "destroy": "remove", "remove": "remove", "rename": "change", "pause": "change", "unpause": "change",
    "health_status": "change", "update": "change",
}  # fmt: skip
_FILTERS = urllib.parse.quote(json.dumps({"type": ["container"], "event": list(_ACTIONS)}))


class News(NamedTuple):
    """``containers``: all, by id; ``removed``: those that are gone since the last time."""

    containers: dict[str, Details]
    removed: list[Details]
    events: list[Happened]
    events_dropped: int


class Daemon:
    """``path``: of its socket. Other threads call ``start``, ``take`` and ``close``."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.runtime = "podman" if "podman" in path else "docker"
        # Why it cannot be asked; empty if it can.
        self.problem = ""
        self.is_connected = False
        # Set once it has answered, or has failed to.
        self.answered = threading.Event()
        self._lock = threading.Lock()
        self._containers: dict[str, Details] = {}
        self._removed: list[Details] = []
        self._events: deque[Happened] = deque()
        self._events_dropped = 0
        # Only the thread uses what follows.
        self._changed: set[str] = set()
        self._waiting: list[Told] = []
        self._reader = EventReader(self.runtime)
        # Of the latest event. A daemon takes whole seconds, and tells again what came before in the first of them.
        self._latest_nano = time.time_ns()
        self._stopping = threading.Event()
        self._stream: LineStream | None = None
        self._thread = threading.Thread(target=self._run, name="bongsu-containers", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def take(self) -> News:
        """What is known, with what happened since the call before."""
        with self._lock:
            news = News(dict(self._containers), self._removed, list(self._events), self._events_dropped)
            self._removed, self._events_dropped = [], 0
            self._events.clear()
        return news

    def close(self) -> None:
        """The thread ends within a few seconds; nobody waits for it."""
        self._stopping.set()
        stream = self._stream
        if stream is not None:
            stream.shut_down()

    def _run(self) -> None:
        pause, lost_at = 1.0, time.monotonic()
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._follow()
            except (OSError, BadAnswer) as error:
                self.problem = str(getattr(error, "strerror", None) or error) or type(error).__name__
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                self.problem = f"answers what is not understood ({type(error).__name__}: {error})"
            if self.is_connected:
                lost_at = time.monotonic()
            self.is_connected = False
            self.answered.set()
            if time.monotonic() - lost_at > FORGET_SECONDS:
                self._forget()
            if time.monotonic() - began > LONGEST_PAUSE_SECONDS:
                pause = 1.0
            self._stopping.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _forget(self) -> None:
        with self._lock:
            self._removed = [*self._removed, *self._containers.values()][-MAX_CONTAINERS:]
            self._containers = {}

    def _follow(self) -> None:
        since = self._latest_nano // 10**9
        self._stream = stream = LineStream(self.path, f"/events?since={since}&filters={_FILTERS}")
        try:
            list_at = 0.0
            while not self._stopping.is_set():
                if time.monotonic() >= list_at:
                    self._ask_for_all()
                    list_at = time.monotonic() + LIST_SECONDS
                    self.problem, self.is_connected = "", True
                    self.answered.set()
                events = list(stream.lines(list_at - time.monotonic()))
                if events and not self._stopping.wait(SETTLE_SECONDS):
                    events += stream.lines(0.0)
                for event in events:
                    self._take_event(event)
                self._ask_for_changed()
        finally:
            self._stream = None
            stream.close()

    def _ask_for_all(self) -> None:
        self._latest_nano = min(self._latest_nano, time.time_ns())  # the clock may have been set back
        entries = get_json(self.path, "/containers/json?all=1")
        if not isinstance(entries, list):
            raise BadAnswer("does not answer with a list of containers")
        listed = {entry["Id"]: entry for entry in entries if not parse.is_pause(entry.get("Labels") or {})}
        # A daemon may have any number of containers that have ended. They come newest first.
        order = sorted(listed.values(), key=lambda entry: entry.get("State") != "running")[:MAX_CONTAINERS]
        found = {entry["Id"]: parse.of_list(entry, self.runtime) for entry in order}
        with self._lock:
            known = self._containers
            self._removed += [each for id, each in known.items() if id not in found]
            self._containers = {id: known.get(id, each) for id, each in found.items()}
        self._reader.keep(found.keys() | {told.details.id for told in self._waiting})
        self._changed |= {id for id, each in found.items() if id not in known or each.state != known[id].state}
        self._ask_for_changed()

    def _take_event(self, event: Any) -> None:
        nano = int(event.get("timeNano") or int(event["time"]) * 10**9)
        if nano <= self._latest_nano:
            return
        self._latest_nano = nano
        actor = event.get("Actor") or {}
        attributes = actor.get("Attributes") or {}
        id = actor.get("ID") or event["id"]
        action = _ACTIONS.get(str(event.get("Action") or event.get("status")).partition(":")[0], "")
        if not action or parse.is_pause(attributes):
            return
        if action == "ask" and attributes.get("signal") in OTHER_SIGNALS:
            return
        code = attributes.get("exitCode") or attributes.get("containerExitCode") or 0
        with self._lock:
            details = self._containers.get(id) or self._of_event(id, attributes, nano // 10**6)
            self._containers[id] = details
        self._changed.add(id)
        self._waiting.append(Told(nano // 10**6, action, details, parse.exit_code(code)))

    def _of_event(self, id: str, attributes: dict[str, str], time_ms: int) -> Details:
        """A container that may be gone before anybody can ask for it. Its labels are among the attributes."""
        name, image = parse.wire_text(attributes.get("name")), parse.wire_text(attributes.get("image"))
        workload = parse.workload_of(attributes, image, name)
        pod = parse.pod_of(attributes)
        return Details(id, name or id[:12], image, workload, self.runtime, created_ms=time_ms, **pod)

    def _ask_for_changed(self) -> None:
        gone: set[str] = set()
        for id in list(self._changed):
            self._changed.discard(id)
            try:
                answer = get_json(self.path, f"/containers/{id}/json")
            except BadAnswer as error:
                if error.status == 404:  # it came and went
                    gone.add(id)
                    continue
                self._changed.add(id)
                raise
            except OSError:
                self._changed.add(id)
                raise
            self._update(parse.of_inspection(answer, self.runtime))
        self._resolve(gone)

    def _update(self, new: Details) -> None:
        with self._lock:
            old = self._containers.get(new.id)
            self._containers[new.id] = new
        self._reader.know(new)
        if old is None or not old.health or new.health == old.health:
            return
        if new.health in ("healthy", "unhealthy"):
            self._tell(Happened(int(time.time() * 1000), new.health, new))

    def _resolve(self, gone: set[str]) -> None:
        """Turns what the daemon told into events. ``gone``: containers that it knows no more."""
        waiting, self._waiting = self._waiting, []
        for told in waiting:
            details = self._containers.get(told.details.id, told.details)
            happened = self._reader.read(told, details, is_gone=told.details.id in gone)
            for each in happened:
                self._tell(each)
                with self._lock:
                    if each.type == "removed":
                        self._containers.pop(details.id, None)
                        self._removed = [*self._removed, each.details][-MAX_CONTAINERS:]
                    elif details.id in self._containers:
                        self._containers[details.id] = each.details

    def _tell(self, happened: Happened) -> None:
        with self._lock:
            if len(self._events) >= MAX_CONTAINER_EVENTS:
                self._events.popleft()
                self._events_dropped += 1
            self._events.append(happened)
