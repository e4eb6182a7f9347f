"""Email: HTML and text, with a chart of the metric, over SMTP with STARTTLS, TLS or neither."""

import email.utils
import hashlib
import ssl
from email.message import EmailMessage
from typing import Literal, Self

import aiosmtplib
from pydantic import Field, SecretStr, model_validator

from bongsu.alerts.channels.base import SEND_TIMEOUT_SECONDS, Channel, ChannelConfig
from bongsu.alerts.channels.http import clean
from bongsu.alerts.errors import ChannelError
from bongsu.alerts.message import Message
from bongsu.alerts.render import render_html

# RFC 5321, 4.2.1: 4yz is a reply that passes, 5yz is one that stays.
_PERMANENT = 500
CHART_ID = "chart@bongsu"


class EmailConfig(ChannelConfig):
    """The mail server, and who is told."""

    host: str = Field(min_length=1, max_length=255)
    port: int = Field(587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    verify: bool = Field(True, description="Check the certificate. False only for a mail server of your own.")
    username: str = Field("", max_length=255)
    password: SecretStr = SecretStr("")
    sender: str = Field(pattern=r"^[^\x00-\x1f]*[^\s@]+@[^\s@]+$", description="Bongsu <bongsu@example.com>")
    to: list[str] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        for address in self.to:
            if "@" not in email.utils.parseaddr(address)[1] or any(mark < " " for mark in address):
                raise ValueError(f"to: {address!r} is no mail address")
        if self.security == "none" and self.password.get_secret_value():
            raise ValueError("security: a password is not sent without TLS")
        return self


def one_line(text: str) -> str:
    """A name with a line break must not make a header of its own."""
    return " ".join(text.split())


def compose(message: Message, config: EmailConfig) -> EmailMessage:
    """multipart/alternative: text, and HTML with the chart in it."""
    mail = EmailMessage()
    mail["Subject"] = one_line(message.title)
    mail["From"] = config.sender
    mail["To"] = ", ".join(config.to)
    mail["Date"] = email.utils.formatdate(message.time_ms / 1000)
    domain = email.utils.parseaddr(config.sender)[1].partition("@")[2]
    # The same for each attempt, so that mail clients show a repetition once.
    mail["Message-ID"] = f"<{message.id}.{message.event.value}@{domain}>"
    # One thread for an alert of a rule on a server, from its first mail to its end.
    thread = hashlib.sha256(repr(sorted(message.labels.items())).encode()).hexdigest()[:24]
    mail["References"] = f"<{thread}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    if message.severity.value == "critical":
        mail["Importance"] = "high"
    mail.set_content(message.plain)
    mail.add_alternative(render_html(message, CHART_ID if message.chart else ""), subtype="html")
    if message.chart:
        html = mail.get_payload()[1]  # type: ignore[index]
        assert isinstance(html, EmailMessage)
        html.add_related(message.chart, "image", "png", cid=f"<{CHART_ID}>", disposition="inline", filename="chart.png")
    return mail


class EmailChannel(Channel):
    """One mail to all addresses."""

    type = "email"
    wants_chart = True
    Config = EmailConfig

    async def send(self, message: Message) -> str:
        config: EmailConfig = self._config
        mail = compose(message, config)
        context = ssl.create_default_context()
        if not config.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            refused, answer = await aiosmtplib.send(
                mail,
                hostname=config.host,
                port=config.port,
                username=config.username or None,
                password=config.password.get_secret_value() or None,
                use_tls=config.security == "tls",
                # True insists: a server that offers none is refused, not trusted.
                start_tls=config.security == "starttls",
                tls_context=context if config.security != "none" else None,
                timeout=SEND_TIMEOUT_SECONDS,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            worst = max((one.code for one in error.recipients), default=_PERMANENT)
            said = "; ".join(f"{one.recipient}: {one.code} {one.message}" for one in error.recipients)
            raise ChannelError(clean(f"Nobody was accepted: {said}"), retryable=worst < _PERMANENT) from None
        except aiosmtplib.SMTPResponseException as error:
            raise ChannelError(
                clean(f"The mail server answered {error.code} {error.message}"), retryable=error.code < _PERMANENT
            ) from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise ChannelError(_reason(error), retryable=True) from None
        return clean(f"{answer}" + "".join(f"; not {who}: {why}" for who, why in refused.items()))


def _reason(error: Exception) -> str:
    cause = error.__cause__ or error
    if isinstance(cause, ssl.SSLError) or isinstance(error, ssl.SSLError):
        return "TLS with the mail server failed: its certificate is not trusted, or it speaks no TLS on this port."
    if isinstance(error, aiosmtplib.SMTPTimeoutError):
        return "The mail server did not answer in time."
    return clean(f"The mail server cannot be reached: {type(error).__name__} {error}")
