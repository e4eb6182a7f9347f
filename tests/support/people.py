"""People of a running application."""

from bongsu.server.auth.directory import PEOPLE
from bongsu.server.auth.queries.accounts import UserRecord, add_user
from tests.support.app import RunningApp


async def add_person(
    app: RunningApp, role: str, *, tags: dict[str, str] | None = None, password: str = ""
) -> UserRecord:
    """Somebody with this role; without a password they only have what ``person_token`` gives them."""
    services = app.services
    hashed = await services.auth.passwords.hash(password) if password else None
    email = f"{role}{len(services.auth.directory.users)}@bongsu.test"
    wanted = UserRecord(0, email, role, role, services.clock.now_ms(), tags=tags or {}, password_hash=hashed)
    user = await services.auth.directory.change(PEOPLE, lambda connection: add_user(connection, wanted))
    assert user is not None
    return user


async def person_token(app: RunningApp, user: UserRecord) -> str:
    """An access token, as after a login."""
    return (await app.services.auth.sessions.begin(user, "127.0.0.1", "tests")).access_token
