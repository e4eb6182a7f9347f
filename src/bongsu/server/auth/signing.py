"""Access tokens: JWTs that are valid for 15 minutes, signed with a key that was made at the first start.

HS256, since only the API servers sign and verify, and they share the database with the (encrypted) keys. Keys can be
rotated at any time (``bongsu auth rotate-keys``): the newest key signs, and the previous one is accepted until the
tokens it signed have expired.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from bongsu.core.clock import Clock
from bongsu.core.errors import Unauthenticated

ALGORITHM = "HS256"
ISSUER = "bongsu"
# For differences between the clocks of several API servers.
LEEWAY_MS = 30_000


@dataclass(frozen=True, slots=True)
class Claims:
    """The content of an access token."""

    user_id: int
    session_id: str
    version: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A decrypted signing key."""

    id: str
    secret: bytes
    created_ms: int


class AccessTokens:
    """Signs and verifies access tokens. ``keys`` is replaced when they change."""

    def __init__(self, clock: Clock, lifetime_ms: int) -> None:
        self._clock = clock
        self.lifetime_ms = lifetime_ms
        self.keys: Sequence[SigningKey] = ()  # newest first

    def sign(self, user_id: int, session_id: str, version: int) -> tuple[str, int]:
        """The token, and when it expires."""
        import jwt

        now_ms = self._clock.now_ms()
        expires_ms = now_ms + self.lifetime_ms
        claims = {
            "iss": ISSUER,
            "sub": str(user_id),
            "sid": session_id,
            "ver": version,
            "iat": now_ms // 1000,
            "exp": expires_ms // 1000,
        }
        key = self.keys[0]
        return jwt.encode(claims, key.secret, ALGORITHM, headers={"kid": key.id}), expires_ms

    def verify(self, token: str) -> Claims:
        """Raises Unauthenticated for a token that Bongsu did not sign, that was changed, or that has expired."""
        import jwt

        now_ms = self._clock.now_ms()
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            key = next(key for key in self._accepted(now_ms) if key.id == key_id)
            claims = jwt.decode(
                token,
                key.secret,
                [ALGORITHM],
                issuer=ISSUER,
                # Checked below, against our own clock.
                options={"require": ["exp", "sub"], "verify_exp": False, "verify_iat": False},
            )
            verified = Claims(int(claims["sub"]), str(claims["sid"]), int(claims["ver"]), int(claims["exp"]) * 1000)
        except (jwt.InvalidTokenError, StopIteration, KeyError, TypeError, ValueError):
            raise Unauthenticated("The access token is not valid.", code="invalid_token") from None
        if verified.expires_ms <= now_ms:
            raise Unauthenticated("The access token has expired.", code="expired_token")
        return verified

    def _accepted(self, now_ms: int) -> list[SigningKey]:
        accepted = list(self.keys[:1])
        for newer, key in zip(self.keys, self.keys[1:], strict=False):
            if now_ms < newer.created_ms + self.lifetime_ms + LEEWAY_MS:
                accepted.append(key)
        return accepted


def new_key(now_ms: int) -> SigningKey:
    """A key of 32 random bytes, the length of the hash."""
    return SigningKey(secrets.token_hex(8), secrets.token_bytes(32), now_ms)
