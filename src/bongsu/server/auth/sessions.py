"""Sessions: a short-lived access token in the memory of the page, and a refresh token in a cookie that it cannot read.

A refresh token is ``session.generation.signature``, signed with a key of the vault, so the database holds nothing that
could be stolen. Each refresh raises the generation. An older token that comes back has been copied, so the whole
session ends. Two tabs may refresh at the same moment: within GRACE_MS the previous generation still gets an access
token, but no new cookie.
"""

import base64
import hmac
import secrets
from dataclasses import dataclass

from sqlalchemy import Connection

from bongsu.core.clock import Clock
from bongsu.core.errors import Unauthenticated
from bongsu.core.units import parse_duration_ms
from bongsu.server.auth.audit import Actor, record
from bongsu.server.auth.directory import PEOPLE, Directory
from bongsu.server.auth.queries import accounts
from bongsu.server.auth.queries.accounts import SessionRecord, UserRecord
from bongsu.server.config import SessionSettings
from bongsu.server.database.database import Database
from bongsu.server.vault import Vault

GRACE_MS = 10_000


@dataclass(frozen=True, slots=True)
class Login:
    """The result of a login or refresh. ``refresh_token`` None: the cookie does not change."""

    user: UserRecord
    session_id: str
    access_token: str
    expires_ms: int
    refresh_token: str | None
    refresh_seconds: int = 0


class Sessions:
    """Begins, refreshes and ends sessions."""

    def __init__(
        self, directory: Directory, database: Database, vault: Vault, clock: Clock, settings: SessionSettings
    ) -> None:
        self._directory = directory
        self._database = database
        self._key = vault.key("refresh token")
        self._clock = clock
        self._idle_ms = parse_duration_ms(settings.idle)
        self._longest_ms = parse_duration_ms(settings.longest)
        # Two installations on one host name but different ports share their cookies, so the name differs.
        self.cookie = f"bongsu_refresh_{hmac.digest(self._key, b'cookie name', 'sha256').hex()[:8]}"

    async def begin(self, user: UserRecord, address: str, user_agent: str, *, how: str = "password") -> Login:
        """Begins a session of a person who has been authenticated."""
        now_ms = self._clock.now_ms()
        session = SessionRecord(
            secrets.token_hex(16),
            user.id,
            0,
            now_ms,
            now_ms,
            now_ms + min(self._idle_ms, self._longest_ms),
            address[:64],
            user_agent[:255],
        )

        def store(connection: Connection) -> None:
            accounts.add_session(connection, session)
            accounts.update_user(connection, user.id, last_login_ms=now_ms)
            actor = Actor(f"user {user.id}", user.email, address)
            record(connection, now_ms, actor, "session.begin", f"user {user.id}", after={"how": how})

        await self._directory.change(PEOPLE, store)
        return self._login(user, session, rotated=True)

    async def refresh(self, token: str, address: str) -> Login:
        """The next access token.

        Raises:
            Unauthenticated: not a refresh token of a living session.
        """
        session_id, generation = self._opened(token)
        now_ms = self._clock.now_ms()
        session = await self._database.read(lambda connection: accounts.session(connection, session_id))
        if session is None or session.expires_ms <= now_ms:
            raise Unauthenticated("This session has ended; log in again.", code="session_ended")
        user = self._directory.users.get(session.user_id)
        if user is None or user.disabled:
            raise Unauthenticated("This session has ended; log in again.", code="session_ended")
        expires_ms = min(now_ms + self._idle_ms, session.created_ms + self._longest_ms)
        if generation == session.generation:
            rotated = await self._database.write(
                lambda connection: accounts.rotate_session(
                    connection, session_id, generation, now_ms, expires_ms, address[:64]
                )
            )
            if rotated:
                newer = SessionRecord(
                    session.id,
                    session.user_id,
                    generation + 1,
                    now_ms,
                    session.created_ms,
                    expires_ms,
                    address,
                    session.user_agent,
                )
                self._directory.sessions[session.id] = newer
                return self._login(user, newer, rotated=True)
            # Another tab refreshed milliseconds earlier.
            return self._login(user, session, rotated=False)
        if generation == session.generation - 1 and now_ms - session.rotated_ms < GRACE_MS:
            return self._login(user, session, rotated=False)

        def end(connection: Connection) -> None:
            accounts.end_session(connection, session_id)
            actor = Actor("system", "Bongsu", address)
            record(connection, now_ms, actor, "session.reuse", f"user {user.id}", after={"created": session.address})

        await self._directory.change(PEOPLE, end)
        raise Unauthenticated(
            "This session has ended: its refresh token was used twice, so it may have been copied. Log in again.",
            code="session_reused",
        )

    async def end(self, token: str) -> None:
        """Logs out. Does nothing for a token that is not valid."""
        try:
            session_id, _ = self._opened(token)
        except Unauthenticated:
            return
        await self._directory.change(PEOPLE, lambda connection: accounts.end_session(connection, session_id))

    def _login(self, user: UserRecord, session: SessionRecord, *, rotated: bool) -> Login:
        access_token, expires_ms = self._directory.tokens.sign(user.id, session.id, user.version)
        seconds = (session.expires_ms - self._clock.now_ms()) // 1000
        refresh_token = self._sealed(session.id, session.generation) if rotated else None
        return Login(user, session.id, access_token, expires_ms, refresh_token, seconds)

    def _sealed(self, session_id: str, generation: int) -> str:
        return f"{session_id}.{generation}.{self._signature(session_id, generation)}"

    def _signature(self, session_id: str, generation: int) -> str:
        signed = hmac.digest(self._key, f"{session_id}.{generation}".encode(), "sha256")
        return base64.urlsafe_b64encode(signed).decode().rstrip("=")

    def _opened(self, token: str) -> tuple[str, int]:
        session_id, _, rest = token.partition(".")
        digits, _, signature = rest.partition(".")
        generation = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 12 else -1
        if not hmac.compare_digest(signature.encode(), self._signature(session_id, generation).encode()):
            raise Unauthenticated("Log in first.")
        return session_id, generation
