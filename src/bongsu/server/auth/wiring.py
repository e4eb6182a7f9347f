"""Puts the parts of auth together."""

import asyncio
import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bongsu.core.clock import Clock
from bongsu.core.units import parse_duration_ms
from bongsu.server.auth.authenticator import Authenticator
from bongsu.server.auth.devices import Devices
from bongsu.server.auth.directory import Directory
from bongsu.server.auth.enrolment import Enrolment
from bongsu.server.auth.lockout import Lockout
from bongsu.server.auth.login import PasswordLogin
from bongsu.server.auth.passwords import Passwords
from bongsu.server.auth.second_factor import SecondFactor
from bongsu.server.auth.sessions import Sessions
from bongsu.server.auth.setup import Setup
from bongsu.server.auth.signing import AccessTokens
from bongsu.server.config import Settings
from bongsu.server.database.database import Database
from bongsu.server.vault import Vault

if TYPE_CHECKING:
    from bongsu.server.auth.openid import OpenId

# Where `bongsu up` expects the enrolment token of its own agent.
LOCAL_ENROLMENT_VARIABLE = "BONGSU_LOCAL_ENROLMENT_FILE"


@dataclass(slots=True)
class Auth:
    """The parts of auth, as ``services.auth``."""

    directory: Directory
    authenticator: Authenticator
    passwords: Passwords
    sessions: Sessions
    devices: Devices
    lockout: Lockout
    login: PasswordLogin
    setup: Setup
    enrolment: Enrolment
    second_factor: SecondFactor
    oidc: "OpenId | None" = None
    polling: "asyncio.Task[None] | None" = None

    async def start(self, settings: Settings, url: str) -> None:
        """Loads the directory; at the first start, makes the first admin and the enrolment of the local agent."""
        await self.directory.start()
        self.passwords.prepare()
        await self.setup.start(settings, url)
        if os.environ.get(LOCAL_ENROLMENT_VARIABLE):
            await self.enrolment.for_this_machine(Path(os.environ[LOCAL_ENROLMENT_VARIABLE]))
        self.polling = asyncio.create_task(self.directory.poll(), name="auth")

    async def stop(self) -> None:
        """Stores what is only in memory, and stops."""
        if self.polling is not None:
            self.polling.cancel()
            await asyncio.gather(self.polling, return_exceptions=True)
            with contextlib.suppress(
                Exception
            ):  # on a full disk: the times of last use are not worth an error at the end
                await self.directory.store_usage()
        self.passwords.close()


def make_auth(settings: Settings, database: Database, vault: Vault, clock: Clock) -> Auth:
    """Makes the parts; reads and writes nothing yet."""
    tokens = AccessTokens(clock, parse_duration_ms(settings.sessions.access))
    directory = Directory(database, vault, clock, tokens)
    passwords = Passwords(settings.password_hashing)
    oidc = None
    if settings.oidc.issuer:
        from bongsu.server.auth.openid import OpenId  # authlib: only where it is used

        oidc = OpenId(settings.oidc, vault, directory, clock)
    sessions = Sessions(directory, database, vault, clock, settings.sessions)
    second_factor = SecondFactor(vault)
    lockout = Lockout(database, clock, settings.lockouts)
    return Auth(
        oidc=oidc,
        directory=directory,
        authenticator=Authenticator(directory, clock.now_ms),
        passwords=passwords,
        sessions=sessions,
        devices=Devices(vault, clock),
        lockout=lockout,
        login=PasswordLogin(
            database,
            clock,
            directory=directory,
            lockout=lockout,
            passwords=passwords,
            second_factor=second_factor,
            sessions=sessions,
        ),
        setup=Setup(directory, passwords, clock),
        enrolment=Enrolment(directory, clock),
        second_factor=second_factor,
    )
