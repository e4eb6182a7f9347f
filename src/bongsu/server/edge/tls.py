"""TLS with certificates that are renewed without a restart.

The files are checked every CHECK_SECONDS. When one of them has changed, the context loads the new pair, and new
connections use it. A pair that cannot be used (half written, or a key that does not match) changes nothing.
"""

import asyncio
import logging
import ssl
from pathlib import Path

from bongsu.core.errors import ConfigError

logger = logging.getLogger(__name__)

CHECK_SECONDS = 5.0


class Certificate:
    """The TLS context, and the files it was loaded from."""

    def __init__(self, certificate: str, key: str) -> None:
        if not key:
            raise ConfigError("tls_key: a certificate needs its private key.", field="tls_key")
        self._files = (Path(certificate), Path(key))
        self._seen = self._state()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
        try:
            self._load(self.context)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"tls_certificate: {_why(error, self._files)}", field="tls_certificate") from None

    def changed(self) -> bool:
        """Whether the files have changed since the last call, and can be used."""
        now = self._state()
        if now == self._seen or None in now:
            return False
        self._seen = now
        try:
            # A pair that does not match would leave half of it in the context, so another context tries it first.
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        except (OSError, ssl.SSLError) as error:
            self._refuse(error)
            return False
        return True

    def reload(self) -> None:
        """Loads the files. Must not run beside a handshake, which would meet the new certificate with the old key."""
        try:
            self._load(self.context)
        except (OSError, ssl.SSLError) as error:
            self._refuse(error)
        else:
            logger.info("loaded the new certificate %s", self._files[0])

    async def watch(self) -> None:
        """Reloads until cancelled. Handshakes run on the event loop, so that is where the context is changed."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if await asyncio.to_thread(self.changed):
                self.reload()

    def _refuse(self, error: Exception) -> None:
        logger.error("the new certificate cannot be used; the old one stays: %s", _why(error, self._files))

    def _load(self, context: ssl.SSLContext) -> None:
        context.load_cert_chain(*self._files)

    def _state(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stat(file) for file in self._files)


def _stat(file: Path) -> tuple[int, int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _why(error: Exception, files: tuple[Path, Path]) -> str:
    if isinstance(error, FileNotFoundError):
        missing = next((file for file in files if not file.exists()), files[0])
        return f"{missing} does not exist."
    return f"{files[0]} and {files[1]}: {getattr(error, 'reason', None) or error}"
