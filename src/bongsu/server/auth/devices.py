"""Known devices: browsers on which somebody has logged in to an account, with everything that this requires.

Failed logins on a known device count for that device alone, so strangers who guess passwords do not lock its owner out.
A signed cookie proves which account the device is known for. It names the session that began there: a stolen session
can get the cookie set again, but no second device, and so no further guesses.
"""

import base64
import hmac
from collections.abc import Mapping

from bongsu.core.clock import Clock
from bongsu.core.units import DAY_MS
from bongsu.server.auth.emails import account_name
from bongsu.server.vault import Vault

# Longer than a session: it is needed when the session has ended. Each login and refresh renews it.
LIFETIME_MS = 365 * DAY_MS


class Devices:
    """Issues and verifies the cookies of known devices."""

    def __init__(self, vault: Vault, clock: Clock) -> None:
        self._key = vault.key("known device")
        self._clock = clock

    def cookie(self, email: str) -> str:
        """The name of the cookie: one for each account, so that a browser can be known for several."""
        return f"bongsu_device_{self._digest('name', account_name(email)).hex()[:8]}"

    def issue(self, email: str, session_id: str) -> str:
        """The value of the cookie."""
        expires = str((self._clock.now_ms() + LIFETIME_MS) // 1000)
        return f"{session_id}.{expires}.{self._signature(email, session_id, expires)}"

    def known(self, email: str, cookies: Mapping[str, str]) -> str:
        """The device that is known for this account; empty if there is none."""
        session_id, _, rest = cookies.get(self.cookie(email), "").partition(".")
        expires, _, signature = rest.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(email, session_id, expires).encode()):
            return ""
        return session_id if int(expires) * 1000 > self._clock.now_ms() else ""

    def _signature(self, email: str, session_id: str, expires: str) -> str:
        signed = self._digest("value", account_name(email), session_id, expires)
        return base64.urlsafe_b64encode(signed).decode().rstrip("=")

    def _digest(self, *parts: str) -> bytes:
        return hmac.digest(self._key, "\n".join(parts).encode("utf-8", "surrogateescape"), "sha256")
