"""HTTP clients, for Bongsu and for what is read, and the files with their secrets."""

import ssl
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from bongsu.core.errors import ConfigError, InvalidInput
from bongsu.core.text import visible

# A query of an hour of many series may take as long.
TIMEOUT_SECONDS = 120.0
_SECRET_BYTES = 64 * 1024


def client(
    url: str, flag: str, *, token: str = "", basic: str = "", ca_file: str = "", ca_flag: str = "--ca-file"
) -> httpx.Client:
    """A client of ``url``, which ``flag`` gave. ``basic``: ``user:password``.

    Raises:
        InvalidInput: the URL is none.
        ConfigError: the certificates cannot be read, or the environment has a useless proxy.
    """
    base = checked_url(url, flag)
    secure = base.startswith("https:")
    if ca_file and not secure:
        raise InvalidInput(f"{ca_flag} needs a URL that begins with https://.", field=ca_flag)
    try:
        trusted: ssl.SSLContext | bool = ssl.create_default_context(cafile=ca_file or None) if secure else True
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"{ca_flag} {ca_file}: {error.strerror or error}.") from None
    user, _, password = basic.partition(":")
    headers = {"User-Agent": "bongsu import"} | ({"Authorization": f"Bearer {token}"} if token else {})
    is_loopback = urlsplit(base).hostname in ("127.0.0.1", "::1", "localhost")
    try:
        return httpx.Client(
            base_url=base,
            timeout=TIMEOUT_SECONDS,
            verify=trusted,
            headers=headers,
            auth=httpx.BasicAuth(user, password) if basic else None,
            trust_env=not is_loopback,  # a proxy cannot reach this machine's own loopback
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:  # of HTTPS_PROXY and its like
        raise ConfigError(f"The proxy in the environment cannot be used: {error}.") from None


def checked_url(url: str, flag: str) -> str:
    """The URL without a slash at its end. Raises InvalidInput."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        httpx.URL(url)  # refuses control characters and host names that are none
    except (ValueError, httpx.InvalidURL):
        usable = False
    if not usable or any(character.isspace() for character in url):
        raise InvalidInput(
            f"{flag}: {visible(url)[:100]!r} is no URL: write it like http://127.0.0.1:8600.", field=flag
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidInput(f"{flag} must be only the address, without user, query or fragment.", field=flag)
    return url.rstrip("/")


def secret(file: str, flag: str) -> str:
    """The only line of a file. Raises ConfigError if there is none."""
    try:
        with Path(file).expanduser().open("rb") as stream:
            text = stream.read(_SECRET_BYTES).decode().strip()
    except OSError as error:
        raise ConfigError(f"{flag} {file}: {error.strerror}.", field=flag) from None
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable():
        raise ConfigError(f"{flag} {file}: it must hold one line of text.", field=flag)
    return text
