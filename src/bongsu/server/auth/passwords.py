"""Passwords: argon2id, off the event loop. Checks take the same time whether or not the account exists.

64 MiB and 4 passes take 100 to 200 ms of a core. Two checks run at a time: more would only wait for each other, each
holding 64 MiB.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from bongsu.core.errors import InvalidInput
from bongsu.server.config import PasswordSettings

AT_ONCE = 2
MAX_LENGTH = 256
# What people choose first when they have to choose a password.
_OBVIOUS = ("password", "bongsu", "qwerty", "administrator", "letmein", "changeme", "welcome")


class Passwords:
    """Hashes and verifies. One per process."""

    def __init__(self, settings: PasswordSettings) -> None:
        self._settings = settings
        self._hasher = PasswordHasher(time_cost=settings.passes, memory_cost=settings.memory_mib * 1024, parallelism=1)
        self._threads = ThreadPoolExecutor(AT_ONCE, "bongsu-password")
        self._nobody: str | None = None

    def check(self, password: str, *, email: str = "", field: str = "password") -> None:
        """Raises InvalidInput for a password that is too short, too long or easy to guess."""
        shortest = self._settings.shortest
        if len(password) < shortest:
            raise InvalidInput(f"{field} must have at least {shortest} characters.", field=field, limit=shortest)
        if len(password) > MAX_LENGTH:
            raise InvalidInput(f"{field} must have at most {MAX_LENGTH} characters.", field=field, limit=MAX_LENGTH)
        plain = password.lower()
        own = email.partition("@")[0]
        rest = plain
        words = [*_OBVIOUS, own] if len(own) > 3 else _OBVIOUS
        for word in words:
            rest = rest.replace(word, "")
        if len(set(plain)) < 5 or len(rest.strip("0123456789!@#$%^&*.-_ ")) < len(plain) // 4:
            raise InvalidInput(f"{field} is too easy to guess.", code="weak_password", field=field)

    async def hash(self, password: str) -> str:
        """The hash of a password, for storing."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password matches the stored hash. ``stored`` None: False, after the same work."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._verify, stored, password)

    def outdated(self, stored: str) -> bool:
        """Whether a hash was made with settings other than the present ones."""
        return self._hasher.check_needs_rehash(stored)

    def _verify(self, stored: str | None, password: str) -> bool:
        if stored is None:
            if self._nobody is None:
                self._nobody = self._hasher.hash("nobody's password")
            stored, password = self._nobody, password[:MAX_LENGTH]
            right = False
        else:
            right = len(password) <= MAX_LENGTH
        try:
            self._hasher.verify(stored, password[:MAX_LENGTH])
            return right
        except (VerificationError, InvalidHashError):
            return False

    def prepare(self) -> None:
        """Makes the hash that passwords of unknown accounts are compared with, so that the first check takes no
        longer."""
        self._threads.submit(self._verify, None, "")

    def close(self) -> None:
        self._threads.shutdown(wait=True)
