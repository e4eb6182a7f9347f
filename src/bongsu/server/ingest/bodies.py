"""Reads the bodies of requests that bring samples, within their limits."""

import zlib

from starlette.types import Receive

from bongsu.core.errors import TooLarge, UnsupportedEncoding

# Larger bodies are decoded in a thread: they would hold the event loop for over 5 ms.
LARGE_BYTES = 128 * 1024


class ClientGone(Exception):
    """The client disconnected before its request was complete."""


async def read_body(receive: Receive, length: int | None, limit: int) -> bytes:
    """The body as it arrives. ``length``: as its header says.

    Raises:
        TooLarge: it is larger than ``limit`` bytes.
        ClientGone: it is not complete.
    """
    if length is not None and length > limit:
        raise too_large(limit)
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        body = await _rest(receive, body, limit)
    if message["type"] == "http.disconnect":
        raise ClientGone
    if len(body) > limit:
        raise too_large(limit)
    return body


async def _rest(receive: Receive, first: bytes, limit: int) -> bytes:
    """The rest of a body that arrives in pieces."""
    parts, size, more = [first], len(first), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise too_large(limit)
        more = message.get("more_body", False)
    return b"".join(parts)


def too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is larger than {limit} bytes.", code="body_too_large", field="body", limit=limit)


def gunzip(body: bytes, limit: int) -> bytes:
    """The decompressed body, of at most ``limit`` bytes.

    Raises:
        TooLarge: the body is larger.
        UnsupportedEncoding: it is not gzip, or is truncated.
    """
    stream = zlib.decompressobj(wbits=31)
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error:
        raise UnsupportedEncoding("The body is not gzip.", code="malformed_body", field="body") from None
    if len(plain) > limit:
        raise TooLarge(
            f"The body is larger than {limit} bytes after decompression.",
            code="body_too_large",
            field="body",
            limit=limit,
        )
    if not stream.eof or stream.unused_data:
        raise UnsupportedEncoding(
            "The gzip body is truncated, or followed by other data.", code="malformed_body", field="body"
        )
    return plain
