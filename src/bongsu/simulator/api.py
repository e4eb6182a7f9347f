"""The requests of simulated servers to the API server."""

import ssl

from bongsu.core.errors import BongsuError, ConfigError
from bongsu.core.samples import Push
from bongsu.simulator.http import Pool, post
from bongsu.simulator.options import Options
from bongsu.wire.encoder import CONTENT_TYPE, METRICS_PATH
from bongsu.wire.enrolment import ENROL_PATH, enrolment_body
from bongsu.wire.outcome import Outcome, Response, Verdict, explain, outcome_of
from bongsu.wire.protobuf import encode_push

TIMEOUT_SECONDS = 10.0
# One connection serves this many servers: at 10 s, each needs it for some milliseconds of the interval.
SERVERS_PER_CONNECTION = 20
FEWEST_CONNECTIONS, MOST_CONNECTIONS = 8, 500
# Besides connections: the log, the tokens, the event loop.
OTHER_FILES = 32


class CannotReach(BongsuError):
    """The API server cannot be reached."""


def pool_size(servers: int) -> int:
    """How many connections so many servers share.

    Raises:
        ConfigError: this process may not open as many files.
    """
    size = max(FEWEST_CONNECTIONS, min(MOST_CONNECTIONS, servers // SERVERS_PER_CONNECTION))
    try:
        import resource
    except ImportError:  # Windows
        return size
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < size + OTHER_FILES:
        raise ConfigError(
            f"--servers: {servers:,} servers need {size + OTHER_FILES} open files, and this process may open {limit}: "
            f"raise the limit with ulimit -n {size + OTHER_FILES}.",
            field="servers",
            limit=limit,
        )
    return size


class Api:
    """One API server and the connections to it."""

    def __init__(self, options: Options) -> None:
        """Raises ConfigError if the CA file cannot be used."""
        self._options = options
        self._pool = Pool(
            options.host,
            options.port,
            size=pool_size(options.servers),
            timeout_seconds=TIMEOUT_SECONDS,
            tls=_tls_context(options.ca_file) if options.secure else None,
        )

    async def check(self) -> None:
        """Raises CannotReach."""
        try:
            await self._pool.check()
        except (OSError, UnicodeError) as error:
            raise CannotReach(
                f"{self._options.url} cannot be reached: {explain(error)}. Start it with bongsu up, or name another "
                "API server with --url."
            ) from None

    async def enrol(self, enrolment_token: str, agent_id: str, name: str) -> Response:
        """Raises OSError."""
        path = self._options.path + ENROL_PATH
        body = enrolment_body(agent_id, name)
        return await self._pool.exchange(post(self._options.authority, path, enrolment_token, "application/json", body))

    async def push(self, token: str, push: Push) -> Outcome:
        """Sends a push once."""
        path = self._options.path + METRICS_PATH
        request = post(self._options.authority, path, token, CONTENT_TYPE, encode_push(push))
        try:
            response = await self._pool.exchange(request)
        except OSError as error:
            return Outcome(Verdict.RETRY_LATER, reason=explain(error))
        return outcome_of(response, len(push.frames))

    def close(self) -> None:
        self._pool.close()


def _tls_context(ca_file: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise ConfigError(f"--ca-file: {ca_file} cannot be used: {error}.", field="ca-file") from None
    # The file may contain the server's own certificate instead of the authority's.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
