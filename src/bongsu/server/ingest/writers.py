"""Who may write foreign samples: API tokens with the scope writer, within their rate."""

from collections.abc import Awaitable, Callable

from starlette.types import Scope

from bongsu.server.auth.authenticator import Authenticator
from bongsu.server.auth.principal import Writer


class Writers:
    """One per process."""

    def __init__(
        self,
        authenticator: Authenticator,
        allow: Callable[[Writer], None],
        refused: Callable[[Scope], Awaitable[None]],
    ) -> None:
        """``allow`` counts the requests of a writer, ``refused`` those without a valid token; both raise TooMany above
        the rate limit."""
        self._authenticator = authenticator
        self._allow = allow
        self._refused = refused

    async def of(self, scope: Scope, authorization: bytes) -> Writer:
        """The writer that makes a request.

        Raises:
            Unauthenticated: the token is unknown, has expired or has another scope.
            TooMany: its rate limit, or that of its address, is exceeded.
        """
        scheme, _, token = authorization.partition(b" ")
        text = token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""
        writer = self._authenticator.known_writer(text)
        if writer is None:
            await self._refused(scope)
            writer = await self._authenticator.writer(text)
        self._allow(writer)
        return writer
