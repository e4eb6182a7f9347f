"""The cookies of a login: the refresh token and the known device; and the protection against other sites that would use
them.

They are SameSite=Strict and are sent to /api/auth only, below the path where Bongsu is shown. Requests that rely on
them also need a header that no form can send, and our Origin. Logging in needs our Origin too, or a page elsewhere
could log visitors in to another account.
"""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Header, Request, Response

from bongsu.core.addresses import rate_key
from bongsu.core.errors import Forbidden
from bongsu.server.api.dependencies import address_of, services_of
from bongsu.server.auth.devices import LIFETIME_MS
from bongsu.server.auth.sessions import Login

HINT = "bongsu_logged_in"


def is_own_page(origin: str | None, host: str, allowed: list[str]) -> bool:
    """Whether a request comes from one of our own pages, of those that are allowed, or from a program, which sends no
    origin. ``host``: the Host header."""
    # Only the host: behind a proxy that terminates TLS the scheme may differ.
    return origin is None or origin in allowed or urlsplit(origin).netloc.lower() == host.lower()


async def from_this_site(request: Request) -> None:
    """A dependency. Raises Forbidden for a request from a page of another site."""
    allowed = services_of(request).settings.cors_origins
    if not is_own_page(request.headers.get("origin"), request.headers.get("host", ""), allowed):
        raise Forbidden("This request comes from a page of another site.", code="cross_site", field="Origin")


async def by_script(
    request: Request,
    x_bongsu: Annotated[str, Header(description="Any value; forms of other sites cannot send this header.")] = "",
) -> None:
    """A dependency of endpoints that need only the cookie. Raises Forbidden."""
    await from_this_site(request)
    if not x_bongsu:
        raise Forbidden("The header X-Bongsu is missing.", code="cross_site", field="X-Bongsu")


async def limit_login_rate(request: Request) -> None:
    """A dependency of endpoints where passwords and one-time tokens can be tried. Raises TooMany."""
    services = services_of(request)
    await services.rate_limiter.login(rate_key(address_of(request)))


FromThisSite = Depends(from_this_site)
ByScript = Depends(by_script)
LoginRate = Depends(limit_login_rate)


def cookie_path(request: Request) -> str:
    """Where cookies of a login are sent."""
    return f"{services_of(request).settings.base_path}/api/auth"


def _hint_path(request: Request) -> str:
    return services_of(request).settings.base_path or "/"


def set_cookies(request: Request, response: Response, login: Login) -> None:
    """Sets the refresh cookie, if it has changed, and makes the browser a known device of the account."""
    if login.refresh_token is None:
        return
    response.set_cookie(
        services_of(request).auth.sessions.cookie,
        login.refresh_token,
        max_age=login.refresh_seconds,
        path=cookie_path(request),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    devices = services_of(request).auth.devices
    response.set_cookie(
        devices.cookie(login.user.email),
        devices.issue(login.user.email, login.session_id),
        max_age=LIFETIME_MS // 1000,
        path=cookie_path(request),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    # Tells pages only that there is a refresh cookie; a page without the hint need not ask.
    response.set_cookie(
        HINT,
        "1",
        max_age=login.refresh_seconds,
        path=_hint_path(request),
        secure=request.url.scheme == "https",
        samesite="strict",
    )


def delete_login_cookies(request: Request, response: Response) -> None:
    """Deletes the refresh cookie and the hint. The device remains known."""
    response.delete_cookie(
        services_of(request).auth.sessions.cookie,
        path=cookie_path(request),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    response.delete_cookie(HINT, path=_hint_path(request), secure=request.url.scheme == "https", samesite="strict")


def cookie_of(request: Request) -> str:
    """The refresh token from the cookie; empty without one."""
    return request.cookies.get(services_of(request).auth.sessions.cookie, "")
