"""SMS through Twilio's API, which other services offer as well (``api_url``).

``POST /2010-04-01/Accounts/{sid}/Messages.json``, a form with basic authentication. The answer is a 201 with the
message's ``sid``, or an error with a ``code``. https://www.twilio.com/docs/messaging/api/message-resource
"""

import asyncio
import re
import unicodedata

from pydantic import Field, SecretStr

from bongsu.alerts.channels.base import Channel, ChannelConfig, ChannelError
from bongsu.alerts.channels.http import json_field, post
from bongsu.alerts.channels.text import clean
from bongsu.alerts.message import Message
from bongsu.alerts.notes import Code, note

# https://www.twilio.com/docs/glossary/what-is-sms-character-limit: an SMS of one part has 160 characters of
# GSM-7 or 70 of UCS-2; each part of a longer one has 153 or 67.
GSM_SINGLE, GSM_PART, UCS_SINGLE, UCS_PART = 160, 153, 70, 67
# One message a second for each long number: https://help.twilio.com/articles/115002943027
PAUSE_SECONDS = 1.0

# GSM 03.38, the alphabet of seven bits. Characters of GSM_TWO take two places.
GSM = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_TWO = set("^{}\\[~]|€")

# What is shown of an answer.
SID = re.compile(r"[A-Z]{2}[0-9a-f]{1,32}")
STATUSES = ("accepted", "scheduled", "queued", "sending", "sent")


class SmsConfig(ChannelConfig):
    """The account, and the numbers that receive messages."""

    destination = ("api_url",)

    account_sid: str = Field(pattern=r"^[A-Za-z0-9]{2,64}$")
    auth_token: SecretStr
    sender: str = Field(
        pattern=r"^(\+\d{6,15}|[A-Za-z0-9 ]{1,11}|MG[0-9a-f]{32})$",
        description="A number, a name of up to 11 letters, or a messaging service (MG...).",
    )
    to: list[str] = Field(min_length=1, max_length=10, description="Phone numbers, for example +821012345678.")
    parts: int = Field(
        2, ge=1, le=6, description="The largest number of parts of one SMS; the service charges for each."
    )
    api_url: str = Field("https://api.twilio.com", pattern=r"^https?://\S+$")


def size(text: str) -> tuple[int, bool]:
    """The number of places that a text takes, and whether it fits the seven-bit alphabet."""
    if all(character in GSM or character in GSM_TWO for character in text):
        return sum(2 if character in GSM_TWO else 1 for character in text), True
    return len(text.encode("utf-16-le")) // 2, False


def parts_of(text: str) -> int:
    """The number of parts that a text is sent in."""
    places, gsm = size(text)
    single, part = (GSM_SINGLE, GSM_PART) if gsm else (UCS_SINGLE, UCS_PART)
    return 1 if places <= single else -(-places // part)


def seven_bit(text: str) -> str:
    """The text without the accents that the seven-bit alphabet lacks, if the rest of it fits: with them, less than half
    as much Spanish, French or Portuguese would fit into a part."""
    plain = "".join(
        character if character in GSM or character in GSM_TWO else _without_accents(character) for character in text
    )
    return plain if size(plain)[1] else text


def _without_accents(character: str) -> str:
    return "".join(part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part))


def shorten(text: str, link: str, parts: int) -> str:
    """The text, cut so that it and its link fit into ``parts``. One Hangul syllable makes the whole SMS UCS-2."""
    whole = f"{text} {link}".strip()
    if parts_of(whole) <= parts:
        return whole
    for length in range(len(text), 0, -1):
        # Three dots: the one-character ellipsis is not in the seven-bit alphabet.
        shortened = f"{text[:length].rstrip()}... {link}".strip()
        if parts_of(shortened) <= parts:
            return shortened
    return text[:UCS_SINGLE]


def receipt(text: str) -> str:
    """The id and the status of the message."""
    sid, status = json_field(text, "sid"), json_field(text, "status")
    shown = [sid] if isinstance(sid, str) and SID.fullmatch(sid) else []
    return " ".join([*shown, status] if status in STATUSES else shown)


def error_code(text: str) -> str:
    """Twilio's code, such as 21211, an invalid number."""
    code = json_field(text, "code")
    return f"error {code}, https://www.twilio.com/docs/api/errors/{code}" if isinstance(code, int) else ""


class SmsChannel(Channel):
    """Sends one SMS to each number; a retry leaves out the numbers that have it."""

    type = "sms"
    Config = SmsConfig
    pause_seconds = PAUSE_SECONDS

    async def send(self, message: Message) -> str:
        config = self._config
        body = shorten(
            seven_bit(f"{message.title} {message.summary}"), message.acknowledge_url or message.url, config.parts
        )
        url = f"{config.api_url.rstrip('/')}/2010-04-01/Accounts/{config.account_sid}/Messages.json"
        key = "MessagingServiceSid" if config.sender.startswith("MG") and len(config.sender) == 34 else "From"
        answers: list[str] = []
        failures: list[ChannelError] = []
        waiting = [phone_number for phone_number in config.to if phone_number not in message.delivered]
        for index, phone_number in enumerate(waiting):
            if index:
                await asyncio.sleep(self.pause_seconds)
            form = {"To": phone_number, key: config.sender, "Body": body}
            auth = (config.account_sid, config.auth_token.get_secret_value())
            try:
                answer = await post(self._http, url, vendor="sms", explain=error_code, data=form, auth=auth)
            except ChannelError as error:
                failures.append(error)
                answers.append(f"{phone_number}: {error.message}")
                if error.retry_after is not None:
                    break  # The others would be refused as well.
            else:
                message.delivered.append(phone_number)
                answers.append(f"{phone_number}: {answer.status} {receipt(answer.text)}".rstrip())
        text = clean("; ".join(answers))
        retryable = next((error for error in failures if error.retryable), None)
        # Retried for the numbers that may still get it; a number that never will is only mentioned.
        if retryable is not None:
            raise ChannelError(note(Code.ANSWERED, answer=text), retryable=True, retry_after=retryable.retry_after)
        if failures and not message.delivered:
            raise ChannelError(note(Code.ANSWERED, answer=text), retryable=False)
        return text
