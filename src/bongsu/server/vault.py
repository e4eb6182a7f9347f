"""The vault: encrypts the passwords of channels, signing keys and second factors with one secret.

The secret is a random value of 32 bytes, made at the first start and kept beside the database in ``secret.key``
(readable only by its owner), or given as ``BONGSU_SECRET_KEY`` where processes on several machines share one database.
Each purpose has its own key, derived from the secret (HKDF, RFC 5869), so that what is encrypted for one purpose cannot
be decrypted for another.
"""

import base64
import binascii
import os
from pathlib import Path
from typing import TYPE_CHECKING

from bongsu.core.errors import BongsuError, ConfigError
from bongsu.server.config import not_writable

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

SECRET_BYTES = 32
FILE_NAME = "secret.key"


class WrongSecret(BongsuError):
    """This was encrypted with another secret key; restore that key."""

    code = "wrong_secret"


class Vault:
    """Encrypts, decrypts and derives keys."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def key(self, purpose: str) -> bytes:
        """The key of a purpose, 32 bytes."""
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        return HKDF(SHA256(), 32, salt=None, info=f"bongsu {purpose}".encode()).derive(self._secret)

    def encrypt(self, plain: bytes, purpose: str) -> bytes:
        """Authenticated encryption (Fernet: AES-128-CBC and HMAC-SHA256)."""
        return self._fernet(purpose).encrypt(plain)

    def decrypt(self, stored: bytes, purpose: str) -> bytes:
        """The reverse of ``encrypt``.

        Raises:
            WrongSecret: encrypted with another secret or for another purpose, or changed since.
        """
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet(purpose).decrypt(stored)
        except InvalidToken:
            raise WrongSecret from None

    def _fernet(self, purpose: str) -> "Fernet":
        # 8 MB, which a worker that sends nothing does not need.
        from cryptography.fernet import Fernet

        return Fernet(base64.urlsafe_b64encode(self.key(purpose)))


def open_vault(data_dir: Path, secret_key: str = "") -> Vault:
    """The vault of an installation. Processes that start together get the same secret.

    Raises:
        ConfigError: ``secret_key`` or the file is not base64 of at least 32 bytes; or there can be no such file.
    """
    if secret_key:
        return Vault(_decoded(secret_key, "secret_key"))
    file = data_dir / FILE_NAME
    try:
        if not file.exists():
            data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            _create(file, base64.b64encode(os.urandom(SECRET_BYTES)) + b"\n")
        text = file.read_text("ascii", errors="replace")
    except OSError as error:
        raise not_writable(data_dir, error) from None
    return Vault(_decoded(text, str(file)))


def _create(file: Path, content: bytes) -> None:
    """Creates a file that only its owner can read, complete or not at all. An existing file stays unchanged."""
    # Not the process id: two containers that share the directory have the same.
    temporary = file.with_name(f"{file.name}.{os.urandom(8).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)
    try:
        os.link(temporary, file)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _decoded(text: str, where: str) -> bytes:
    try:
        secret = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) < SECRET_BYTES:
        raise ConfigError(
            f"{where} must be base64 of at least {SECRET_BYTES} random bytes: openssl rand -base64 32", field=where
        )
    return secret
