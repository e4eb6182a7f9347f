"""SMS by Twilio's API, which others speak as well (``api_url``).

``POST /2010-04-01/Accounts/{sid}/Messages.json``, a form with basic authentication; 201 and the message's ``sid``, or
an error with a ``code``. https://www.twilio.com/docs/messaging/api/message-resource
"""

import asyncio
import json

from pydantic import Field, SecretStr

from bongsu.alerts.channels.base import Channel, ChannelConfig
from bongsu.alerts.channels.http import clean, post
from bongsu.alerts.errors import ChannelError
from bongsu.alerts.message import Message

# https://www.twilio.com/docs/glossary/what-is-sms-character-limit: 160 characters of GSM-7 or 70 of UCS-2 in one; 153
# and 67 in each part of several.
GSM_SINGLE, GSM_PART, UCS_SINGLE, UCS_PART = 160, 153, 70, 67
# One message a second for each long number: https://help.twilio.com/articles/115002943027
PAUSE_SECONDS = 1.0

# GSM 03.38, the alphabet that fits into seven bits; those of the second row take two places.
GSM = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_TWO = set("^{}\\[~]|€")


class SmsConfig(ChannelConfig):
    """The account, and who is told."""

    account_sid: str = Field(pattern=r"^[A-Za-z0-9]{2,64}$")
    auth_token: SecretStr
    sender: str = Field(pattern=r"^(\+\d{6,15}|[A-Za-z0-9 ]{1,11}|MG[0-9a-f]{32})$", description="A number or name.")
    to: list[str] = Field(min_length=1, max_length=10, description="Numbers such as +821012345678.")
    parts: int = Field(2, ge=1, le=6, description="Parts of one SMS at most; each is paid for.")
    api_url: str = Field("https://api.twilio.com", pattern=r"^https?://\S+$")


def size(text: str) -> tuple[int, bool]:
    """Places that a text takes, and whether it fits the seven-bit alphabet."""
    if all(mark in GSM or mark in GSM_TWO for mark in text):
        return sum(2 if mark in GSM_TWO else 1 for mark in text), True
    return len(text.encode("utf-16-le")) // 2, False


def parts_of(text: str) -> int:
    """How many parts are sent and paid for."""
    places, gsm = size(text)
    single, part = (GSM_SINGLE, GSM_PART) if gsm else (UCS_SINGLE, UCS_PART)
    return 1 if places <= single else -(-places // part)


def fit(text: str, link: str, parts: int) -> str:
    """The text, cut so that it fits with its link into so many parts. One Hangul syllable makes all of it UCS-2."""
    whole = f"{text} {link}".strip()
    if parts_of(whole) <= parts:
        return whole
    for length in range(len(text), 0, -1):
        # Three dots, not one character: that one would not fit the seven-bit alphabet.
        tried = f"{text[:length].rstrip()}... {link}".strip()
        if parts_of(tried) <= parts:
            return tried
    return text[:UCS_SINGLE]


class SmsChannel(Channel):
    """One SMS for each number."""

    type = "sms"
    Config = SmsConfig
    pause_seconds = PAUSE_SECONDS

    async def send(self, message: Message) -> str:
        config = self._config
        body = fit(f"{message.title} {message.summary}", message.acknowledge_url or message.url, config.parts)
        url = f"{config.api_url.rstrip('/')}/2010-04-01/Accounts/{config.account_sid}/Messages.json"
        key = "MessagingServiceSid" if config.sender.startswith("MG") and len(config.sender) == 34 else "From"
        answers, failures = [], []
        for index, number in enumerate(config.to):
            if index:
                await asyncio.sleep(self.pause_seconds)
            form = {"To": number, key: config.sender, "Body": body}
            auth = (config.account_sid, config.auth_token.get_secret_value())
            try:
                response = await post(self._http, url, vendor="The SMS service", data=form, auth=auth)
                answers.append(f"{number}: {response.status_code} {_sid(response.text)}")
            except ChannelError as error:
                # The others are still to be told; only when nobody was is it tried again, or some would be told twice.
                failures.append(error)
                answers.append(f"{number}: {error.message}")
        if len(failures) == len(config.to):
            first = next((one for one in failures if one.retryable), failures[0])
            raise ChannelError(clean("; ".join(answers)), retryable=first.retryable, retry_after=first.retry_after)
        return clean("; ".join(answers))


def _sid(text: str) -> str:
    try:
        answer = json.loads(text)
        return f"{answer['sid']} {answer.get('status', '')}".strip()
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
