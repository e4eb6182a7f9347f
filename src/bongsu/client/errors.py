"""What goes wrong when an API server is asked."""

from typing import Any

import httpx


class ClientError(Exception):
    """An API server was asked in vain."""


class NotReachable(ClientError):
    """No answer came: wrong address, no network, no valid certificate, or too slow."""


class ApiError(ClientError):
    """The API server refused. ``code`` stays the same in other versions; ``message`` is for people.

    ``field`` and ``limit``: what is wrong, and the limit that it exceeds; ``retry_after``: seconds.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        field: str | None = None,
        limit: float | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.limit = limit
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.message} ({self.status} {self.code})"


def error_of(response: httpx.Response) -> ApiError:
    """The error that a response tells, in Bongsu's own format or that of the PromQL API."""
    try:
        body: Any = response.json()
    except ValueError:  # of a proxy
        body = None
    told = body.get("error") if isinstance(body, dict) else None
    after = response.headers.get("Retry-After", "")
    retry_after = float(after) if after.isdecimal() else None
    if isinstance(told, dict):
        return ApiError(
            response.status_code,
            str(told.get("code", "")),
            str(told.get("message", "")),
            told.get("field"),
            told.get("limit"),
            retry_after,
        )
    if isinstance(told, str):
        return ApiError(response.status_code, str(body.get("errorType", "")), told, retry_after=retry_after)
    return ApiError(response.status_code, "http_error", response.reason_phrase or "no reason", retry_after=retry_after)
