"""Who asks: what each endpoint that is not public has in its signature.

``user: Annotated[Principal, Depends(require(Role.viewer))]``: 401 without a valid token, 403 for a lesser role. What a
handler reads of servers it reads through ``user.view(services.registry)``: servers that are not theirs do not exist.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request, WebSocket, WebSocketDisconnect
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from bongsu.core.errors import BongsuError, Forbidden, Unauthenticated
from bongsu.server.auth.directory import Directory
from bongsu.server.auth.principal import Principal, Role
from bongsu.server.auth.tokens import Prefix, digest
from bongsu.server.services import Services

# What a page sends first over a WebSocket: a token in the address would end up in logs.
AUTH_SECONDS = 10.0
UNAUTHENTICATED, FORBIDDEN = 4401, 4403

_bearer = HTTPBearer(auto_error=False, description="An access token (POST /api/auth/login) or an API token.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


class Authenticator:
    """Turns a token into a principal."""

    def __init__(self, directory: Directory, now_ms: Callable[[], int]) -> None:
        self._directory = directory
        self._now_ms = now_ms

    async def principal(self, token: str, address: str) -> Principal:
        """Raises Unauthenticated."""
        found = self._by_api_token if token.startswith(Prefix.API) else self._by_access_token
        principal = found(token, address)
        if principal is None:
            # Granted a moment ago, by another process?
            await self._directory.look_again()
            principal = found(token, address)
        if principal is None:
            raise Unauthenticated("The token is not valid, or was revoked.", code="invalid_token")
        return principal

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
        self._directory.api_tokens_used_ms[stored.id] = now_ms
        # Never more than its owner may.
        role = min(Role(stored.scope), Role(owner.role), key=lambda role: role.rank)
        return Principal(
            "api_token",
            stored.id,
            owner.id,
            f"{stored.name} ({owner.email})",
            role,
            address,
            # Both must hold; where they contradict each other, there is no such server.
            frozenset(stored.tags.items()) | frozenset(owner.tags.items()),
            expires_ms=stored.expires_ms,
        )


def services_of(request: Request) -> Services:
    """What the application made at its start."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


def address_of(request: Request | WebSocket) -> str:
    """Where a request comes from; behind a trusted proxy what it says."""
    return request.client.host if request.client else ""


def require(role: Role) -> Callable[..., Awaitable[Principal]]:
    """A dependency: somebody who is logged in and has this role, or a higher one."""

    async def dependency(request: Request, credentials: Credentials) -> Principal:
        services = services_of(request)
        if credentials is None:
            raise Unauthenticated
        principal = await services.auth.authenticator.principal(credentials.credentials, address_of(request))
        await services.rate_limiter.user(principal)
        if not principal.role.includes(role):
            raise Forbidden(f"This needs the role {role}; yours is {principal.role}.")
        return principal

    return dependency


async def person(user: Annotated[Principal, Depends(require(Role.viewer))]) -> Principal:
    """A dependency: somebody who logged in; no API token, whatever its scope, changes an account."""
    if user.kind != "user":
        raise Forbidden("An API token may not do that; log in.", code="person_needed")
    return user


async def admin_person(user: Annotated[Principal, Depends(require(Role.admin))]) -> Principal:
    """A dependency: an admin who logged in."""
    return await person(user)


async def anyone(request: Request, credentials: Credentials) -> Principal | None:
    """A dependency: who asks, or None. For what shows more to those who may see it."""
    if credentials is None:
        return None
    return await services_of(request).auth.authenticator.principal(credentials.credentials, address_of(request))


async def websocket_principal(websocket: WebSocket, role: Role) -> Principal | None:
    """Accepts a WebSocket and waits for its first message, ``{"type": "auth", "token": "..."}``.

    None: it was closed, with 4401 (no valid token within AUTH_SECONDS) or 4403 (a lesser role). The connection must be
    closed with 4401 when ``expires_ms`` of the principal has passed (``seconds_left``).
    """
    services = websocket.app.state.services
    await websocket.accept()
    try:
        async with asyncio.timeout(AUTH_SECONDS):
            message = await websocket.receive_json()
        token = message.get("token") if isinstance(message, dict) and message.get("type") == "auth" else None
        if not isinstance(token, str):
            raise Unauthenticated
        principal: Principal = await services.auth.authenticator.principal(token, address_of(websocket))
    except WebSocketDisconnect:
        return None
    except (TimeoutError, ValueError, KeyError, BongsuError) as error:
        reason = error.message if isinstance(error, BongsuError) else "Send a token first."
        await websocket.close(UNAUTHENTICATED, reason[:120])
        return None
    if not principal.role.includes(role):
        await websocket.close(FORBIDDEN, f"This needs the role {role}.")
        return None
    return principal


def seconds_left(principal: Principal, now_ms: int) -> float | None:
    """How long a connection may stay open before its token must be renewed; None: it does not expire."""
    return max(0.0, (principal.expires_ms - now_ms) / 1000) if principal.expires_ms else None
