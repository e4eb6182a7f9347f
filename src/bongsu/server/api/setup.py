"""GET and POST /api/setup: the first account."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from bongsu.server.api.browser import FromThisSite, LoginRate, set_cookie
from bongsu.server.api.dependencies import ServicesDep, address_of
from bongsu.server.api.people import LoggedIn, Secret, Text, logged_in

router = APIRouter(prefix="/api/setup", tags=["setup"])


class SetupState(BaseModel):
    """Whether anybody can log in."""

    needed: bool
    oidc: str | None = Field(description="What the button to log in with OpenID says; null: there is none.")


class FirstAccount(BaseModel):
    """The first admin."""

    token: Secret = Field(description="What stands behind # in the link that Bongsu printed.")
    email: str = Field(max_length=254)
    name: Text = ""
    password: Secret


@router.get("", operation_id="get_setup", summary="Whether the first account must be made")
async def state(services: ServicesDep) -> SetupState:
    """Public: the page asks before it knows who is there."""
    oidc = services.settings.oidc
    return SetupState(needed=not services.auth.directory.set_up, oidc=oidc.label if oidc.issuer else None)


@router.post("", operation_id="finish_setup", summary="Make the first account", dependencies=[FromThisSite, LoginRate])
async def finish(services: ServicesDep, request: Request, response: Response, wanted: FirstAccount) -> LoggedIn:
    """Makes an admin and logs them in. Works once."""
    address = address_of(request)
    user = await services.auth.setup.finish(wanted.token, wanted.email, wanted.name, wanted.password, address)
    login = await services.auth.sessions.begin(user, address, request.headers.get("user-agent", ""), how="setup")
    set_cookie(request, response, login)
    return logged_in(login)
