"""Somebody who watches the live stream, as a browser does: connects again whenever the connection ends."""

import contextlib
import threading

from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from bongsu.wire import live
from tests.support.live import Seen


class Viewer:
    """Watches one metric of a server, or of all, through the first of some addresses that answers.

    ``times``: of the samples that it was sent; ``gaps``: what it was told that it was not sent.
    """

    def __init__(
        self, urls: list[str], token: str, metric: str = "cpu_usage_ratio", servers: tuple[int, ...] = ()
    ) -> None:
        self.times: set[int] = set()
        self._metric, self._servers = metric, servers
        self.gaps: list[live.Missed] = []
        self.connections = 0
        self._urls = urls
        self._token = token
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def newest_ms(self) -> int:
        return max(self.times, default=0)

    def _watch(self) -> None:
        turn = 0
        while not self._stopping.is_set():
            with contextlib.suppress(OSError, ConnectionClosed, InvalidHandshake):
                self._talk(self._urls[turn % len(self._urls)])
            turn += 1
            self._stopping.wait(0.2)

    def _talk(self, url: str) -> None:
        seen = Seen()
        with connect(url.replace("http", "ws") + "/api/ws", proxy=None, open_timeout=10) as connection:
            connection.send(live.encode_client(live.Authenticate(live.PROTOCOL, self._token)))
            wanted = live.Subscribe(
                1, server_ids=self._servers, metrics=(self._metric,), since_ms=self.newest_ms, values=True
            )
            connection.send(live.encode_client(wanted))
            self.connections += 1
            while not self._stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    message = connection.recv(timeout=0.5)
                    assert isinstance(message, bytes)
                    seen.take(live.decode_server(message))
                    self.times.update(sample.time_ms for sample in seen.samples)
                    self.gaps += seen.gaps
                    seen.samples.clear()
                    seen.gaps.clear()

    def misses(self, stored: list[int]) -> list[int]:
        """Of the stored times since the first frame that it was sent, those that it was neither sent nor told of."""
        told = [(gap.start_ms, gap.end_ms) for gap in self.gaps]
        first_ms = min(self.times)
        return [
            time_ms
            for time_ms in stored
            if time_ms >= first_ms
            and time_ms not in self.times
            and not any(start_ms <= time_ms <= end_ms for start_ms, end_ms in told)
        ]
