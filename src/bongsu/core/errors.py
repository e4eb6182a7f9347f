"""The errors that Bongsu raises deliberately. The docstring of an error is its default message.

These errors know nothing of HTTP; ``bongsu.server.errors`` maps each type to a status.
"""


class BongsuError(Exception):
    """Something went wrong in Bongsu."""

    code = "error"

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        field: str | None = None,
        limit: float | None = None,
    ) -> None:
        # Agents run without docstrings (PYTHONOPTIMIZE=2), which would take a megabyte.
        self.message = message or (self.__doc__ or type(self).__name__).strip().splitlines()[0]
        if code is not None:
            self.code = code
        self.field = field
        self.limit = limit
        super().__init__(self.message)


class InvalidInput(BongsuError):
    """The input is not valid."""

    code = "invalid_input"


class TooLarge(InvalidInput):
    """The input is larger than the limit."""

    code = "too_large"


class UnsupportedEncoding(InvalidInput):
    """The content type or content encoding is not supported."""

    code = "unsupported_encoding"


class NotFound(BongsuError):
    """There is no such thing."""

    code = "not_found"


class UnknownLayouts(BongsuError):
    """The API server does not know a layout of the request: send the request again with its layouts."""

    code = "unknown_layout"

    def __init__(self, layout_ids: list[int], *, field: str) -> None:
        names = ", ".join(str(layout_id) for layout_id in layout_ids)
        super().__init__(f"Unknown layout {names}: send the request again with this layout.", field=field)
        self.layout_ids = layout_ids


class Conflict(BongsuError):
    """The request conflicts with what is stored."""

    code = "conflict"


class Unavailable(BongsuError):
    """Not possible now; try again later."""

    code = "unavailable"

    def __init__(self, message: str | None = None, *, code: str | None = None, retry_after_seconds: int = 5) -> None:
        super().__init__(message, code=code)
        self.retry_after_seconds = retry_after_seconds


class Damaged(BongsuError):
    """A part of the database is damaged: bongsu db check lists what."""

    code = "database_damaged"
    # Somebody may restore a backup; agents ask again and keep their frames until then.
    retry_after_seconds = 60


class Unauthenticated(BongsuError):
    """Log in first, or send a valid token."""

    code = "unauthenticated"


class Forbidden(BongsuError):
    """This account or token may not do that."""

    code = "forbidden"


class TooMany(BongsuError):
    """Too many requests; try again later."""

    code = "too_many_requests"

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        retry_after_seconds: int = 1,
        limit: float | None = None,
    ) -> None:
        super().__init__(message, code=code, limit=limit)
        self.retry_after_seconds = retry_after_seconds


class ConfigError(BongsuError):
    """The configuration is not valid."""

    code = "invalid_config"
