"""The security headers of every answer, and the content security policy of pages.

No inline scripts or styles: those of the dashboard, Swagger UI and ReDoc are files.
"""

from starlette.types import Message, Scope, Send

POLICY = {
    "default-src": "'self'",
    "img-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
HSTS = b"max-age=31536000; includeSubDomains"
_ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
]


def policy(**changed: str) -> bytes:
    """The Content-Security-Policy; ``worker_src="blob:"`` adds or replaces a directive."""
    directives = POLICY | {name.replace("_", "-"): value for name, value in changed.items()}
    return "; ".join(f"{name} {value}" for name, value in directives.items()).encode()


_DEFAULT_POLICY = policy()


def with_headers(scope: Scope, send: Send, request_id: str) -> Send:
    """Adds the headers to an answer; an answer with its own policy keeps it."""
    secure = scope["scheme"] in ("https", "wss")
    api = scope["path"].startswith("/api/")

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message["headers"])
            own = {name.lower(): value for name, value in headers}
            names = set(own)
            headers += [header for header in _ALWAYS if header[0] not in names]
            headers.append((b"x-request-id", request_id.encode()))
            if b"content-security-policy" not in names:
                headers.append((b"content-security-policy", _DEFAULT_POLICY))
            elif b"frame-ancestors 'none'" not in own[b"content-security-policy"]:
                # It cannot name the sites that may embed the page, and would refuse them.
                headers.remove((b"x-frame-options", b"DENY"))
            if secure:
                headers.append((b"strict-transport-security", HSTS))
            if api and b"cache-control" not in names:
                headers.append((b"cache-control", b"no-store"))
            message = {**message, "headers": headers}
        await send(message)

    return sending
