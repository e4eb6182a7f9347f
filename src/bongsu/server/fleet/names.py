"""What agents and tags may be called; the tables' columns are this wide."""

import re

from bongsu.core.errors import InvalidInput

MAX_TAGS = 16
MAX_TAG_NAME = 64
TAG_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}")
_AGENT_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


def check_agent_id(agent_id: str, *, field: str = "agent_id") -> None:
    """Raises InvalidInput for an id that cannot be stored."""
    if not _AGENT_ID.fullmatch(agent_id):
        raise InvalidInput(
            f"{field} must be 8 to 64 letters, digits, dots, dashes or underscores.", field=field, limit=64
        )
