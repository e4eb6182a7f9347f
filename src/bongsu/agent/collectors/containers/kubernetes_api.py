"""Where the kubelet of this node and the API server of its cluster are, and how to ask them.

A pod finds both by its environment: the downward API gives it ``HOST_IP`` and ``NODE_NAME``, Kubernetes the rest. The
token of a service account is bound to its pod and replaced every hour, so the file is read for each question.
"""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from bongsu import __version__
from bongsu.agent.collectors.containers.unix_http import MAX_BODY_BYTES, BadAnswer
from bongsu.agent.config_values import parse_switch, parse_text
from bongsu.agent.http import Connection, ResponseTooLongError, Url, tls_context
from bongsu.core.errors import ConfigError
from bongsu.wire.outcome import explain

KUBELET_PORT = 10_250
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# Of connecting and answering. The kubelet answers in some 20 ms; one that is busy with many pods takes seconds.
TIMEOUT_SECONDS = 10.0
MAX_TOKEN_BYTES = 16_384


def parse_kubelet(text: str) -> str:
    """Its URL; empty for ``none``: it is not asked."""
    text = text.strip().rstrip("/")
    if text == "none":
        return ""
    try:
        url = Url.parse(text)
    except ValueError:
        url = None
    if url is None or not url.secure or url.path != "/":
        raise ConfigError(f"{text!r} is not the URL of a kubelet, such as https://10.0.0.1:{KUBELET_PORT}")
    return text


# Settings of the collector, with their parsers.
SETTINGS = {
    "kubelet": parse_kubelet,
    "kubelet_ca_file": parse_text,
    "kubelet_token_file": parse_text,
    "kubelet_verify": parse_switch,
}


class Access(NamedTuple):
    """``api_url``: of the API server; empty: unknown. ``node``: the name of the node; empty: its pods tell it."""

    url: str
    ca_file: str
    token_file: str
    verify: bool
    api_url: str
    api_ca_file: str
    node: str


def find_access(settings: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Access | None:
    """None if there is no kubelet to ask: it is not configured, and the agent is no pod that knows its node."""
    host, node = environment.get("HOST_IP", ""), environment.get("NODE_NAME", "")
    token_file = settings.get("kubelet_token_file") or f"{SERVICE_ACCOUNT}/token"
    url = settings.get("kubelet")
    if url is None:
        if not (host or node) or not environment.get("KUBERNETES_SERVICE_HOST") or not os.path.exists(token_file):
            return None
        url = f"https://{_bracketed(host or node)}:{KUBELET_PORT}"
    if not url:
        return None
    api_host, api_port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "")
    authority = f"{SERVICE_ACCOUNT}/ca.crt"
    if not os.path.exists(authority):
        authority = settings.get("kubelet_ca_file", "")
    return Access(
        url,
        settings.get("kubelet_ca_file") or authority,
        token_file,
        settings.get("kubelet_verify", True),
        f"https://{_bracketed(api_host)}:{api_port or 443}" if api_host else "",
        authority,
        node,
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class KubernetesApi:
    """One of the two. Only one thread may ask, but any thread may call ``abort``."""

    def __init__(self, url: str, token_file: str, ca_file: str, *, verify: bool = True) -> None:
        self._url = Url.parse(url)
        self._token_file = token_file
        self._ca_file = ca_file
        self._verify = verify
        self._connection: Connection | None = None

    def get(self, path: str) -> bytes:
        """The answer. Raises BadAnswer, with the status if it is another than 200."""
        headers = {"Accept": "application/json", "User-Agent": f"bongsu-agent/{__version__}"}
        token = self._token()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            if self._connection is None:
                tls = tls_context(self._ca_file, verify=self._verify)
                self._connection = Connection(
                    self._url, timeout_seconds=TIMEOUT_SECONDS, tls=tls, max_body_bytes=MAX_BODY_BYTES
                )
            response = self._connection.get(path, headers)
        except ResponseTooLongError:
            self.close()
            raise BadAnswer("answers with more than 16 MiB") from None
        except (OSError, UnicodeError) as error:
            self.close()
            raise BadAnswer(_explained(error)) from None
        if response.status == 401:
            # It may have known the token that this connection began with.
            self.close()
            raise BadAnswer(f"refuses the token in {self._token_file} (401)", 401)
        if response.status == 403:
            raise BadAnswer(f"does not let the service account read {path.partition('?')[0]} (403)", 403)
        if response.status != 200:
            raise BadAnswer(f"answers {path.partition('?')[0]} with HTTP status {response.status}", response.status)
        return response.body

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def abort(self) -> None:
        """Makes a question in another thread fail at once."""
        connection = self._connection
        if connection is not None:
            connection.abort()

    def _token(self) -> str:
        try:
            with open(self._token_file, "rb") as file:
                token = file.read(MAX_TOKEN_BYTES).strip().decode(errors="replace")
        except OSError as error:
            raise BadAnswer(f"cannot be asked: {self._token_file}: {error.strerror}") from None
        if not token.isascii() or not token.isprintable():
            raise BadAnswer(f"cannot be asked: {self._token_file} holds no token")
        return token


def _explained(error: OSError | UnicodeError) -> str:
    reason = explain(error)
    if "certificate is not trusted" in reason:
        reason += "; set kubelet_ca_file to its authority, or kubelet_verify to false"
    return reason
