"""/api/auth: log in, stay logged in, log out."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from bongsu.core.addresses import rate_key
from bongsu.core.errors import Unauthenticated
from bongsu.server.api.browser import ByScript, FromThisSite, cookie_of, delete_login_cookies, set_cookies
from bongsu.server.api.dependencies import ServicesDep, address_of
from bongsu.server.api.people import LoggedIn, Secret, logged_in

router = APIRouter(prefix="/api/auth", tags=["log in"])


class Credentials(BaseModel):
    """Email address and password."""

    email: str = Field(max_length=254)
    password: Secret
    code: str = Field("", max_length=16, description="From the authenticator app, if the account has a second factor.")


@router.post("/login", operation_id="log_in", summary="Log in", dependencies=[FromThisSite])
async def log_in(services: ServicesDep, request: Request, response: Response, body: Credentials) -> LoggedIn:
    """Returns an access token and sets the refresh cookie. 401 `second_factor_required`: try again with `code`.

    A wrong password and an account that does not exist get the same answer after the same time.
    """
    address = address_of(request)
    device = services.auth.devices.known(body.email, request.cookies)
    # By device where it is known: attempts of others at the same address must not keep its owner out.
    await services.rate_limiter.login(device or rate_key(address))
    login = await services.auth.login.log_in(
        body.email,
        body.password,
        body.code,
        address=address,
        device=device,
        user_agent=request.headers.get("user-agent", ""),
    )
    set_cookies(request, response, login)
    return logged_in(login)


@router.post("/refresh", operation_id="refresh_login", summary="Get the next access token", dependencies=[ByScript])
async def refresh(services: ServicesDep, request: Request, response: Response) -> LoggedIn:
    """Uses the refresh cookie. Each refresh token works once; using it again later ends the session."""
    token = cookie_of(request)
    if not token:
        raise Unauthenticated
    login = await services.auth.sessions.refresh(token, address_of(request))
    set_cookies(request, response, login)
    return logged_in(login)


@router.post("/logout", operation_id="log_out", summary="Log out", status_code=204, dependencies=[ByScript])
async def logout(services: ServicesDep, request: Request, response: Response) -> None:
    """Ends the session of the cookie, and with it its access tokens."""
    await services.auth.sessions.end(cookie_of(request))
    delete_login_cookies(request, response)
