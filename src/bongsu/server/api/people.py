"""Schemas of people and logins that several resources share, and their field types."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from bongsu.core.text import has_control
from bongsu.server.auth.principal import Role
from bongsu.server.auth.queries.accounts import UserRecord
from bongsu.server.auth.sessions import Login
from bongsu.server.fleet.names import MAX_TAGS, TAG_NAME

_TAG_CHARACTERS = 256


def _tags(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > MAX_TAGS:
        raise ValueError(f"at most {MAX_TAGS} tags")
    for name, value in tags.items():
        if not TAG_NAME.fullmatch(name):
            raise ValueError("a tag name must have 1 to 64 letters, digits or underscores, and not start with a digit")
        if len(value) > _TAG_CHARACTERS or has_control(value):
            raise ValueError(f"the tag {name} must have at most {_TAG_CHARACTERS} characters, none of them control")
    return tags


def _text(text: str) -> str:
    if has_control(text):
        raise ValueError("must not contain control characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode text") from None
    return text.strip()


Tags = Annotated[dict[str, str], AfterValidator(_tags)]
Name = Annotated[str, AfterValidator(_text), Field(min_length=1, max_length=100)]
Text = Annotated[str, AfterValidator(_text), Field(max_length=100)]
# Not stripped: any characters that a keyboard can type.
Secret = Annotated[str, Field(min_length=1, max_length=1_000)]


class User(BaseModel):
    """A person."""

    id: int
    email: str
    name: str
    role: Role
    tags: dict[str, str] = Field(description="Sees only servers that have all of these tags; empty: all servers.")
    disabled: bool
    second_factor: bool
    oidc: bool = Field(description="Logs in with the OpenID provider.")
    password: bool = Field(description="Can log in with a password.")
    created_ms: int
    last_login_ms: int = Field(description="0: never.")


class LoggedIn(BaseModel):
    """For the memory of the page. The refresh token is in a cookie that the page cannot read."""

    access_token: str
    expires_ms: int
    user: User


def shown(user: UserRecord) -> User:
    """A person as the API shows them, without secrets."""
    return User(
        id=user.id,
        email=user.email,
        name=user.name,
        role=Role(user.role),
        tags=user.tags,
        disabled=user.disabled,
        second_factor=user.totp_enabled,
        oidc=user.oidc_subject is not None,
        password=user.password_hash is not None,
        created_ms=user.created_ms,
        last_login_ms=user.last_login_ms,
    )


def logged_in(login: Login) -> LoggedIn:
    """The answer to a login."""
    return LoggedIn(access_token=login.access_token, expires_ms=login.expires_ms, user=shown(login.user))


def facts(user: UserRecord) -> dict[str, object]:
    """What the audit log records of a person."""
    return {
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "tags": user.tags,
        "disabled": user.disabled,
        "second_factor": user.totp_enabled,
    }
