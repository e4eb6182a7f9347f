"""Discord: a webhook with an embed.

With ``?wait=true`` Discord answers with the message it created. A 429 has ``retry_after`` in seconds, in the body and
in the header.
https://docs.discord.com/developers/resources/webhook#execute-webhook
"""

import datetime as dt

from pydantic import Field, SecretStr

from bongsu.alerts.alert import Event
from bongsu.alerts.channels.base import Channel, ChannelConfig
from bongsu.alerts.channels.http import json_field, post
from bongsu.alerts.channels.text import cut
from bongsu.alerts.message import Message

# https://docs.discord.com/developers/topics/rate-limits: each answer tells its limits; in practice 5 messages
# in 2 s for each webhook.
PAUSE_SECONDS = 0.5
# https://docs.discord.com/developers/resources/message#embed-object-embed-limits
TITLE_CHARACTERS = 256
DESCRIPTION_CHARACTERS = 2_000
FIELDS = 25
FIELD_NAME_CHARACTERS = 256
FIELD_VALUE_CHARACTERS = 1_024
ALL_CHARACTERS = 6_000

COLOURS = {"info": 0x2563EB, "warning": 0xD97706, "critical": 0xDC2626}
RESOLVED_COLOUR = 0x16A34A


class DiscordConfig(ChannelConfig):
    """The webhook, and the name it posts under."""

    webhook_url: SecretStr = Field(description="https://discord.com/api/webhooks/...")
    username: str = Field("Bongsu", max_length=80)


def escape(text: str) -> str:
    """Escapes Markdown, so that no name changes the formatting."""
    return "".join("\\" + character if character in "\\*_~`|>#[]()<-" else character for character in text)


def payload(message: Message, username: str) -> dict[str, object]:
    """The body of the POST. It never mentions anybody, whatever a name contains."""
    colour = RESOLVED_COLOUR if message.event is Event.RESOLVED else COLOURS[message.severity.value]
    lines = [escape(message.summary)]
    if message.repeated:
        lines.append(f"*{message.text('repeated')}*")
    links = " · ".join(f"[{message.text(name)}]({url})" for name, url in message.links)
    if message.description:
        lines.append(escape(message.description))
    description = cut("\n".join(lines), DESCRIPTION_CHARACTERS - len(links) - 1) + (f"\n{links}" if links else "")
    title = cut(message.title, TITLE_CHARACTERS)
    rows = [(label, escape(value), True) for label, value in message.facts]
    for label, culprits in message.culprits:
        text = "\n".join(f"{escape(name)}  CPU {cpu}  {memory}" for name, cpu, memory in culprits)
        rows.append((label, text, False))
    if message.others:
        rows.append((message.text("others"), "\n".join(map(escape, message.others)), False))
    fields: list[dict[str, object]] = []
    left = ALL_CHARACTERS - len(title) - len(description)
    for label, value, inline in rows[:FIELDS]:
        label, value = cut(label, FIELD_NAME_CHARACTERS), cut(value, FIELD_VALUE_CHARACTERS) or "-"
        left -= len(label) + len(value)
        if left < 0:
            break
        fields.append({"name": label, "value": value, "inline": inline})
    embed: dict[str, object] = {
        "title": title,
        "description": description,
        "color": colour,
        "fields": fields,
        "timestamp": dt.datetime.fromtimestamp(message.time_ms / 1000, dt.UTC).isoformat(),
    }
    if message.url:
        embed["url"] = message.url
    return {"username": username, "allowed_mentions": {"parse": []}, "embeds": [embed]}


def error_code(text: str) -> str:
    """Discord's code, such as 10015, an unknown webhook."""
    code = json_field(text, "code")
    return f"error {code}" if isinstance(code, int) else ""


class DiscordChannel(Channel):
    """Posts to a webhook."""

    type = "discord"
    Config = DiscordConfig
    pause_seconds = PAUSE_SECONDS

    async def send(self, message: Message) -> str:
        url = self._config.webhook_url.get_secret_value()
        body = payload(message, self._config.username)
        answer = await post(self._http, url, vendor="discord", explain=error_code, params={"wait": "true"}, json=body)
        message_id = str(json_field(answer.text, "id"))
        known = message_id.isascii() and message_id.isdigit()
        return f"{answer.status}, message {message_id}" if known else f"{answer.status}"
