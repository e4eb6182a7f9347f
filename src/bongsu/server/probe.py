"""Asks a running API server something, with the standard library only: health checks of containers run it often."""

import http.client
import json
import ssl
from typing import Any


def ask(url: str, path: str) -> "dict[str, Any] | None":
    """The JSON that our own API server answers; None if it does not answer or reports an error."""
    scheme, _, authority = url.partition("://")
    if scheme == "https":
        # It is our own child on this machine, and its certificate is for the name that others use.
        unverified = ssl._create_unverified_context()  # noqa: S323
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(authority, timeout=2, context=unverified)
    else:
        connection = http.client.HTTPConnection(authority, timeout=2)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        document = json.loads(answer.read()) if answer.status == 200 else None
        return document if isinstance(document, dict) else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
