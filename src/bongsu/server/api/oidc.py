"""/api/auth/oidc: log in with an OpenID provider."""

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from bongsu.core.errors import NotFound
from bongsu.server.api.browser import LoginRate, cookie_path, set_cookies
from bongsu.server.api.dependencies import ServicesDep, address_of
from bongsu.server.auth.oidc import COOKIE, COOKIE_SECONDS, OidcFailed, local_path
from bongsu.server.services import Services

if TYPE_CHECKING:
    from bongsu.server.auth.openid import OpenId

router = APIRouter(prefix="/api/auth/oidc", tags=["log in"])


@router.get(
    "/login",
    operation_id="begin_oidc",
    summary="Log in with the OpenID provider",
    status_code=303,
    dependencies=[LoginRate],
)
async def begin(services: ServicesDep, request: Request, next: str = "/") -> Response:
    """Public. Redirects to the provider; 404 if none is configured."""
    oidc = _oidc(services)
    address, state = await oidc.begin(_callback(services, request), local_path(next))
    response = RedirectResponse(address, 303)
    response.set_cookie(
        COOKIE,
        state,
        max_age=COOKIE_SECONDS,
        path=cookie_path(request),
        secure=request.url.scheme == "https",
        httponly=True,
        # Lax, since the provider sends the browser back with a link.
        samesite="lax",
    )
    return response


@router.get(
    "/callback",
    operation_id="finish_oidc",
    summary="Return from the OpenID provider",
    status_code=303,
    dependencies=[LoginRate],
)
async def finish(services: ServicesDep, request: Request, code: str = "", state: str = "") -> Response:
    """Public. Redirects to the dashboard, or to the login page if the login failed."""
    oidc = _oidc(services)
    base_path = services.settings.base_path
    try:
        callback = _callback(services, request)
        user, next_path = await oidc.finish(callback, request.cookies.get(COOKIE, ""), code, state, address_of(request))
    except OidcFailed as error:
        response: Response = RedirectResponse(f"{base_path}/login?problem={error.code.removesuffix('_failed')}", 303)
    else:
        agent = request.headers.get("user-agent", "")
        login = await services.auth.sessions.begin(user, address_of(request), agent, how="oidc")
        response = RedirectResponse(base_path + next_path, 303)
        set_cookies(request, response, login)
    response.delete_cookie(COOKIE, path=cookie_path(request))
    return response


def _oidc(services: Services) -> "OpenId":
    if services.auth.oidc is None:
        raise NotFound("No OpenID provider is configured.", code="no_oidc")
    return services.auth.oidc


def _callback(services: Services, request: Request) -> str:
    base = services.settings.public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"
    return f"{base}/api/auth/oidc/callback"
