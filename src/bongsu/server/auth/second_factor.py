"""Time-based one-time passwords (RFC 6238), for authenticator apps."""

import pyotp

from bongsu.server.auth.queries.accounts import UserRecord
from bongsu.server.vault import Vault

PURPOSE = "second factor"
STEP_SECONDS = 30
# One step before and after, for the clock of a phone and the typing of a person.
WINDOW = 1


class SecondFactor:
    """Makes secrets and checks codes."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def new(self) -> tuple[str, bytes]:
        """A new secret, in plain text for the app and encrypted for storing."""
        secret = pyotp.random_base32()
        return secret, self._vault.encrypt(secret.encode(), PURPOSE)

    def address(self, secret: str, email: str) -> str:
        """The ``otpauth:`` address for a QR code."""
        return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="Bongsu")

    def step(self, user: UserRecord, code: str, now_ms: int) -> int | None:
        """The time step of a code; None if the code is wrong, or not newer than the last one that was used."""
        if user.totp_secret is None or not (code.isascii() and code.isdigit() and len(code) == 6):
            return None
        totp = pyotp.TOTP(self._vault.decrypt(user.totp_secret, PURPOSE).decode())
        now = now_ms // 1000 // STEP_SECONDS
        for step in range(now - WINDOW, now + WINDOW + 1):
            if step > user.totp_step and pyotp.utils.strings_equal(totp.at(step * STEP_SECONDS), code):
                return step
        return None
