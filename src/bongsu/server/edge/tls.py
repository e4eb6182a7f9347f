"""TLS with certificates that are renewed without a restart.

The files are checked every CHECK_SECONDS. When one of them has changed, another context loads the new pair, and new
connections use that: a handshake has either the old pair or the new one. A pair that cannot be used (half written, or a
key that does not match) changes nothing.
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
        try:
            self.context, self._newest = self._load(), self._load()
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"tls_certificate: {_why(error, self._files)}", field="tls_certificate") from None
        # Called for each handshake, also without a server name.
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._newest

    def reload(self) -> bool:
        """Loads the files if they have changed and can be used. Returns whether it did."""
        now = self._state()
        if now == self._seen or None in now:
            return False
        self._seen = now
        try:
            self._newest = self._load()
        except (OSError, ssl.SSLError) as error:
            logger.error("the new certificate cannot be used; the old one stays: %s", _why(error, self._files))
            return False
        logger.info("loaded the new certificate %s", self._files[0])
        return True

    async def watch(self) -> None:
        """Reloads every CHECK_SECONDS until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await asyncio.to_thread(self.reload)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.load_cert_chain(*self._files)
        return context

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
