"""Slack: an incoming webhook with blocks.

Slack answers ``ok``, or a 4xx with one of the words in ANSWERS.
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from pydantic import Field, SecretStr

from bongsu.alerts.alert import Event
from bongsu.alerts.channels.base import Channel, ChannelConfig
from bongsu.alerts.channels.http import post
from bongsu.alerts.channels.text import cut
from bongsu.alerts.message import Message

# https://docs.slack.dev/apis/web-api/rate-limits: one message a second for each webhook, short bursts allowed.
PAUSE_SECONDS = 1.0
# https://docs.slack.dev/reference/block-kit/blocks
HEADER_CHARACTERS = 150
SECTION_CHARACTERS = 3_000
FIELDS = 10
FIELD_CHARACTERS = 2_000

ANSWERS = frozenset(
    {
        "ok",
        "action_prohibited",
        "channel_is_archived",
        "channel_not_found",
        "invalid_blocks",
        "invalid_payload",
        "invalid_token",
        "no_active_hooks",
        "no_service",
        "no_service_id",
        "no_team",
        "no_text",
        "posting_to_general_channel_denied",
        "rate_limited",
        "team_disabled",
        "too_many_attachments",
        "user_not_found",
    }
)

MARKS = {"info": ":information_source:", "warning": ":warning:", "critical": ":rotating_light:"}


class SlackConfig(ChannelConfig):
    """The webhook."""

    webhook_url: SecretStr = Field(description="https://hooks.slack.com/services/...")


def escape(text: str) -> str:
    """Escapes Slack's three control characters, so that no name becomes a link or a mention (``<!channel>``)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def payload(message: Message) -> dict[str, object]:
    """The body of the POST."""
    mark = ":white_check_mark:" if message.event is Event.RESOLVED else MARKS[message.severity.value]
    blocks: list[dict[str, object]] = [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": cut(message.title, HEADER_CHARACTERS), "emoji": False},
        },
        _section(f"{mark} {escape(message.summary)}" + (f"\n_{message.text('repeated')}_" if message.repeated else "")),
        {
            "type": "section",
            "fields": [
                {"type": "mrkdwn", "text": cut(f"*{label}*\n{escape(value)}", FIELD_CHARACTERS)}
                for label, value in message.facts[:FIELDS]
            ],
        },
    ]
    for title, culprits in message.culprits:
        rows = [f"{escape(name)}  CPU {cpu}  {memory}" for name, cpu, memory in culprits]
        blocks.append(_section(f"*{title}*\n" + "\n".join(rows)))
    if message.others:
        blocks.append(_section(f"*{message.text('others')}*\n" + "\n".join(map(escape, message.others))))
    if message.description:
        blocks.append(_section(escape(message.description)))
    buttons = [
        {"type": "button", "text": {"type": "plain_text", "text": message.text(name)}, "url": url, "action_id": name}
        for name, url in message.links
    ]
    if buttons:
        blocks.append({"type": "actions", "elements": buttons})
    return {"text": cut(escape(message.title), SECTION_CHARACTERS), "blocks": blocks}


def _section(text: str) -> dict[str, object]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": cut(text, SECTION_CHARACTERS)}}


def word(text: str) -> str:
    """The answer, if it is one of Slack's."""
    return text.strip() if text.strip() in ANSWERS else ""


class SlackChannel(Channel):
    """Posts to an incoming webhook."""

    type = "slack"
    Config = SlackConfig
    pause_seconds = PAUSE_SECONDS

    async def send(self, message: Message) -> str:
        url = self._config.webhook_url.get_secret_value()
        answer = await post(self._http, url, vendor="slack", explain=word, json=payload(message))
        return f"{answer.status} {word(answer.text)}".strip()
