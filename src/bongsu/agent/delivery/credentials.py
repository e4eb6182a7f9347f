"""What the agent shows to the API server: a token that is good for this agent alone.

From the configuration (``token``, ``token_file``), or made at the first contact with an enrolment token and kept in
``token.json`` of the data directory, which only its owner can read. The file names the agent that the token is for: a
copied disk, which gets an identity of its own, enrols anew.
"""

import json
import os

from bongsu.core.errors import ConfigError

FILE = "token.json"
ENROL_PATH = "/api/agents/enrol"
ROTATE_PATH = "/api/agents/rotate"
LONGEST = 4_096


class Credentials:
    """Read again at each need: a person may put a token there while the agent runs."""

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
        self._given = token
        self._given_file = token_file
        self._enrolment = enrolment_token
        self._enrolment_file = enrolment_token_file
        self.token = ""
        self.read()

    @property
    def fixed(self) -> bool:
        """Whether the configuration gives the token, so that the agent makes none."""
        return bool(self._given or self._given_file)

    def read(self) -> str:
        """The token; empty: there is none."""
        if self._given:
            self.token = self._given
        elif self._given_file:
            self.token = _first_line(self._given_file)
        elif self._path:
            self.token = self._stored()
        return self.token

    def enrolment_token(self) -> str:
        """What to enrol with; empty: nothing."""
        return self._enrolment or (_first_line(self._enrolment_file) if self._enrolment_file else "")

    def keep(self, token: str) -> None:
        """Stores a token, whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        temporary = f"{self._path}.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump({"agent_id": self.agent_id, "token": token}, file)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, self._path)
        self.token = token

    def _stored(self) -> str:
        try:
            with open(self._path, encoding="utf-8") as file:
                stored = json.load(file)
        except (OSError, ValueError):
            return ""
        if not isinstance(stored, dict) or stored.get("agent_id") != self.agent_id:
            return ""
        token = stored.get("token")
        return token if isinstance(token, str) else ""


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            token = file.read(LONGEST).strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from None
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"{path} holds no token: a token has only letters, digits and signs.")
    return token


def answered_token(body: bytes) -> str:
    """The token in the API server's answer; empty: there is none."""
    try:
        token = json.loads(body).get("token", "")
    except (ValueError, AttributeError):
        return ""
    return token if isinstance(token, str) else ""


def answered_reason(body: bytes) -> str:
    """Why the API server refused; empty: it did not say."""
    try:
        message = json.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return message if isinstance(message, str) else ""
