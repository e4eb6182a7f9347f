"""Where the token for the API server comes from: given, or from a login that is renewed."""

import asyncio
import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from bongsu.core.errors import BongsuError, ConfigError, Unauthenticated
from bongsu.watch.site import Site

# Wrong passwords in a row; the API server locks the account out after some more.
_ATTEMPTS = 3
# A token is shorter; a file that is longer is another one.
_FILE_BYTES = 64 * 1024


class Tokens(Protocol):
    """Tells the token to use."""

    @property
    def renewable(self) -> bool:
        """Whether ``fresh`` can give another one."""

    @property
    def current(self) -> str:
        """The newest token."""

    async def fresh(self) -> str:
        """A new token. Raises Unauthenticated if there is none."""


class FixedToken:
    """An API token, or an access token that somebody else renews."""

    renewable = False

    def __init__(self, token: str) -> None:
        self.current = token

    async def fresh(self) -> str:
        """Raises Unauthenticated."""
        raise Unauthenticated


class LoginTokens:
    """Access tokens of a login."""

    renewable = True

    def __init__(self, site: Site, token: str) -> None:
        self._site = site
        self.current = token

    async def fresh(self) -> str:
        """Raises Unauthenticated when the login has ended, Unavailable when nobody can tell."""
        self.current = await asyncio.to_thread(self._site.refresh)
        return self.current


def given_token(token: str, token_file: str, environment: str) -> str:
    """The token that was given, in this order; empty: none. Raises ConfigError for a file without a token."""
    if token or not token_file:
        given, source = (token or environment).strip(), "--token" if token else "BONGSU_TOKEN"
    else:
        source = f"--token-file {token_file}"
        try:
            with Path(token_file).open("rb") as file:
                given = file.read(_FILE_BYTES).decode().strip()
        except OSError as error:
            raise ConfigError(f"{source}: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{source} holds no token.") from None
        if not given:
            raise ConfigError(f"{source} is empty.")
    if not given.isascii() or any(character.isspace() or not character.isprintable() for character in given):
        raise ConfigError(f"{source} holds no token: tokens have no spaces and only ASCII characters.")
    return given


def ask(
    site: Site,
    prompt: Callable[[str], str],
    secret: Callable[[str], str] = getpass.getpass,
    say: Callable[[str], None] = print,
) -> LoginTokens:
    """Asks a person to log in, again after a wrong password or code.

    Raises:
        Unauthenticated: it was wrong too often.
        BongsuError: as ``Site.log_in``.
    """
    say(f"Log in to {site.url}")
    email = prompt("Email: ").strip()
    password = ""
    for attempt in range(1, _ATTEMPTS + 1):
        password = password or secret("Password: ")
        try:
            return LoginTokens(site, _log_in(site, email, password, secret))
        except Unauthenticated as error:
            if attempt == _ATTEMPTS:
                raise
            say(error.message)
            if error.code != "wrong_code":
                password = ""
    raise BongsuError  # not reached: the last attempt returns or raises


def _log_in(site: Site, email: str, password: str, secret: Callable[[str], str]) -> str:
    try:
        return site.log_in(email, password)
    except Unauthenticated as error:
        if error.code != "second_factor_required":
            raise
        return site.log_in(email, password, secret("Code from your authenticator app: ").strip())
