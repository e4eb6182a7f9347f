"""The API server to watch: its address, and the few requests that come before the live stream."""

import ipaddress
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from bongsu.core.errors import BongsuError, ConfigError, Forbidden, InvalidInput, TooMany, Unauthenticated, Unavailable
from bongsu.core.text import visible

_TIMEOUT_SECONDS = 15.0
# As many servers as an answer may list.
_PAGE = 10_000
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A server as ``GET /api/servers`` lists it."""

    id: int
    name: str
    state: str


class Site:
    """An API server. Call ``close`` at the end. Its requests block: on an event loop, call them in a thread."""

    def __init__(self, url: str, ca_file: str = "", transport: httpx.BaseTransport | None = None) -> None:
        """``ca_file``: certificates to trust instead of the system's. ``transport``: replaced in tests.

        Raises:
            InvalidInput: the URL is none.
            ConfigError: the file cannot be read, or holds no certificate; or the environment has a useless proxy.
        """
        self.url = _checked(url)
        parts = urlsplit(self.url)
        self.tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            self.tls = _trusting(ca_file)
        elif ca_file:
            raise InvalidInput("--ca-file needs a URL that begins with https://.", field="--ca-file")
        # A proxy cannot reach this machine's own loopback.
        self.uses_proxy = not _is_loopback(parts.hostname or "")
        try:
            self._client = httpx.Client(
                base_url=self.url,
                timeout=_TIMEOUT_SECONDS,
                verify=self.tls if self.tls is not None else True,
                trust_env=self.uses_proxy,
                transport=transport,
                headers={"User-Agent": "bongsu watch"},
            )
        except (ImportError, ValueError, httpx.InvalidURL) as error:  # of HTTPS_PROXY and its like
            raise ConfigError(f"The proxy in the environment cannot be used: {error}") from None

    @property
    def socket_url(self) -> str:
        """The address of the live stream."""
        return "ws" + self.url.removeprefix("http") + "/api/ws"

    def close(self) -> None:
        """Closes connections."""
        self._client.close()

    def log_in(self, email: str, password: str, code: str = "") -> str:
        """The access token of a new login, which ``refresh`` renews.

        Raises:
            Unauthenticated: wrong email address, password or code; ``second_factor_required``: try again with a code.
            TooMany: there were too many attempts.
            Unavailable, Forbidden, BongsuError: as ``_ask``.
        """
        return self._access_token(
            self._ask("POST", "/api/auth/login", json={"email": email, "password": password, "code": code})
        )

    def refresh(self) -> str:
        """The next access token of the login. Raises Unauthenticated when the login has ended."""
        return self._access_token(self._ask("POST", "/api/auth/refresh", headers={"X-Bongsu": "watch"}))

    def log_out(self) -> None:
        """Ends the login."""
        self._ask("POST", "/api/auth/logout", headers={"X-Bongsu": "watch"})

    def servers(self, token: str) -> list[ServerInfo]:
        """All servers that the owner of the token may see, also retired ones."""
        servers: list[ServerInfo] = []
        cursor = "0"
        while True:
            answer = self._ask(
                "GET",
                "/api/servers",
                params={"retired": "true", "limit": _PAGE, "cursor": cursor},
                headers={"Authorization": f"Bearer {token}"},
            )
            try:
                servers += [
                    ServerInfo(int(entry["id"]), str(entry["name"]), str(entry["state"])) for entry in answer["servers"]
                ]
                following = answer["next"]
            except (KeyError, TypeError, ValueError):
                raise self._stranger() from None
            if following is None:
                return servers
            cursor = str(following)

    def _access_token(self, answer: dict[str, Any]) -> str:
        token = answer.get("access_token")
        if not isinstance(token, str):
            raise self._stranger()
        return token

    def _stranger(self) -> BongsuError:
        return BongsuError(f"{self.url} answers, but not as a Bongsu API server.")

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The parsed answer.

        Raises:
            Unavailable: the API server cannot be reached, or cannot answer now.
            Unauthenticated, Forbidden, TooMany: it refuses, and says why.
            BongsuError: it is no Bongsu API server, or has a problem.
        """
        try:
            answer = self._client.request(method, path, **options)
        except httpx.ConnectError as error:
            raise Unavailable(f"Cannot reach the API server at {self.url}: {reason(error)}") from None
        except httpx.TimeoutException:
            raise Unavailable(
                f"The API server at {self.url} does not answer within {_TIMEOUT_SECONDS:.0f} s."
            ) from None
        except httpx.HTTPError as error:
            raise Unavailable(f"The connection to {self.url} failed: {reason(error)}") from None
        if answer.status_code == 204:
            return {}
        try:
            body = answer.json()
        except ValueError:
            body = None
        if answer.is_success and isinstance(body, dict):
            return body
        if answer.is_redirect:
            target = visible(answer.headers["Location"])[:_SHOWN_CHARACTERS]
            raise BongsuError(f"{self.url} redirects to {target}: give its address to --url.")
        raise self._refusal(answer.status_code, body)

    def _refusal(self, status: int, body: object) -> BongsuError:
        problem = body.get("error") if isinstance(body, dict) else None
        if not (isinstance(problem, dict) and isinstance(problem.get("message"), str)):
            if status in (502, 503, 504):
                return Unavailable(f"{self.url} answers with HTTP {status}: the API server behind it does not run.")
            return self._stranger()
        message, code = visible(problem["message"])[:_SHOWN_CHARACTERS], str(problem.get("code", ""))
        kinds: dict[int, type[BongsuError]] = {401: Unauthenticated, 403: Forbidden, 429: TooMany, 503: Unavailable}
        return kinds.get(status, BongsuError)(message, code=code)


def reason(error: BaseException) -> str:
    """Why a connection failed, in one short sentence."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message}). --ca-file tells whom to trust."
        if isinstance(cause, OSError) and cause.strerror:
            return f"{cause.strerror}."
        cause = cause.__cause__ or cause.__context__
    text = visible(str(error))[:_SHOWN_CHARACTERS].removeprefix("All connection attempts failed")
    return text or "no connection."


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        httpx.URL(url)  # refuses control characters and host names that are none
    except (ValueError, httpx.InvalidURL):
        usable = False
    if not usable or any(character.isspace() for character in url):
        raise InvalidInput(
            f"--url {visible(url)[:100]!r} is no URL: write it like http://127.0.0.1:8600.", field="--url"
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidInput("--url must be only the address, without user, query or fragment.", field="--url")
    return url.rstrip("/")


def _trusting(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"--ca-file {ca_file}: {error.strerror or error}.") from None


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
