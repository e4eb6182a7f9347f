"""Lockouts after failed logins, kept in the database so that they apply to all API servers and survive a restart.

On a known device (``devices.py``), failures count for that device alone. Elsewhere they count by account and address,
and by account and by address alone with higher limits; IPv6 addresses count by /64 network. An account that does not
exist is locked out like one that does.
"""

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection

from bongsu.core.addresses import rate_key
from bongsu.core.clock import Clock
from bongsu.core.errors import TooMany
from bongsu.core.units import HOUR_MS
from bongsu.server.auth.audit import Actor, record
from bongsu.server.auth.queries.login_failures import (
    Failures,
    forget_failures,
    forget_old_failures,
    load_failures,
    store_failures,
)
from bongsu.server.config import Lockouts
from bongsu.server.database.database import Database

FIRST_PAUSE_SECONDS = 2
# Failures older than this are forgotten.
FORGET_MS = HOUR_MS


@dataclass(frozen=True, slots=True)
class _Subject:
    key: str
    allowed: int


class Lockout:
    """Asked before each password check, and told its outcome."""

    def __init__(self, database: Database, clock: Clock, limits: Lockouts) -> None:
        self._database = database
        self._clock = clock
        self._limits = limits

    async def check(self, email: str, address: str, device: str) -> None:
        """Raises TooMany while the known device, or else the account or the address, is locked out."""
        subjects = self._subjects(email, address, device)
        now_ms = self._clock.now_ms()
        keys = [subject.key for subject in subjects]
        stored = await self._database.read(lambda connection: load_failures(connection, keys))
        until_ms = max((failures.locked_until_ms for failures in stored.values()), default=0)
        if until_ms > now_ms:
            seconds = -(-(until_ms - now_ms) // 1000)
            raise TooMany(
                f"Too many failed logins; try again in {seconds} s.", code="locked_out", retry_after_seconds=seconds
            )

    async def failed(self, email: str, address: str, device: str) -> None:
        """Counts a failure, and locks out whoever has failed too often."""
        subjects, now_ms = self._subjects(email, address, device), self._clock.now_ms()

        def count(connection: Connection) -> None:
            forget_old_failures(connection, now_ms - FORGET_MS)
            stored = load_failures(connection, [subject.key for subject in subjects])
            locked = False
            for subject in subjects:
                failures = (stored[subject.key].failures if subject.key in stored else 0) + 1
                over = failures - subject.allowed
                pause = min(FIRST_PAUSE_SECONDS * 2 ** min(over, 20), self._limits.longest_seconds) if over >= 0 else 0
                locked = locked or over == 0
                store_failures(connection, subject.key, Failures(failures, now_ms, now_ms + pause * 1000))
            if locked:
                record(connection, now_ms, Actor("anonymous", email, address), "login.locked_out")

        await self._database.write(count)

    async def succeeded(self, email: str, address: str, device: str) -> None:
        """Forgets the failures of the account, but not of the address: an attacker could reset them with an own
        account."""
        keys = [subject.key for subject in self._subjects(email, address, device)[:2]]
        if await self._database.read(lambda connection: load_failures(connection, keys)):
            await self._database.write(lambda connection: forget_failures(connection, keys))

    def _subjects(self, email: str, address: str, device: str) -> list[_Subject]:
        limits, address = self._limits, rate_key(address)
        if device:
            return [_Subject(_key("device", f"{email}\n{device}"), limits.account_and_address)]
        return [
            _Subject(_key("both", f"{email}\n{address}"), limits.account_and_address),
            _Subject(_key("account", email), limits.account),
            _Subject(_key("address", address), limits.address),
        ]


def _key(kind: str, text: str) -> str:
    return f"{kind}:{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}"
