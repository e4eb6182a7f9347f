"""Setup: the first admin, by a link that is printed once, or from the environment where nobody reads the output.

``bongsu up`` makes the token and passes it to the API server in BONGSU_SETUP_TOKEN (``ps`` does not show it); an API
server that is started alone makes its own and logs the link. The link works once, and until the next restart.
"""

import hmac
import logging
import os

from sqlalchemy import Connection

from bongsu.core.clock import Clock
from bongsu.core.errors import ConfigError, Conflict, Forbidden, InvalidInput
from bongsu.server.auth.audit import Actor, record
from bongsu.server.auth.directory import PEOPLE, Directory
from bongsu.server.auth.emails import normal_email
from bongsu.server.auth.passwords import Passwords
from bongsu.server.auth.queries.accounts import UserRecord, add_first_user
from bongsu.server.auth.tokens import Prefix, new_token
from bongsu.server.config import Settings

logger = logging.getLogger(__name__)

VARIABLE = "BONGSU_SETUP_TOKEN"


class AlreadySetUp(Conflict):
    """Bongsu is set up already; log in."""

    code = "already_set_up"


class Setup:
    """Makes the first user."""

    def __init__(self, directory: Directory, passwords: Passwords, clock: Clock) -> None:
        self._directory = directory
        self._passwords = passwords
        self._clock = clock
        given = os.environ.get(VARIABLE, "")
        self._from_parent = bool(given)
        self._token = given or new_token(Prefix.SETUP)

    async def start(self, settings: Settings, url: str) -> None:
        """Makes the admin that the settings name, or logs how to make one.

        Raises:
            ConfigError: the admin's email address or password is not accepted.
        """
        if self._directory.set_up:
            return
        if settings.admin_email and settings.admin_password:
            try:
                await self._first(settings.admin_email, "", settings.admin_password, Actor("system", "settings"))
            except AlreadySetUp:
                return  # by another API server, which started at the same time
            except InvalidInput as error:
                variable = f"BONGSU_ADMIN_{error.field}".upper()
                raise ConfigError(
                    f"The first account cannot be made: {error.message} Set {variable} to another, or unset it to make "
                    "the account in the browser.",
                    field=f"admin_{error.field}",
                ) from None
            logger.info("made the first admin, %s", settings.admin_email)
        elif not self._from_parent:
            logger.warning("nobody can log in yet; make the first account: %s", setup_link(url, self._token))

    async def finish(self, token: str, email: str, name: str, password: str, address: str) -> UserRecord:
        """Makes the first admin.

        Raises:
            Forbidden: the token is wrong.
            AlreadySetUp: there is a user already.
        """
        if self._directory.set_up:
            raise AlreadySetUp
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            raise Forbidden(
                "This setup link is no longer valid; Bongsu prints a new one when it starts.",
                code="wrong_setup_token",
            )
        return await self._first(email, name, password, Actor("system", "setup link", address))

    async def _first(self, email: str, name: str, password: str, actor: Actor) -> UserRecord:
        email = normal_email(email)
        self._passwords.check(password, email=email)
        hashed = await self._passwords.hash(password)
        now_ms = self._clock.now_ms()
        new = UserRecord(0, email, name or email.partition("@")[0], "admin", now_ms, password_hash=hashed)

        def store(connection: Connection) -> UserRecord | None:
            user = add_first_user(connection, new)
            if user is not None:
                after = {"email": user.email, "role": user.role}
                record(connection, now_ms, actor, "user.create", f"user {user.id}", after=after)
            return user

        user = await self._directory.change(PEOPLE, store)
        if user is None:
            raise AlreadySetUp
        return user


def setup_link(url: str, token: str) -> str:
    """The link with the token in its fragment, which browsers do not send, so it stays out of logs."""
    return f"{url}/setup#{token}"
