"""A TCP proxy on loopback that misbehaves when told."""

import contextlib
import socket
import threading

PAGES = {
    "not found": b"HTTP/1.1 404 Not Found\r\nContent-Length: 22\r\nConnection: close\r\n\r\n<html>No such site</html>"[
        :91
    ],
    "portal": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 19\r\nConnection: close\r\n\r\n<html>Log in</html>",
    "moved": b"HTTP/1.1 301 Moved Permanently\r\nLocation: https://example.invalid/\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n",
    "bad gateway": b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\nConnection: close\r\n\r\nsad.",
    "garbage": b"\x00\xff\x13 this is not HTTP\r\n\r\n",
    "nothing": b"",
}
# After this many bytes of an answer, "cut" closes the connection: the push is stored, but its agent does not know.
CUT_BYTES = 20


class FaultyProxy:
    """Forwards to ``target_port``, or to a Unix socket. ``mode``: "pass", "cut", "no websocket", or the name of one of
    PAGES, which it answers instead. Both may change while it runs."""

    def __init__(self, target_port: int = 0, *, unix_socket: str = "") -> None:
        self.mode = "pass"
        self.target_port = target_port
        self._unix_socket = unix_socket
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: set[socket.socket] = set()
        # Connections that began before it was set again lie still: nothing arrives, and nobody closes them.
        self._flowing = threading.Event()
        self._flowing.set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Closes every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset()

    def reset(self) -> None:
        """Closes the present connections, so that the next request meets the present mode."""
        with self._lock:
            connections, self._open = self._open, set()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def half_open(self) -> None:
        """From now on the present connections carry nothing, in either direction, but stay open, as when a firewall has
        forgotten them. New ones work."""
        self._flowing.clear()
        self._flowing = threading.Event()
        self._flowing.set()

    def _connect(self) -> socket.socket:
        if not self._unix_socket:
            return socket.create_connection(("127.0.0.1", self.target_port), 10)
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._unix_socket)
        return server

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._track(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _track(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def _serve(self, client: socket.socket) -> None:
        mode, flowing = self.mode, self._flowing
        with contextlib.suppress(OSError):
            if mode in PAGES:
                client.settimeout(10)
                client.recv(65_536)
                client.sendall(PAGES[mode])
                client.shutdown(socket.SHUT_RDWR)
                client.close()
                return
            if mode == "no websocket" and b"upgrade: websocket" in client.recv(65_536, socket.MSG_PEEK).lower():
                client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                client.close()
                return
            server = self._connect()
            server.settimeout(None)
            self._track(server)
            threading.Thread(target=self._pump, args=(client, server, None, flowing), daemon=True).start()
            self._pump(server, client, CUT_BYTES if mode == "cut" else None, flowing)
            return
        client.close()

    def _pump(self, source: socket.socket, target: socket.socket, limit: int | None, flowing: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                flowing.wait()
                target.sendall(data[:limit])
                if limit is not None:
                    break
        for connection in (source, target):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
