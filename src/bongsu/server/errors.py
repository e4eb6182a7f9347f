"""Maps Bongsu's errors to HTTP. Every error of the API has this format:

``{"error": {"code": "...", "message": "...", "field": "frames[3].values" | null, "limit": 1000 | null}}``
"""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from bongsu.core.errors import (
    BongsuError,
    Conflict,
    Damaged,
    Forbidden,
    InvalidInput,
    NotFound,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    UnknownLayouts,
    UnsupportedEncoding,
)
from bongsu.server.logs import request_id

logger = logging.getLogger(__name__)

_STATUS: tuple[tuple[type[BongsuError], int], ...] = (
    (TooLarge, 413),
    (UnsupportedEncoding, 415),
    (InvalidInput, 400),
    (NotFound, 404),
    (UnknownLayouts, 409),
    (Conflict, 409),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (TooMany, 429),
    (Unavailable, 503),
    (Damaged, 503),
)
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}


def status_of(error: BongsuError) -> int:
    """The HTTP status of an error; 500 for errors that should never reach a client."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def error_body(
    code: str, message: str, field: str | None = None, limit: float | None = None
) -> dict[str, dict[str, str | float | None]]:
    """The body of an error."""
    return {"error": {"code": code, "message": message, "field": field, "limit": limit}}


def retry_after(error: BongsuError) -> dict[str, str]:
    """Headers: when to try again, for errors that pass; how to authenticate, for requests without a valid token."""
    if isinstance(error, Unavailable | TooMany | Damaged):
        return {"Retry-After": str(error.retry_after_seconds)}
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthenticated) else {}


def response_of(error: BongsuError) -> JSONResponse:
    """The answer to a request that ends with this error."""
    body = error_body(error.code, error.message, error.field, error.limit)
    return JSONResponse(body, status_of(error), headers=retry_after(error))


def install(app: FastAPI) -> None:
    """Makes ``app`` answer every error in this format."""

    async def domain(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, BongsuError)
        return response_of(error)

    async def http(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code = _HTTP_CODES.get(error.status_code, "http_error")
        return JSONResponse(error_body(code, str(error.detail)), error.status_code, headers=dict(error.headers or {}))

    async def validation(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:]) or "body"
        limit = next(
            (value for value in first.get("ctx", {}).values() if isinstance(value, int | float)),
            None,
        )
        return JSONResponse(error_body("invalid_input", f"{field}: {first['msg']}.", field, limit), 422)

    async def bug(request: Request, error: Exception) -> JSONResponse:
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        message = f"This is a bug in the API server; its log has the details of request {request_id.get()}."
        return JSONResponse(error_body("internal_error", message), 500)

    app.add_exception_handler(BongsuError, domain)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(Exception, bug)
