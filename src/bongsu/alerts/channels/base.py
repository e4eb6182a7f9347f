"""What a channel is: settings, limits, and ``send``."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr

from bongsu.alerts.message import Message

SEND_TIMEOUT_SECONDS = 15.0


class ChannelConfig(BaseModel):
    """Settings of a channel. ``SecretStr`` fields are stored encrypted and never shown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def hidden(self) -> dict[str, str]:
        """The secret fields that are set."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: value.get_secret_value()
            for name, value in found.items()
            if isinstance(value, SecretStr) and value.get_secret_value()
        }

    def shown(self) -> dict[str, Any]:
        """The others, as JSON."""
        secret = {name for name in type(self).model_fields if isinstance(getattr(self, name), SecretStr)}
        return self.model_dump(mode="json", exclude=secret)


class Channel(ABC):
    """One way to tell people.

    ``pause_seconds``: the least time between two messages. ``wants_chart``: its messages show a picture of the metric,
    which takes some 200 ms to draw.
    """

    Config: ClassVar[type[ChannelConfig]]
    type: ClassVar[str]
    pause_seconds: ClassVar[float] = 0.0
    wants_chart: ClassVar[bool] = False

    def __init__(self, config: Any, http: httpx.AsyncClient) -> None:
        self._config = config
        self._http = http

    @abstractmethod
    async def send(self, message: Message) -> str:
        """Sends it, and returns what the other side answered, in a few words.

        Raises:
            ChannelError: it was not taken.
        """
