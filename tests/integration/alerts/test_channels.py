"""Channels over HTTP, against servers on loopback that answer as the vendors document."""

import base64
import urllib.parse
from datetime import timedelta
from typing import Any

import httpx
import pytest

from bongsu.alerts.alert import Event
from bongsu.alerts.channels import CHANNELS, Channel, ChannelError
from bongsu.alerts.channels import discord as discord_module
from bongsu.alerts.channels import slack as slack_module
from bongsu.alerts.channels.addresses import Addresses
from bongsu.alerts.channels.sms import parts_of
from tests.support.endpoints import endpoint
from tests.support.messages import EVIL, a_message


def a_channel(kind: str, http: httpx.AsyncClient, **config: Any) -> Channel:
    channel = CHANNELS[kind]
    return channel(channel.Config.model_validate(config), http, Addresses())


async def test_slack_blocks(http: httpx.AsyncClient) -> None:
    # https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks: 200 and "ok"
    with endpoint() as slack:
        answer = await a_channel("slack", http, webhook_url=f"{slack.url}/services/T/B/x").send(a_message())
        assert answer == "200 ok"
        (request,) = slack.received
        body = request.json
        assert (request.path, request.headers["content-type"]) == ("/services/T/B/x", "application/json")
        assert body["text"] == "[ALERT] CPU: web-1"
        assert [block["type"] for block in body["blocks"]] == [
            "header",
            "section",
            "section",
            "section",
            "section",
            "section",
            "actions",
        ]
        assert "web-1 [exited (137), OOM x2]" in body["blocks"][3]["text"]["text"]
        assert (
            body["blocks"][1]["text"]["text"]
            == ":rotating_light: The latest value is 97.0 %, above the threshold of 90.0 %."
        )
        assert [button["url"] for button in body["blocks"][-1]["elements"]] == [
            "https://monitor.example/servers/1",
            "https://monitor.example/api/alerts/acknowledge?token=t",
        ]


async def test_slack_messages_keep_within_limits_and_names_mention_nobody(http: httpx.AsyncClient) -> None:
    with endpoint() as slack:
        channel = a_channel("slack", http, webhook_url=slack.url)
        await channel.send(a_message(EVIL * 60, count=30))
        blocks = slack.received[0].json["blocks"]
        assert len(blocks[0]["text"]["text"]) <= slack_module.HEADER_CHARACTERS
        texts = [block["text"]["text"] for block in blocks if block["type"] == "section" and "text" in block]
        texts += [field["text"] for block in blocks for field in block.get("fields", [])]
        assert all(len(text) <= slack_module.SECTION_CHARACTERS for text in texts)
        assert "<!channel>" not in "".join(texts)
        assert "&lt;!channel&gt;" in "".join(texts)


async def test_discord_embeds_keep_within_limits(http: httpx.AsyncClient) -> None:
    # https://docs.discord.com/developers/resources/webhook#execute-webhook: with wait=true, 200 and the message
    with endpoint() as discord:
        discord.usual = (200, {"Content-Type": "application/json"}, '{"id": "1234", "type": 0}')
        channel = a_channel("discord", http, webhook_url=f"{discord.url}/api/webhooks/1/x")
        assert await channel.send(a_message(event=Event.RESOLVED)) == "200, message 1234"
        (request,) = discord.received
        assert request.path == "/api/webhooks/1/x?wait=true"
        (embed,) = request.json["embeds"]
        assert embed["title"] == "[RESOLVED] CPU: web-1"
        assert embed["color"] == discord_module.RESOLVED_COLOUR
        assert embed["timestamp"] == "2026-07-30T16:52:04+00:00"
        await channel.send(a_message(EVIL * 80, count=40))
        body = discord.received[1].json
        (embed,) = body["embeds"]
        sizes = [
            len(embed["title"]),
            len(embed["description"]),
            *(len(f["name"]) + len(f["value"]) for f in embed["fields"]),
        ]
        assert len(embed["title"]) <= 256
        assert len(embed["description"]) <= 4096
        assert sum(sizes) <= discord_module.ALL_CHARACTERS
        assert all(len(f["name"]) <= 256 and len(f["value"]) <= 1024 for f in embed["fields"])
        assert body["allowed_mentions"] == {"parse": []}
        assert "[x](http://evil)" not in embed["description"]


SMS = {"account_sid": "AC0123", "auth_token": "t0ken", "sender": "+15005550006", "to": ["+821012345678"]}


