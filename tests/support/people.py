"""Creates people in a running application."""

from bongsu.server.auth.directory import PEOPLE
from bongsu.server.auth.queries.accounts import UserRecord, add_user
from tests.support.app import RunningApp


async def add_person(
    app: RunningApp, role: str, *, tags: dict[str, str] | None = None, password: str = ""
) -> UserRecord:
    """Creates a user with this role. Without a password, the user can only use a token of ``person_token``."""
    services = app.services
    hashed = await services.auth.passwords.hash(password) if password else None
    email = f"{role}{len(services.auth.directory.users)}@bongsu.test"
    record = UserRecord(0, email, role, role, services.clock.now_ms(), tags=tags or {}, password_hash=hashed)
    user = await services.auth.directory.change(PEOPLE, lambda connection: add_user(connection, record))
    assert user is not None
    return user


async def person_token(app: RunningApp, user: UserRecord) -> str:
    """An access token, as a login returns it."""
    return (await app.services.auth.sessions.begin(user, "127.0.0.1", "tests")).access_token
