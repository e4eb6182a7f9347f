"""Reads the body of a request before the application does, so that nobody can fill the memory without a login.

Pushes do not come this way; ``limits.body_bytes`` limits them.
"""

from starlette.types import Message, Receive, Scope

from bongsu.core.errors import TooLarge

# The largest documents are alert rules and channels, of a few KiB.
MAX_BODY_BYTES = 65_536


async def read_body(scope: Scope, receive: Receive) -> Receive:
    """Returns a ``receive`` that gives the complete body in one message.

    Raises:
        TooLarge: the body is larger than MAX_BODY_BYTES; the rest of it was not read.
    """
    length, has_body = 0, False
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = int(value) if value.isdigit() else 0
            has_body = has_body or length > 0
        elif name == b"transfer-encoding":
            has_body = True
    if not has_body:
        return receive
    if length > MAX_BODY_BYTES:
        raise _too_large()
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return receive
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
        more = message.get("more_body", False)
    complete: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def replay() -> Message:
        return complete.pop() if complete else await receive()

    return replay


def _too_large() -> TooLarge:
    return TooLarge(
        f"The body is larger than {MAX_BODY_BYTES} bytes.", code="body_too_large", field="body", limit=MAX_BODY_BYTES
    )