async def test_sms_through_twilio(http: httpx.AsyncClient) -> None:
    # https://www.twilio.com/docs/messaging/api/message-resource: a form, basic authentication, 201 and the sid
    with endpoint() as twilio:
        twilio.usual = (
            201,
            {"Content-Type": "application/json"},
            '{"sid": "SM99", "status": "queued", "error_code": null}',
        )
        answer = await a_channel("sms", http, api_url=twilio.url, **SMS).send(a_message(language="ko"))
        assert answer == "+821012345678: 201 SM99 queued"
        (request,) = twilio.received
        assert request.path == "/2010-04-01/Accounts/AC0123/Messages.json"
        assert base64.b64decode(request.headers["authorization"].removeprefix("Basic ")) == b"AC0123:t0ken"
        form = urllib.parse.parse_qs(request.body.decode())
        assert (form["To"], form["From"]) == (["+821012345678"], ["+15005550006"])
        assert form["Body"][0].startswith("[경보] CPU: web-1")
        assert form["Body"][0].endswith("https://monitor.example/api/alerts/acknowledge?token=t")
        assert parts_of(form["Body"][0]) <= 2


async def test_an_sms_fails_only_if_all_numbers_refuse_it(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CHANNELS["sms"], "pause_seconds", 0)
    invalid = (400, {}, '{"code": 21211, "message": "The \'To\' number is not a valid phone number."}')
    with endpoint() as twilio:
        channel = a_channel("sms", http, api_url=twilio.url, **SMS | {"to": ["+82100", "+821012345678"]})
        twilio.answers = [invalid]
        twilio.usual = (201, {}, '{"sid": "SM1"}')
        answer = await channel.send(a_message())
        assert "21211" in answer
        assert answer.endswith("+821012345678: 201 SM1")
        twilio.answers = [invalid, invalid]
        with pytest.raises(ChannelError, match="21211") as error:
            await channel.send(a_message())
        assert not error.value.retryable


CONFIGS = {
    "slack": lambda url: {"webhook_url": url},
    "discord": lambda url: {"webhook_url": url},
    "sms": lambda url: {"api_url": url, **SMS},
    "webhook": lambda url: {"url": url},
}


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize(
    ("answer", "retryable", "after"),
    [
        pytest.param((429, {"Retry-After": "30"}, "rate_limited"), True, 30, id="429 with seconds, as Slack and Twilio send"),
        pytest.param((429, {"Retry-After": "0.65"}, '{"message": "You are being rate limited.", "retry_after": 0.65, "global": false}'), True, 0.65, id="429 with a fraction, as Discord sends"),
        pytest.param((429, {}, "20429 Too Many Requests"), True, None, id="429 without a time"),
        pytest.param((500, {}, "internal"), True, None, id="500"),
        pytest.param((503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, "later"), True, 0, id="503 with a date that has passed"),
        pytest.param((400, {}, "invalid_payload"), False, None, id="400"),
        pytest.param((404, {}, '{"message": "Unknown Webhook", "code": 10015}'), False, None, id="404: the webhook was deleted"),
        pytest.param((410, {}, "channel_is_archived"), False, None, id="410"),
        pytest.param((302, {"Location": "http://169.254.169.254/"}, ""), False, None, id="a redirect is not followed"),
    ],
)  # fmt: skip
async def test_which_answers_are_retryable(
    http: httpx.AsyncClient, kind: str, answer: Any, retryable: bool, after: float | None
) -> None:
    with endpoint() as service:
        service.usual = answer
        with pytest.raises(ChannelError, match=str(answer[0])) as error:
            await a_channel(kind, http, **CONFIGS[kind](service.url)).send(a_message())
        assert error.value.retryable is retryable
        assert error.value.retry_after == (None if after is None else timedelta(seconds=after))
        assert len(service.received) == 1


@pytest.mark.parametrize("kind", CONFIGS)
async def test_an_unreachable_service_is_retried(http: httpx.AsyncClient, kind: str) -> None:
    with endpoint() as service:
        closed_url = service.url
    with pytest.raises(ChannelError, match="cannot be reached") as error:
        await a_channel(kind, http, **CONFIGS[kind](closed_url)).send(a_message())
    assert error.value.retryable
    assert closed_url not in error.value.message


async def test_apprise(http: httpx.AsyncClient) -> None:
    with endpoint() as service:
        address = service.url.removeprefix("http://")
        channel = a_channel("apprise", http, url=f"json://{address}/t0ken")
        assert await channel.send(a_message()) == "JSON accepted it"
        body = service.received[0].json
        assert (body["title"], body["type"]) == ("[ALERT] CPU: web-1", "failure")
        assert "97.0 %" in body["message"]
        for status, retryable in ((500, True), (404, False)):
            service.usual = (status, {}, "no")
            with pytest.raises(ChannelError, match=str(status)) as error:
                await channel.send(a_message())
            assert error.value.retryable is retryable
            assert "t0ken" not in error.value.message
    for url in ("nothing://x", "syslog://", " syslog://", "\tSYSLOG://", "slack://"):
        with pytest.raises(ChannelError, match="does not know") as error:
            await a_channel("apprise", http, url=url).send(a_message())
        assert not error.value.retryable
