"""/api/auth: log in, stay logged in, log out."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from bongsu.core.errors import InvalidInput, Unauthenticated
from bongsu.server.api.access import address_of
from bongsu.server.api.browser import ByScript, Few, FromThisSite, cookie_of, delete_cookie, set_cookie
from bongsu.server.api.dependencies import ServicesDep
from bongsu.server.api.people import LoggedIn, Secret, logged_in
from bongsu.server.auth.directory import PEOPLE
from bongsu.server.auth.emails import normal_email
from bongsu.server.auth.queries import accounts
from bongsu.server.auth.queries.accounts import UserRecord
from bongsu.server.services import Services

router = APIRouter(prefix="/api/auth", tags=["log in"])


class Credentials(BaseModel):
    """Who one is."""

    email: str = Field(max_length=254)
    password: Secret
    code: str = Field("", max_length=16, description="Of the authenticator app, where the account has a second factor.")


@router.post("/login", operation_id="log_in", summary="Log in", dependencies=[FromThisSite, Few])
async def login(services: ServicesDep, request: Request, response: Response, given: Credentials) -> LoggedIn:
    """An access token, and a refresh token in a cookie. 401 `second_factor_required`: again, with `code`.

    The answer to a wrong password and to an account that does not exist is the same, and takes as long.
    """
    auth, address = services.auth, address_of(request)
    email = _email(given.email)
    await auth.lockout.check(email, address)
    user = await _user(services, email)
    stored = user.password_hash if user is not None and not user.disabled else None
    if not await auth.passwords.verify(stored, given.password) or user is None or stored is None:
        await auth.lockout.failed(email, address)
        raise Unauthenticated("The email address or the password is wrong.", code="wrong_credentials")
    if user.totp_enabled:
        await _second_factor(services, user, given.code.replace(" ", ""), address)
    await auth.lockout.succeeded(email, address)
    if auth.passwords.outdated(stored):
        hashed, user_id = await auth.passwords.hash(given.password), user.id
        await auth.directory.change(PEOPLE, lambda connection: _store_hash(connection, user_id, stored, hashed))
    begun = await auth.sessions.begin(user, address, request.headers.get("user-agent", ""))
    set_cookie(request, response, begun)
    return logged_in(begun)


@router.post("/refresh", operation_id="refresh_login", summary="The next access token", dependencies=[ByScript])
async def refresh(services: ServicesDep, request: Request, response: Response) -> LoggedIn:
    """By the cookie. Each refresh token is good for one time; one that comes back later ends the session."""
    token = cookie_of(request)
    if not token:
        raise Unauthenticated
    found = await services.auth.sessions.refresh(token, address_of(request))
    set_cookie(request, response, found)
    return logged_in(found)


@router.post("/logout", operation_id="log_out", summary="Log out", status_code=204, dependencies=[ByScript])
async def logout(services: ServicesDep, request: Request, response: Response) -> None:
    """Ends the session of the cookie: its access tokens with it."""
    await services.auth.sessions.end(cookie_of(request))
    delete_cookie(request, response)


def _email(text: str) -> str:
    """An account's name; what can be nobody's (PostgreSQL takes no NUL) becomes one that nobody has."""
    try:
        return normal_email(text)
    except InvalidInput:
        return "nobody"


async def _user(services: Services, email: str) -> UserRecord | None:
    return await services.database.read(lambda connection: accounts.user_by_email(connection, email))


async def _second_factor(services: Services, user: UserRecord, code: str, address: str) -> None:
    if not code:
        raise Unauthenticated("Enter the code of your authenticator app.", code="second_factor_required", field="code")
    step = services.auth.second_factor.step(user, code, services.clock.now_ms())
    taken = step is not None and await services.database.write(
        lambda connection: accounts.take_totp_step(connection, user.id, step)
    )
    if not taken:
        await services.auth.lockout.failed(user.email, address)
        raise Unauthenticated("The code is wrong, or was used before.", code="wrong_code", field="code")


def _store_hash(connection: Connection, user_id: int, before: str, hashed: str) -> None:
    user = next((one for one in accounts.load_users(connection) if one.id == user_id), None)
    if user is not None and user.password_hash == before:
        accounts.update_user(connection, user_id, password_hash=hashed)
