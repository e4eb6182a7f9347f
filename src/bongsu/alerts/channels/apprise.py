"""All services that Apprise supports: Telegram, Teams, ntfy, PagerDuty, Opsgenie and a hundred more, by one URL.

https://github.com/caronc/apprise/wiki. Apprise returns only whether a message was sent. What the service answered is in
Apprise's log; only the status is kept, because the rest may contain the URL with its token.
"""

import asyncio
import contextlib
import logging
import re
import threading
from typing import TYPE_CHECKING

from pydantic import Field, SecretStr

from bongsu.alerts.alert import Event
from bongsu.alerts.channels.base import SEND_TIMEOUT_SECONDS, Channel, ChannelConfig, ChannelError
from bongsu.alerts.message import Message
from bongsu.alerts.notes import Code, note

if TYPE_CHECKING:
    import apprise

# Services that act on Bongsu's own machine are not allowed.
LOCAL = frozenset({"dbus", "qt", "kde", "glib", "gnome", "macosx", "windows", "syslog", "exec", "file"})


class AppriseConfig(ChannelConfig):
    """The URL of the service."""

    url: SecretStr = Field(description="For example tgram://token/chat, msteams://..., ntfy://topic, pagerduty://...")


class _Statuses(logging.Handler):
    """Collects the statuses that Apprise logs in this thread."""

    def __init__(self) -> None:
        super().__init__()
        self.statuses: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        match = record.thread == self._thread and re.search(r"error=(\d{3})\b", record.getMessage())
        if match:
            self.statuses.append(match[1])


class AppriseChannel(Channel):
    """Sends through Apprise, in a thread because Apprise blocks."""

    type = "apprise"
    Config = AppriseConfig
    pause_seconds = 1.0

    async def send(self, message: Message) -> str:
        try:
            # More than Apprise's own timeouts (4 s each).
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                service = await asyncio.to_thread(self._service)
                for host in filter(None, (getattr(service, name, None) for name in ("host", "smtp_host"))):
                    # Many services have a token in its place, which is no host.
                    with contextlib.suppress(OSError, UnicodeError):
                        await self._addresses.resolve(str(host).strip("[]"), 443)
                return await asyncio.to_thread(self._notify, service, message)
        except TimeoutError:
            why = note(Code.NO_ANSWER, service="Apprise", limit_seconds=SEND_TIMEOUT_SECONDS)
            raise ChannelError(why, retryable=True) from None

    def _service(self) -> "apprise.NotifyBase":
        # Imported late: it loads its hundred services.
        import apprise

        url = self._config.url.get_secret_value()
        service = apprise.Apprise.instantiate(url) if url.partition(":")[0].strip().lower() not in LOCAL else None
        if service is None:
            raise ChannelError(note(Code.URL_UNKNOWN), retryable=False)
        # They could lead to an address that is refused; httpx does not follow them either.
        service.redirects = False
        return service

    def _notify(self, service: "apprise.NotifyBase", message: Message) -> str:
        import apprise

        kinds = {"info": apprise.NotifyType.INFO, "warning": apprise.NotifyType.WARNING}
        kind = kinds.get(message.severity.value, apprise.NotifyType.FAILURE)
        if message.event is Event.RESOLVED:
            kind = apprise.NotifyType.SUCCESS
        handler = _Statuses()
        logger = logging.getLogger("apprise")
        logger.addHandler(handler)
        # Apprise logs URLs, which contain tokens: from here on its lines go to no other log.
        logger.propagate = False
        try:
            body = message.plain.partition("\n")[2].lstrip("\n")
            sent = service.notify(title=message.title, body=body, notify_type=kind)
        finally:
            logger.removeHandler(handler)
        name = str(service.service_name)
        if not sent:
            status = int(handler.statuses[-1]) if handler.statuses else 0
            if status:
                why = note(Code.STATUS, service=name, status=status)
            else:
                why = note(Code.UNREACHABLE_OR_REFUSED, service=name)
            raise ChannelError(why, retryable=not 400 <= status < 500 or status == 429)
        return f"{name} accepted it"
