"""The acknowledge link of a message. Its token holds the notification, an expiry time and a signature.

The link opens a page with a button; only the button acknowledges, so a mail scanner that follows links does nothing.
Whoever has the link can acknowledge the alerts of this message, and nothing else, without an account: on a phone, at
three in the morning.
"""

import hashlib
import hmac

from bongsu.core.errors import InvalidInput
from bongsu.core.units import DAY_MS
from bongsu.server.vault import Vault

PURPOSE = "acknowledge-message"
VALID_MS = 7 * DAY_MS


def _signature(vault: Vault, text: str) -> str:
    return hmac.new(vault.key(PURPOSE), text.encode(), hashlib.sha256).hexdigest()[:32]


def make_token(vault: Vault, notification_id: int, now_ms: int) -> str:
    """``<notification id>.<expiry in Unix ms>.<signature>``."""
    text = f"{notification_id}.{now_ms + VALID_MS}"
    return f"{text}.{_signature(vault, text)}"


def read_token(vault: Vault, token: str, now_ms: int) -> int:
    """The id of the notification.

    Raises:
        InvalidInput: the signature is wrong, or the link has expired.
    """
    text, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(vault, text).encode()):
        raise InvalidInput("This link is not valid.", code="invalid_link", field="token")
    notification_id, _, until_ms = text.partition(".")
    if int(until_ms) < now_ms:
        raise InvalidInput("This link has expired: it is older than a week.", code="expired_link", field="token")
    return int(notification_id)


def acknowledge_url(vault: Vault, public_url: str, notification_id: int, now_ms: int) -> str:
    """The link; empty if ``public_url`` is not set."""
    if not public_url:
        return ""
    return f"{public_url.rstrip('/')}/api/alerts/acknowledge?token={make_token(vault, notification_id, now_ms)}"
