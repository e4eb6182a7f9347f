"""Enrolment over HTTP: an agent sends an enrolment token and its identity, and receives its own token."""

import json

ENROL_PATH = "/api/agents/enrol"
ROTATE_PATH = "/api/agents/rotate"
MAX_TOKEN_BYTES = 4_096


def is_token(text: str) -> bool:
    """Whether a text can be a token: anything else could not stand in a header."""
    return text.isascii() and text.isprintable() and " " not in text


def enrolment_body(agent_id: str, name: str) -> bytes:
    """The body of the request."""
    return json.dumps({"agent_id": agent_id, "name": name}).encode()


def token_in_response(body: bytes) -> str:
    """The token that the API server issued; empty if it issued none."""
    try:
        token = json.loads(body).get("token", "")
    except (ValueError, AttributeError):
        return ""
    return token if isinstance(token, str) else ""


def reason_in_response(body: bytes) -> str:
    """Why the API server refused; empty if it did not say."""
    try:
        message = json.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return message if isinstance(message, str) else ""
