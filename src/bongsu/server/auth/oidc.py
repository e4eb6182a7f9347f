"""What a login with an OpenID provider needs in the API: its cookie, its errors, and where it may lead."""

from urllib.parse import urlsplit

from bongsu.core.errors import Unauthenticated

COOKIE = "bongsu_oidc"
COOKIE_SECONDS = 600


class OidcFailed(Unauthenticated):
    """Login with the OpenID provider failed."""

    code = "oidc_failed"


class SecondFactorHere(OidcFailed):
    """This account has a second factor: log in with the password and a code."""

    code = "oidc_second_factor"


def local_path(text: str) -> str:
    """A path of the dashboard. Anything that could lead to another site becomes ``/``."""
    if (
        not text.startswith("/")
        or text.startswith("//")
        or "\\" in text
        or any(ord(character) < 33 for character in text)
    ):
        return "/"
    parts = urlsplit(text)
    return text if not parts.scheme and not parts.netloc and not text.startswith("/api/") else "/"
