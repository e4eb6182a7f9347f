"""A daemon that answers as Docker does, on a unix socket. Like Docker it sends chunks and keeps events for latecomers."""

import json
import queue
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any


def rfc3339(seconds: float) -> str:
    if not seconds:
        return "0001-01-01T00:00:00Z"
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03}456789Z"


class StubDocker:
    """``behaviour``: instead of an answer to each request, for daemons that are broken."""

    def __init__(self, path: Path, behaviour: Callable[[socket.socket], None] | None = None) -> None:
        self.path = path
        self.requests: list[str] = []
        self.containers: dict[str, dict[str, Any]] = {}
        self.behaviour = behaviour
        self._events: list[tuple[int, bytes]] = []
        self._listeners: list[queue.Queue[bytes | None]] = []
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def add(
        self, id: str, name: str, *, image: str = "nginx:1.27", labels: dict[str, str] | None = None,
        running: bool = True, created: float = 0.0, **state: Any,
    ) -> None:  # fmt: skip
        created = created or time.time()
        self.containers[id] = {
            "Id": id,
            "Name": f"/{name}",
            "Created": rfc3339(created),
            "RestartCount": 0,
            "State": {
                "Status": "running" if running else "exited", "Running": running, "OOMKilled": False, "ExitCode": 0,
                "StartedAt": rfc3339(created), "FinishedAt": rfc3339(0 if running else created + 1), **state,
            },
            "Config": {"Image": image, "Labels": labels or {}},
            "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "443/tcp": None}},
        }  # fmt: skip

    def change(self, id: str, *, restarts: int | None = None, **state: Any) -> None:
        container = self.containers[id]
        container["State"] |= state
        if restarts is not None:
            container["RestartCount"] = restarts

    def tell(self, id: str, action: str, *, at: float = 0.0, **attributes: str) -> None:
        """An event. The container may be gone already, if ``attributes`` have its name and image."""
        container = self.containers.get(id)
        if container is not None:
            own = {"name": container["Name"].lstrip("/"), "image": container["Config"]["Image"]}
            attributes = own | container["Config"]["Labels"] | attributes
        nano = int((at or time.time()) * 1e9)
        event = {
            "status": action, "id": id, "Type": "container", "Action": action, "scope": "local",
            "Actor": {"ID": id, "Attributes": attributes}, "time": nano // 10**9, "timeNano": nano,
        }  # fmt: skip
        line = json.dumps(event).encode() + b"\n"
        with self._lock:
            self._events.append((nano // 10**9, line))
            for listener in self._listeners:
                listener.put(line)

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def drop_connections(self) -> None:
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def close(self) -> None:
        # shutdown wakes the thread that accepts; close alone does not
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        with self._lock:
            for listener in self._listeners:
                listener.put(None)
        self.drop_connections()
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    data = connection.recv(4096)
                    if not data:
                        return
                    head += data
                target = head.split()[1].decode()
                self.requests.append(target)
                if self.behaviour is not None:
                    self.behaviour(connection)
                else:
                    self._answer(connection, urllib.parse.urlsplit(target))
            except OSError:
                return

    def _answer(self, connection: socket.socket, target: urllib.parse.SplitResult) -> None:
        parts = target.path.split("/")
        if target.path == "/events":
            self._stream(connection, int(urllib.parse.parse_qs(target.query)["since"][0]))
        elif target.path == "/containers/json":
            _send(connection, 200, list(map(_list_entry, list(self.containers.values()))))
        elif parts[2] in self.containers:
            _send(connection, 200, self.containers[parts[2]])
        else:
            _send(connection, 404, {"message": f"No such container: {parts[2]}"})

    def _stream(self, connection: socket.socket, since: int) -> None:
        listener: queue.Queue[bytes | None] = queue.Queue()
        with self._lock:
            for second, line in self._events:
                if second >= since:
                    listener.put(line)
            self._listeners.append(listener)
        try:
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            while (line := listener.get()) is not None:
                connection.sendall(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        finally:
            self._listeners.remove(listener)


def _list_entry(container: dict[str, Any]) -> dict[str, Any]:
    return {
        "Id": container["Id"],
        "Names": [container["Name"]],
        "Image": container["Config"]["Image"],
        "Labels": container["Config"]["Labels"],
        "State": container["State"]["Status"],
        "Created": int(time.time()),
    }


def _send(connection: socket.socket, status: int, document: Any) -> None:
    body = json.dumps(document).encode()
    reason = {200: "OK", 404: "Not Found"}[status]
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces = [body[begin : begin + 1000] for begin in range(0, len(body), 1000)]
    chunks = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces)
    connection.sendall(head.encode() + chunks + b"0\r\n\r\n")
