"""Everything that Apprise speaks: Telegram, Teams, ntfy, PagerDuty, Opsgenie and a hundred more, by one URL.

https://github.com/caronc/apprise/wiki. Apprise tells only whether it worked; what its service said is in its log, from
which only a status is kept, as the rest may hold the address with its token.
"""

import asyncio
import logging
import re
import threading

from pydantic import Field, SecretStr

from bongsu.alerts.alert import Event
from bongsu.alerts.channels.base import SEND_TIMEOUT_SECONDS, Channel, ChannelConfig
from bongsu.alerts.errors import ChannelError
from bongsu.alerts.message import Message

# What runs on the machine of Bongsu itself is no channel.
LOCAL = frozenset({"dbus", "qt", "kde", "glib", "gnome", "macosx", "windows", "syslog", "exec", "file"})


class AppriseConfig(ChannelConfig):
    """The service."""

    url: SecretStr = Field(description="Such as tgram://token/chat, msteams://..., ntfy://topic, pagerduty://...")


class _Statuses(logging.Handler):
    """The statuses that Apprise logs in this thread."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        match = record.thread == self._thread and re.search(r"error=(\d{3})\b", record.getMessage())
        if match:
            self.found.append(match[1])


class AppriseChannel(Channel):
    """Sends through Apprise, in a thread of its own."""

    type = "apprise"
    Config = AppriseConfig
    pause_seconds = 1.0

    async def send(self, message: Message) -> str:
        try:
            # A margin over Apprise's own timeouts (4 s each).
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                return await asyncio.to_thread(self._send, message)
        except TimeoutError:
            raise ChannelError(f"No answer within {SEND_TIMEOUT_SECONDS:g} s.", retryable=True) from None

    def _send(self, message: Message) -> str:
        # Loads its hundred services; only where one is used.
        import apprise

        url = self._config.url.get_secret_value()
        service = apprise.Apprise.instantiate(url) if url.partition(":")[0].lower() not in LOCAL else None
        if service is None:
            raise ChannelError("Apprise does not know this kind of address, or it is incomplete.", retryable=False)
        kinds = {"info": apprise.NotifyType.INFO, "warning": apprise.NotifyType.WARNING}
        kind = kinds.get(message.severity.value, apprise.NotifyType.FAILURE)
        if message.event is Event.RESOLVED:
            kind = apprise.NotifyType.SUCCESS
        statuses = _Statuses()
        logger = logging.getLogger("apprise")
        logger.addHandler(statuses)
        # Its own lines hold addresses, and those hold tokens: they go nowhere else, from now on.
        logger.propagate = False
        try:
            body = message.plain.partition("\n")[2].lstrip("\n")
            sent = service.notify(title=message.title, body=body, notify_type=kind)
        finally:
            logger.removeHandler(statuses)
        name = str(service.service_name)
        if not sent:
            status = int(statuses.found[-1]) if statuses.found else 0
            said = f"{name} answered {status}" if status else f"{name} cannot be reached, or refused"
            raise ChannelError(f"{said}.", retryable=not 400 <= status < 500 or status == 429)
        return f"{name} took it"
