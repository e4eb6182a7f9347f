"""The secret that everything else secret hangs on: passwords of channels, signing keys, second factors.

One random value of 32 bytes, made at the first start and kept beside the database in ``secret.key`` (readable by its
owner alone), or given as ``BONGSU_SECRET_KEY`` where several processes on several machines share one database. Each
purpose has a key of its own, derived from it (HKDF, RFC 5869); what is encrypted for one purpose cannot be read for
another.
"""

import base64
import binascii
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bongsu.core.errors import BongsuError, ConfigError

SECRET_BYTES = 32
FILE_NAME = "secret.key"


class WrongSecret(BongsuError):
    """This was encrypted with another secret key; restore the one it was made with."""

    code = "wrong_secret"


class Vault:
    """Encrypts, decrypts and derives keys."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def key(self, purpose: str) -> bytes:
        """32 bytes that are this purpose's alone."""
        return HKDF(SHA256(), 32, salt=None, info=f"bongsu {purpose}".encode()).derive(self._secret)

    def encrypt(self, plain: bytes, purpose: str) -> bytes:
        """Authenticated encryption (Fernet: AES-128-CBC and HMAC-SHA256)."""
        return self._fernet(purpose).encrypt(plain)

    def decrypt(self, stored: bytes, purpose: str) -> bytes:
        """The reverse of ``encrypt``.

        Raises:
            WrongSecret: made with another key or for another purpose, or changed since.
        """
        try:
            return self._fernet(purpose).decrypt(stored)
        except InvalidToken:
            raise WrongSecret from None

    def _fernet(self, purpose: str) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(self.key(purpose)))


def open_vault(data_dir: Path, secret_key: str = "") -> Vault:
    """The vault of an installation. Two processes that start together end up with one secret.

    Raises:
        ConfigError: ``secret_key`` or the file is not base64 of at least 32 bytes.
    """
    if secret_key:
        return Vault(_decoded(secret_key, "secret_key"))
    file = data_dir / FILE_NAME
    if not file.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        _create(file, base64.b64encode(os.urandom(SECRET_BYTES)) + b"\n")
    return Vault(_decoded(file.read_text(), str(file)))


def _create(file: Path, content: bytes) -> None:
    """Writes a file that only its owner reads, whole or not at all; leaves one alone that is there."""
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
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
