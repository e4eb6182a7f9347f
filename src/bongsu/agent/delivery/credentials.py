"""The token with which the agent authenticates itself. It is valid for this agent only.

It comes from the configuration (``token``, ``token_file``). Otherwise the agent gets it for an enrolment token, and
keeps it in ``token.json`` in the data directory, which only its owner can read. The file names the agent: a copied disk
gets a new identity, so it must enrol again.
"""

import json
import os

from bongsu.agent.data_dir import write_private_json
from bongsu.core.errors import ConfigError
from bongsu.wire.enrolment import MAX_TOKEN_BYTES, is_token

FILE = "token.json"


class Credentials:
    """``read`` reads the files again each time, because somebody may add a token while the agent runs."""

    def __init__(
        self,
        agent_id: str,
        data_dir: str,
        *,
        token: str = "",
        token_file: str = "",
        enrolment_token: str = "",
        enrolment_token_file: str = "",
    ) -> None:
        self.agent_id = agent_id
        self._path = os.path.join(data_dir, FILE) if data_dir else ""
        self._configured_token = token
        self._configured_file = token_file
        self._enrolment_token = enrolment_token
        self._enrolment_file = enrolment_token_file
        self.token = ""
        self.read()

    @property
    def is_configured(self) -> bool:
        """Whether the token comes from the configuration, so that the agent does not enrol."""
        return bool(self._configured_token or self._configured_file)

    def read(self) -> str:
        """The token; empty if there is none."""
        if self._configured_token:
            self.token = self._configured_token
        elif self._configured_file:
            self.token = _read_token_file(self._configured_file)
        elif self._path:
            self.token = self._read_stored_token()
        return self.token

    def enrolment_token(self) -> str:
        """Empty if none is configured."""
        return self._enrolment_token or (_read_token_file(self._enrolment_file) if self._enrolment_file else "")

    def store(self, token: str) -> None:
        """Raises OSError if the file cannot be written."""
        write_private_json(self._path, {"agent_id": self.agent_id, "token": token})
        self.token = token

    def _read_stored_token(self) -> str:
        try:
            with open(self._path, encoding="utf-8") as file:
                stored = json.load(file)
        except (OSError, ValueError):
            return ""
        if not isinstance(stored, dict) or stored.get("agent_id") != self.agent_id:
            return ""
        token = stored.get("token")
        return token if isinstance(token, str) else ""


def _read_token_file(path: str) -> str:
    """Empty if the file does not exist."""
    try:
        with open(path, encoding="utf-8") as file:
            token = file.read(MAX_TOKEN_BYTES).strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from None
    if not is_token(token):
        raise ConfigError(f"{path} holds no token: a token consists of printable ASCII characters without spaces.")
    return token
