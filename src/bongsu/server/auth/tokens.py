"""Random tokens: 256 bits each, with a prefix that says what they are (and lets scanners of repositories find them).

Only their sha256 is stored: there is nothing to guess, so a slow hash would protect nothing.
"""

import enum
import hashlib
import secrets


class Prefix(enum.StrEnum):
    """What a token is for."""

    AGENT = "bongsu_agent_"
    ENROLMENT = "bongsu_enrol_"
    API = "bongsu_api_"
    SETUP = "bongsu_setup_"


def new_token(prefix: Prefix) -> str:
    """A token that nobody can guess."""
    return prefix + secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """What of a token is stored."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
