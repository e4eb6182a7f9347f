"""Who may call an endpoint: each endpoint that is not public says it in its signature.

``user: Viewer``, ``Operator`` or ``Admin``: 401 without a valid token, 403 for a lower role. ``Person`` and
``AdminPerson`` exclude API tokens. A handler reads servers through ``user.view(services.registry)``, so servers that
the caller may not see do not exist for it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request, WebSocket, WebSocketDisconnect
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from bongsu.core.errors import BongsuError, Forbidden, Unauthenticated
from bongsu.server.api.dependencies import address_of, services_of
from bongsu.server.auth.principal import Principal, Role

# A WebSocket sends its token in the first message: in the URL it would end up in logs.
AUTH_SECONDS = 10.0
UNAUTHENTICATED, FORBIDDEN = 4401, 4403

_bearer = HTTPBearer(auto_error=False, description="An access token (POST /api/auth/login) or an API token.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def require(role: Role) -> Callable[..., Awaitable[Principal]]:
    """A dependency: the caller, who must have this role or a higher one."""

    async def dependency(request: Request, credentials: Credentials) -> Principal:
        services = services_of(request)
        if credentials is None:
            raise Unauthenticated
        principal = await services.auth.authenticator.principal(credentials.credentials, address_of(request))
        await services.rate_limiter.user(principal)
        if not principal.role.includes(role):
            raise Forbidden(f"This requires the role {role}; yours is {principal.role}.")
        return principal

    return dependency


Viewer = Annotated[Principal, Depends(require(Role.viewer))]
Operator = Annotated[Principal, Depends(require(Role.operator))]
Admin = Annotated[Principal, Depends(require(Role.admin))]


async def person(user: Viewer) -> Principal:
    """A dependency: a person who logged in. No API token, whatever its scope, may change an account."""
    if user.kind != "user":
        raise Forbidden("This endpoint does not accept API tokens; log in instead.", code="person_needed")
    return user


async def admin_person(user: Admin) -> Principal:
    """A dependency: an admin who logged in, not an API token."""
    return await person(user)


Person = Annotated[Principal, Depends(person)]
AdminPerson = Annotated[Principal, Depends(admin_person)]


async def anyone(request: Request, credentials: Credentials) -> Principal | None:
    """A dependency: the caller, or None without a token. For endpoints that show more to those who may see it."""
    if credentials is None:
        return None
    return await services_of(request).auth.authenticator.principal(credentials.credentials, address_of(request))


Anyone = Annotated[Principal | None, Depends(anyone)]


async def websocket_principal(websocket: WebSocket, role: Role) -> Principal | None:
    """Accepts a WebSocket and waits for its first message, ``{"type": "auth", "token": "..."}``.

    Returns None if it closed the connection: with 4401 (no valid token within AUTH_SECONDS) or 4403 (a lower role). The
    caller must close the connection with 4401 when the token of the principal expires (``seconds_left``).
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
        await websocket.close(FORBIDDEN, f"This requires the role {role}.")
        return None
    return principal


def seconds_left(principal: Principal, now_ms: int) -> float | None:
    """How long a connection may stay open before its token must be renewed; None: for ever."""
    return max(0.0, (principal.expires_ms - now_ms) / 1000) if principal.expires_ms else None
