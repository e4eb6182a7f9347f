"""Email addresses as account names."""

import re

from bongsu.core.errors import InvalidInput

MAX_LENGTH = 254
_ADDRESS = re.compile(r"[^\s@\x00-\x1f\x7f<>\"',;:()\[\]\\]+@[^\s@\x00-\x1f\x7f<>\"',;:()\[\]\\]+")


def normal_email(text: str, *, field: str = "email") -> str:
    """The address in lower case, without surrounding blanks.

    Raises:
        InvalidInput: not an email address.
    """
    email = text.strip().lower()
    if len(email) > MAX_LENGTH:
        raise InvalidInput(f"{field} must have at most {MAX_LENGTH} characters.", field=field, limit=MAX_LENGTH)
    if not _ADDRESS.fullmatch(email):
        raise InvalidInput(f"{field} must be an email address.", field=field)
    return email


def account_name(email: str) -> str:
    """The name of the account that a login asks for. What cannot be anybody's (PostgreSQL takes no NUL) becomes a name
    that nobody has."""
    try:
        return normal_email(email)
    except InvalidInput:
        return "nobody"
