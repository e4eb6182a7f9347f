"""Email: HTML and text, with a chart of the metric, over SMTP with STARTTLS, TLS or neither."""

import asyncio
import email.utils
import hashlib
import ssl
from email.message import EmailMessage
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, SecretStr, model_validator

from bongsu.alerts.alert import Event
from bongsu.alerts.channels.base import SEND_TIMEOUT_SECONDS, Channel, ChannelConfig, ChannelError
from bongsu.alerts.channels.text import clean, one_line
from bongsu.alerts.message import Message
from bongsu.alerts.notes import Code, Note, note

if TYPE_CHECKING:
    from jinja2 import Environment

# RFC 5321, 4.2.1: a 4yz reply is transient, a 5yz reply is permanent.
_PERMANENT = 500
CHART_ID = "chart@bongsu"
# Colour of the title's text, and of the bar behind it.
COLOURS = {
    "info": ("#ffffff", "#2563eb"),
    "warning": ("#1f1300", "#f59e0b"),
    "critical": ("#ffffff", "#dc2626"),
    "resolved": ("#ffffff", "#15803d"),
}


class EmailConfig(ChannelConfig):
    """The mail server, sender and recipients."""

    # Without a check of the certificate, somebody in between receives the password.
    destination = ("host", "port", "security", "verify")

    host: str = Field(min_length=1, max_length=255)
    port: int = Field(587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    verify: bool = Field(True, description="Check the certificate. false only for your own mail server.")
    username: str = Field("", max_length=255)
    password: SecretStr = SecretStr("")
    sender: str = Field(pattern=r"^[^\x00-\x1f]*[^\s@]+@[^\s@]+$", description="Bongsu <bongsu@example.com>")
    to: list[str] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        for address in self.to:
            if "@" not in email.utils.parseaddr(address)[1] or any(character < " " for character in address):
                raise ValueError(f"to: {address!r} is not an email address")
        if self.security == "none" and self.password.get_secret_value():
            raise ValueError("security: a password is not sent without TLS")
        return self


def _template(name: str) -> str:
    return (files("bongsu.alerts") / "templates" / name).read_text("utf-8")


@cache
def _environment() -> "Environment":
    # 2 MB, for those who get mails.
    from jinja2 import FunctionLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_html(message: Message, chart_id: str = "") -> str:
    """The HTML body. ``chart_id``: content id of the attached chart; empty: no chart.

    Templates are our own files. Names of hosts and labels are only ever values in them, escaped, never templates.
    """
    colour = "resolved" if message.event is Event.RESOLVED else message.severity.value
    return (
        _environment()
        .get_template("mail.html.j2")
        .render(message=message, t=message.text, ink=COLOURS[colour][0], ground=COLOURS[colour][1], chart_id=chart_id)
    )


def compose(message: Message, config: EmailConfig) -> EmailMessage:
    """multipart/alternative: text, and HTML with the chart in it."""
    mail = EmailMessage()
    mail["Subject"] = one_line(message.title)
    mail["From"] = config.sender
    mail["To"] = ", ".join(config.to)
    mail["Date"] = email.utils.formatdate(message.time_ms / 1000)
    domain = email.utils.parseaddr(config.sender)[1].partition("@")[2]
    # The same for each attempt, so that mail clients show a repeated mail once.
    mail["Message-ID"] = f"<{message.id}.{message.event.value}@{domain}>"
    # All mails about a series of a rule form one thread.
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
    """Sends one mail to all addresses; a retry leaves out those that have it."""

    type = "email"
    wants_chart = True
    Config = EmailConfig

    async def send(self, message: Message) -> str:
        import aiosmtplib

        config: EmailConfig = self._config
        mail = compose(message, config)
        waiting = [address for address in map(_bare, config.to) if address not in message.delivered]
        if not waiting:
            return "Everybody has it already."
        context = ssl.create_default_context()
        if not config.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                connection = await self._addresses.connect(config.host, config.port)
            refused, answer = await aiosmtplib.send(
                mail,
                recipients=waiting,
                hostname=config.host,  # what TLS checks
                sock=connection,
                username=config.username or None,
                password=config.password.get_secret_value() or None,
                use_tls=config.security == "tls",
                # True requires it: a mail server that does not offer STARTTLS gets no mail.
                start_tls=config.security == "starttls",
                tls_context=context if config.security != "none" else None,
                timeout=SEND_TIMEOUT_SECONDS,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            worst = max((refusal.code for refusal in error.recipients), default=_PERMANENT)
            refusals = "; ".join(
                f"{refusal.recipient}: {refusal.code} {refusal.message}" for refusal in error.recipients
            )
            raise ChannelError(note(Code.MAIL_REFUSED, answer=clean(refusals)), retryable=worst < _PERMANENT) from None
        except aiosmtplib.SMTPResponseException as error:
            raise ChannelError(
                note(Code.MAIL_ANSWERED, answer=clean(f"{error.code} {error.message}")),
                retryable=error.code < _PERMANENT,
            ) from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise ChannelError(_reason(error), retryable=True) from None
        message.delivered += [address for address in waiting if address not in refused]
        text = clean(answer + "".join(f"; not {address}: {reply}" for address, reply in refused.items()))
        if any(reply.code < _PERMANENT for reply in refused.values()):
            # Retried for these only, for example because of greylisting.
            raise ChannelError(note(Code.ANSWERED, answer=text), retryable=True)
        return text


def _bare(address: str) -> str:
    return email.utils.parseaddr(address)[1]


def _reason(error: Exception) -> Note:
    cause = error.__cause__ or error
    if isinstance(cause, ssl.SSLError) or isinstance(error, ssl.SSLError):
        return note(Code.MAIL_TLS_FAILED)
    if isinstance(error, TimeoutError):
        return note(Code.MAIL_NO_ANSWER)
    return note(Code.MAIL_UNREACHABLE, problem=clean(f"{type(error).__name__} {error}"))
