"""Logging in with a password: lockout, password, second factor, and then a session."""

from sqlalchemy import Connection

from bongsu.core.clock import Clock
from bongsu.core.errors import InvalidInput, Unauthenticated
from bongsu.server.auth.directory import PEOPLE, Directory
from bongsu.server.auth.emails import account_name
from bongsu.server.auth.lockout import Lockout
from bongsu.server.auth.passwords import Passwords
from bongsu.server.auth.queries import accounts
from bongsu.server.auth.queries.accounts import UserRecord
from bongsu.server.auth.second_factor import SecondFactor
from bongsu.server.auth.sessions import Login, Sessions
from bongsu.server.database.database import Database


class PasswordLogin:
    """The one place where passwords are checked."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        directory: Directory,
        lockout: Lockout,
        passwords: Passwords,
        second_factor: SecondFactor,
        sessions: Sessions,
    ) -> None:
        self._database = database
        self._clock = clock
        self._directory = directory
        self._lockout = lockout
        self._passwords = passwords
        self._second_factor = second_factor
        self._sessions = sessions

    async def log_in(
        self, email: str, password: str, code: str, *, address: str, device: str, user_agent: str
    ) -> Login:
        """A new session. ``code``: from the authenticator app; empty where the account has no second factor.
        ``device``: the known device; empty for an unknown one.

        A wrong password and an account that does not exist get the same error after the same time.

        Raises:
            Unauthenticated: wrong credentials, or ``second_factor_required``: try again with a code.
            TooMany: the device, the account or the address is locked out.
        """
        email = account_name(email)
        await self._lockout.check(email, address, device)
        user = await self._database.read(lambda connection: accounts.user_by_email(connection, email))
        stored = user.password_hash if user is not None and not user.disabled else None
        if not await self._passwords.verify(stored, password) or user is None or stored is None:
            await self._lockout.failed(email, address, device)
            raise Unauthenticated("The email address or the password is wrong.", code="wrong_credentials")
        if user.totp_enabled:
            await self._check_code(user, code.replace(" ", ""), address, device)
        await self._lockout.succeeded(email, address, device)
        if self._passwords.outdated(stored):
            await self._store_new_hash(user.id, stored, password)
        return await self._sessions.begin(user, address, user_agent)

    async def check_password(
        self, user: UserRecord, password: str, *, address: str, session_id: str, field: str = "password"
    ) -> None:
        """Proves that it is the person, and not somebody at their open page. The session counts as a known device.

        Raises:
            InvalidInput: the password is wrong. No 401, which would log the page out.
            TooMany: there were too many wrong passwords in this session.
        """
        await self._lockout.check(user.email, address, session_id)
        if not await self._passwords.verify(user.password_hash, password):
            await self._lockout.failed(user.email, address, session_id)
            raise InvalidInput("The password is wrong.", code="wrong_password", field=field)

    async def _check_code(self, user: UserRecord, code: str, address: str, device: str) -> None:
        if not code:
            raise Unauthenticated(
                "Enter the code from your authenticator app.", code="second_factor_required", field="code"
            )
        step = self._second_factor.step(user, code, self._clock.now_ms())
        accepted = step is not None and await self._database.write(
            lambda connection: accounts.take_totp_step(connection, user.id, step)
        )
        if not accepted:
            await self._lockout.failed(user.email, address, device)
            raise Unauthenticated("The code is wrong, or was used before.", code="wrong_code", field="code")

    async def _store_new_hash(self, user_id: int, old_hash: str, password: str) -> None:
        new_hash = await self._passwords.hash(password)

        def store(connection: Connection) -> None:
            user = next((user for user in accounts.load_users(connection) if user.id == user_id), None)
            if user is not None and user.password_hash == old_hash:
                accounts.update_user(connection, user_id, password_hash=new_hash)

        await self._directory.change(PEOPLE, store)
