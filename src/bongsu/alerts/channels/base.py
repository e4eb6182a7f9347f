"""The base of all channels: settings, limits, ``send``, and the error that ``send`` raises."""

from abc import ABC, abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, SecretStr

from bongsu.alerts.message import Message
from bongsu.alerts.notes import Note
from bongsu.core.errors import BongsuError

if TYPE_CHECKING:
    import httpx

    from bongsu.alerts.channels.addresses import Addresses

SEND_TIMEOUT_SECONDS = 15.0


class ChannelError(BongsuError):
    """The channel did not accept the message. The note is stored and shown, so it must not contain secrets."""

    code = "channel_error"

    def __init__(self, note: Note, *, retryable: bool, retry_after: timedelta | None = None) -> None:
        super().__init__(note.text)
        self.note = note
        self.retryable = retryable
        self.retry_after = retry_after


class ChannelConfig(BaseModel):
    """Settings of a channel. ``SecretStr`` fields are stored encrypted and never shown.

    ``destination``: the fields that decide who receives the secrets.
    """

    destination: ClassVar[tuple[str, ...]] = ()

    model_config = ConfigDict(extra="forbid", frozen=True)

    def secrets(self) -> dict[str, str]:
        """The secret fields that are set."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: value.get_secret_value()
            for name, value in values.items()
            if isinstance(value, SecretStr) and value.get_secret_value()
        }

    def shown(self) -> dict[str, Any]:
        """The fields that are not secret, as JSON."""
        secret = {name for name in type(self).model_fields if isinstance(getattr(self, name), SecretStr)}
        return self.model_dump(mode="json", exclude=secret)


class Channel(ABC):
    """A way to notify people.

    ``pause_seconds``: the shortest time between two messages. ``wants_chart``: its messages contain a chart of the
    metric, which takes some 200 ms to draw.
    """

    Config: ClassVar[type[ChannelConfig]]
    type: ClassVar[str]
    pause_seconds: ClassVar[float] = 0.0
    wants_chart: ClassVar[bool] = False

    def __init__(self, config: Any, http: "httpx.AsyncClient", addresses: "Addresses") -> None:
        self._config = config
        self._http = http
        self._addresses = addresses

    @abstractmethod
    async def send(self, message: Message) -> str:
        """Sends the message to all but ``message.delivered``. Returns what the service answered, in a few words.

        Raises:
            ChannelError: the service did not accept the message.
        """
