"""GET and POST /api/setup: the first account."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from bongsu.server.api.browser import FromThisSite, LoginRate, set_cookies
from bongsu.server.api.dependencies import ServicesDep, address_of
from bongsu.server.api.people import LoggedIn, Secret, Text, logged_in

router = APIRouter(prefix="/api/setup", tags=["setup"])


class SetupState(BaseModel):
    """Whether Bongsu has been set up."""

    needed: bool
    oidc: str | None = Field(description="The label of the OpenID login button; null: no OpenID provider.")


class FirstAccount(BaseModel):
    """The first admin."""

    token: Secret = Field(description="The part after # of the link that Bongsu printed.")
    email: str = Field(max_length=254)
    name: Text = ""
    password: Secret


@router.get("", operation_id="get_setup", summary="Get the state of the setup")
async def state(services: ServicesDep) -> SetupState:
    """Public: tells whether the first account must be made, and whether OpenID login is offered."""
    oidc = services.settings.oidc
    return SetupState(needed=not services.auth.directory.set_up, oidc=oidc.label if oidc.issuer else None)


@router.post(
    "", operation_id="finish_setup", summary="Create the first account", dependencies=[FromThisSite, LoginRate]
)
async def finish(services: ServicesDep, request: Request, response: Response, body: FirstAccount) -> LoggedIn:
    """Creates the first admin and logs them in. Works once."""
    address = address_of(request)
    user = await services.auth.setup.finish(body.token, body.email, body.name, body.password, address)
    login = await services.auth.sessions.begin(user, address, request.headers.get("user-agent", ""), how="setup")
    set_cookies(request, response, login)
    return logged_in(login)
