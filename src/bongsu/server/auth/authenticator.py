"""Turns a token into a principal: the access token of a person who is logged in, or an API token."""

from collections.abc import Callable

from bongsu.core.errors import Unauthenticated
from bongsu.server.auth.directory import Directory
from bongsu.server.auth.principal import Principal, Role, Scope, Writer
from bongsu.server.auth.tokens import Prefix, digest


class Authenticator:
    """One per process."""

    def __init__(self, directory: Directory, now_ms: Callable[[], int]) -> None:
        self._directory = directory
        self._now_ms = now_ms
        self._writers: dict[int, Writer] = {}

    async def principal(self, token: str, address: str) -> Principal:
        """The owner of a token. Raises Unauthenticated."""
        principal = self.known(token, address)
        if principal is None:
            # Another process may have issued it a moment ago.
            await self._directory.look_again()
            principal = self.known(token, address)
        if principal is None:
            raise Unauthenticated("The token is not valid, or was revoked.", code="invalid_token")
        return principal

    def known(self, token: str, address: str) -> Principal | None:
        """The owner of a token, as far as this process knows. Raises Unauthenticated if it has expired or is forged."""
        return (self._by_api_token if token.startswith(Prefix.API) else self._by_access_token)(token, address)

    async def writer(self, token: str) -> Writer:
        """The API token as a writer of samples. Raises Unauthenticated."""
        writer = self.known_writer(token)
        if writer is None:
            await self._directory.look_again()
            writer = self.known_writer(token)
        if writer is None:
            raise Unauthenticated(
                "An API token with the scope writer is needed.",
                code="invalid_token" if token else "unauthenticated",
                field="Authorization",
            )
        return writer

    def known_writer(self, token: str) -> Writer | None:
        """The same, as far as this process knows. Raises Unauthenticated if it has expired."""
        stored = self._directory.api_tokens.get(digest(token))
        if stored is None or stored.scope != Scope.writer:
            return None
        now_ms = self._now_ms()
        if stored.expires_ms and stored.expires_ms <= now_ms:
            raise Unauthenticated("The API token has expired.", code="expired_token", field="Authorization")
        owner = self._directory.users.get(stored.user_id)
        if owner is None or owner.disabled or not Role(owner.role).includes(Role.operator):
            return None
        self._directory.api_tokens_used_ms[stored.id] = now_ms
        tags = frozenset(stored.tags.items()) | frozenset(owner.tags.items())
        writer = self._writers.get(stored.id)
        if writer is None or writer.tags != tags:
            writer = self._writers[stored.id] = Writer(stored.id, stored.name, tags)
        return writer

    def _by_access_token(self, token: str, address: str) -> Principal | None:
        claims = self._directory.tokens.verify(token)
        user = self._directory.users.get(claims.user_id)
        session = self._directory.sessions.get(claims.session_id)
        if user is None or user.disabled or session is None or session.user_id != user.id:
            return None
        if claims.version != user.version:
            return None
        return Principal(
            "user",
            user.id,
            user.id,
            user.email,
            Role(user.role),
            address,
            frozenset(user.tags.items()),
            claims.session_id,
            claims.expires_ms,
        )

    def _by_api_token(self, token: str, address: str) -> Principal | None:
        stored = self._directory.api_tokens.get(digest(token))
        if stored is None:
            return None
        now_ms = self._now_ms()
        if stored.expires_ms and stored.expires_ms <= now_ms:
            raise Unauthenticated("The API token has expired.", code="expired_token")
        owner = self._directory.users.get(stored.user_id)
        if owner is None or owner.disabled:
            return None
        of_scope = Scope(stored.scope).role
        if of_scope is None:
            raise Unauthenticated("This API token may only write samples.", code="writer_only", field="Authorization")
        self._directory.api_tokens_used_ms[stored.id] = now_ms
        # Never more than the role of its owner.
        role = min(of_scope, Role(owner.role), key=lambda role: role.rank)
        return Principal(
            "api_token",
            stored.id,
            owner.id,
            f"{stored.name} ({owner.email})",
            role,
            address,
            # Both apply; where they contradict each other, no server is visible.
            frozenset(stored.tags.items()) | frozenset(owner.tags.items()),
            expires_ms=stored.expires_ms,
        )
