"""Email addresses as account names."""

import re

from bongsu.core.errors import InvalidInput

LONGEST = 254
_ADDRESS = re.compile(r"[^\s@\x00-\x1f\x7f<>\"',;:()\[\]\\]+@[^\s@\x00-\x1f\x7f<>\"',;:()\[\]\\]+")


def normal_email(text: str, *, field: str = "email") -> str:
    """In lower case, without blanks around it.

    Raises:
        InvalidInput: not an address.
    """
    email = text.strip().lower()
    if len(email) > LONGEST:
        raise InvalidInput(f"{field} must have at most {LONGEST} characters.", field=field, limit=LONGEST)
    if not _ADDRESS.fullmatch(email):
        raise InvalidInput(f"{field} must be an email address.", field=field)
    return email
