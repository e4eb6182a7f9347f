"""Random tokens of 256 bits, with a prefix that tells their purpose and lets scanners of repositories find them.

Only their sha256 is stored: 256 random bits cannot be guessed, so a slow hash would protect nothing.
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
    SHARE = "bongsu_share_"


def new_token(prefix: Prefix) -> str:
    return prefix + secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """The hash under which a token is stored."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
