"""``bongsu agent enrol`` and ``rotate-token``: this machine's token, made and replaced by hand."""

import getpass
import os
import sys
from collections.abc import Mapping

import psutil

from bongsu import __version__
from bongsu.agent.commands.run import make_credentials
from bongsu.agent.config import load
from bongsu.agent.delivery.credentials import ENROL_PATH, ROTATE_PATH, answered_reason, answered_token
from bongsu.agent.delivery.http import Connection, Response, Url, tls_context
from bongsu.agent.delivery.transport import explain
from bongsu.agent.identity import host_facts, load_identity, machine_mark
from bongsu.agent.wiring import NAMES
from bongsu.core.errors import ConfigError


def enrol(file: str, flags: Mapping[str, str]) -> int:
    """Gets a token for an enrolment token: the configured one, else from the terminal or standard input."""
    import json

    config = load(NAMES, file=file, flags=flags)
    identity = load_identity(config.data_dir, machine_mark())
    credentials = make_credentials(config, identity.agent_id)
    token = credentials.enrolment_token()
    if not token:
        token = getpass.getpass("Enrolment token: ") if sys.stdin.isatty() else sys.stdin.readline()
    name = config.name or host_facts(psutil).hostname
    body = json.dumps({"agent_id": identity.agent_id, "name": name}).encode()
    return _ask(file, flags, ENROL_PATH, token.strip(), body, "This machine is enrolled at")


def rotate(file: str, flags: Mapping[str, str]) -> int:
    """Replaces the token; the old one is good for ten minutes more."""
    config = load(NAMES, file=file, flags=flags)
    credentials = make_credentials(config, load_identity(config.data_dir, machine_mark()).agent_id)
    if not credentials.token or credentials.fixed:
        raise ConfigError("The token is not one that this agent has made, so it must be replaced where it comes from.")
    return _ask(file, flags, ROTATE_PATH, credentials.token, b"{}", "This machine has a new token at")


def _ask(file: str, flags: Mapping[str, str], path: str, token: str, body: bytes, done: str) -> int:
    config = load(NAMES, file=file, flags=flags)
    url = Url.parse(config.servers[0])
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"bongsu-agent/{__version__}",
        "Authorization": f"Bearer {token}",
    }
    try:
        connection = Connection(
            url,
            timeout_seconds=config.timeout_ms / 1000,
            tls=tls_context(config.ca_file) if url.secure else None,
            proxy=Url.parse(config.proxy) if config.proxy else None,
            server_name=config.server_name,
        )
        answer: Response = connection.post(url.path.rstrip("/") + path, headers, body)
        connection.close()
    except OSError as error:
        raise ConfigError(f"{config.servers[0]}: {explain(error)}.") from None
    given = answered_token(answer.body) if answer.status == 200 else ""
    if not given:
        reason = answered_reason(answer.body) or f"HTTP status {answer.status}"
        print(f"bongsu agent: {config.servers[0]} refuses: {reason}", file=sys.stderr)
        return 1
    os.makedirs(config.data_dir, mode=0o750, exist_ok=True)
    make_credentials(config, load_identity(config.data_dir, machine_mark()).agent_id).keep(given)
    print(f"{done} {config.servers[0]}.")
    return 0
