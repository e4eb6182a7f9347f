"""Who may call an endpoint: each endpoint that is not public says it in its signature.

``user: Viewer``, ``Operator`` or ``Admin``: 401 without a valid token, 403 for a lower role. ``Person`` and
``AdminPerson`` exclude API tokens. A handler reads servers through ``user.view(services.registry)``, so servers that
the caller may not see do not exist for it.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from bongsu.core.errors import Forbidden, Unauthenticated
from bongsu.server.api.dependencies import address_of, services_of
from bongsu.server.auth.principal import Principal, Role
from bongsu.server.services import Services

_bearer = HTTPBearer(
    auto_error=False,
    description="An access token (POST /api/auth/login) or an API token; the token of an agent where agents send.",
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def require(role: Role) -> Callable[..., Awaitable[Principal]]:
    """A dependency: the caller, who must have this role or a higher one."""

    async def dependency(request: Request, credentials: Credentials) -> Principal:
        token = "" if credentials is None else credentials.credentials
        return await authorized(services_of(request), token, address_of(request), role)

    return dependency


async def authorized(services: Services, token: str, address: str, role: Role) -> Principal:
    """The owner of a token, who must have this role or a higher one. Raises Unauthenticated, Forbidden or TooMany."""
    if not token:
        raise Unauthenticated
    principal = await services.auth.authenticator.principal(token, address)
    await services.rate_limiter.user(principal)
    if not principal.role.includes(role):
        raise Forbidden(f"This requires the role {role}; yours is {principal.role}.")
    return principal


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
