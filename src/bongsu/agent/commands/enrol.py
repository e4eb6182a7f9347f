"""``bongsu agent enrol`` and ``bongsu agent rotate-token``: get this machine's token, or replace it."""

import getpass
import json
import sys
from collections.abc import Mapping

import psutil

from bongsu import __version__
from bongsu.agent.config import Config, load
from bongsu.agent.delivery.credentials import Credentials
from bongsu.agent.http import Url
from bongsu.agent.identity import host_facts, load_identity, machine_id
from bongsu.agent.wiring import make_connection, make_credentials
from bongsu.core.errors import ConfigError
from bongsu.wire.enrolment import ENROL_PATH, ROTATE_PATH, reason_in_response, token_in_response
from bongsu.wire.outcome import explain


def enrol(file: str, flags: Mapping[str, str]) -> int:
    """Gets a token for the enrolment token, which comes from the configuration, the terminal or standard input."""
    config = load(file=file, flags=flags)
    credentials = _load_credentials(config)
    enrolment_token = credentials.enrolment_token()
    if not enrolment_token:
        is_terminal = sys.stdin.isatty()
        enrolment_token = getpass.getpass("Enrolment token: ") if is_terminal else sys.stdin.readline()
    name = config.name or host_facts(psutil).hostname
    body = {"agent_id": credentials.agent_id, "name": name}
    if not _get_token(config, credentials, ENROL_PATH, enrolment_token.strip(), body):
        return 1
    print(f"This machine is enrolled at {config.servers[0]}.")
    return 0


def rotate(file: str, flags: Mapping[str, str]) -> int:
    """Replaces the token. The old one stays valid for ten seconds; the running agent takes the new one when the server
    refuses the old one."""
    config = load(file=file, flags=flags)
    credentials = _load_credentials(config)
    if not credentials.token or credentials.is_configured:
        raise ConfigError("This agent did not get its token by enrolling, so replace the token where it is configured.")
    if not _get_token(config, credentials, ROTATE_PATH, credentials.token, {}):
        return 1
    print(f"This machine has a new token at {config.servers[0]}.")
    return 0


def _load_credentials(config: Config) -> Credentials:
    return make_credentials(config, load_identity(config.data_dir, machine_id()).agent_id)


def _get_token(config: Config, credentials: Credentials, path: str, bearer: str, body: Mapping[str, str]) -> bool:
    """Requests a token and stores it. If the server refuses, prints why."""
    url = Url.parse(config.servers[0])
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"bongsu-agent/{__version__}",
        "Authorization": f"Bearer {bearer}",
    }
    try:
        connection = make_connection(config, url)
        response = connection.post(url.path.rstrip("/") + path, headers, json.dumps(body).encode())
        connection.close()
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{config.servers[0]}: {explain(error)}.") from None
    token = token_in_response(response.body) if response.status == 200 else ""
    if not token:
        reason = reason_in_response(response.body) or f"HTTP status {response.status}"
        print(f"bongsu agent: {config.servers[0]} refuses: {reason}", file=sys.stderr)
        return False
    credentials.store(token)
    return True
