"""Reads the body of a request before the application does, so that nobody can fill the memory without a login.

Pushes do not come this way; ``limits.body_bytes`` limits them.
"""

from starlette.types import Message, Receive, Scope

from bongsu.core.errors import TooLarge

# Alert rules and channels have a few KiB.
MAX_BODY_BYTES = 65_536
# Dashboards have up to 256 KiB.
DASHBOARDS, MAX_DASHBOARD_BYTES = "/api/dashboards", 327_680


async def read_body(scope: Scope, receive: Receive) -> Receive:
    """Returns a ``receive`` that gives the complete body in one message.

    Raises:
        TooLarge: the body is larger than MAX_BODY_BYTES, or MAX_DASHBOARD_BYTES; the rest of it was not read.
    """
    limit = MAX_DASHBOARD_BYTES if scope["path"].startswith(DASHBOARDS) else MAX_BODY_BYTES
    length, has_body = 0, False
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = int(value) if value.isdigit() else 0
            has_body = has_body or length > 0
        elif name == b"transfer-encoding":
            has_body = True
    if not has_body:
        return receive
    if length > limit:
        raise _too_large(limit)
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return receive
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        more = message.get("more_body", False)
    complete: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def replay() -> Message:
        return complete.pop() if complete else await receive()

    return replay


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is larger than {limit} bytes.", code="body_too_large", field="body", limit=limit)
