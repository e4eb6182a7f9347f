"""What can go wrong on the way of a notification."""

from datetime import timedelta

from bongsu.core.errors import BongsuError


class ChannelError(BongsuError):
    """The channel did not take the notification. The message holds no secret: it is stored and shown."""

    code = "channel_error"

    def __init__(self, message: str, *, retryable: bool, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after
