"""How many connections the API server accepts, in all and from one address, and who is refused.

Each connection takes a file descriptor. When there are none left, the API server can neither accept connections nor
open its database, so the limit on connections must fit into the limit of the operating system.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable

from bongsu.core.addresses import rate_key

logger = logging.getLogger(__name__)

# For the database, the log and sockets of its own. Measured: 26 with SQLite; PostgreSQL takes one for each connection
# of the pool. The rest is for files that are open for a moment.
RESERVED_FILES = 200
LOG_SECONDS = 60.0


class Connections:
    """Counts the open connections. Refusals are logged once a minute: a flood must not fill the log."""

    def __init__(
        self,
        most: int,
        most_of_address: int,
        is_proxy: Callable[[str], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = most
        self.most_of_address = most_of_address
        self._is_proxy = is_proxy
        self._monotonic = monotonic
        self._open = 0
        self._open_of_address: Counter[str] = Counter()
        self._logged_at = -LOG_SECONDS
        self._refused = 0

    def opened(self, address: str) -> str:
        """Counts a connection; every one must be ``closed``. Returns why it is refused; empty if it is not."""
        key = rate_key(address)
        self._open += 1
        self._open_of_address[key] += 1
        if self._open > self.most:
            problem = "There are too many connections."
        elif self._open_of_address[key] > self.most_of_address and not self._is_proxy(address):
            problem = "There are too many connections from your address."
        else:
            return ""
        self._log(key)
        return problem

    def closed(self, address: str) -> None:
        """A connection that was ``opened`` is closed."""
        key = rate_key(address)
        self._open -= 1
        self._open_of_address[key] -= 1
        if not self._open_of_address[key]:
            del self._open_of_address[key]

    def _log(self, key: str) -> None:
        self._refused += 1
        now = self._monotonic()
        if now - self._logged_at < LOG_SECONDS:
            return
        logger.warning(
            "refused %d connections, the last one from %s: %d of %d are open, %d of %d from this address; if it is a "
            "proxy, add it to trusted_proxies",
            self._refused,
            key,
            self._open - 1,
            self.most,
            self._open_of_address[key] - 1,
            self.most_of_address,
        )
        self._logged_at, self._refused = now, 0


def possible_connections(wanted: int) -> int:
    """The number of connections for which there are file descriptors. Raises the limit of this process if needed; logs
    a warning if that is not enough."""
    try:
        import resource
    except ImportError:  # Windows has no such limit.
        return wanted
    needed = wanted + RESERVED_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    except (OSError, ValueError):  # macOS has a lower limit of its own.
        raised = soft
    possible = max(1, raised - RESERVED_FILES)
    if possible >= wanted:
        return wanted
    logger.warning(
        "this process may open only %d files, so it accepts %d connections instead of %d; raise LimitNOFILE (systemd) "
        "or ulimit -n",
        raised,
        possible,
        wanted,
    )
    return possible
