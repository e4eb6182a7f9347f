"""Channels against real servers on loopback that behave as the vendors' documentation says; what arrived is read."""

import base64
import io
import re
import ssl
import urllib.parse
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from bongsu.alerts.alert import Alert, Event
from bongsu.alerts.channels import CHANNELS, Channel
from bongsu.alerts.channels import discord as discord_module
from bongsu.alerts.channels import slack as slack_module
from bongsu.alerts.channels.sms import fit, parts_of
from bongsu.alerts.errors import ChannelError
from bongsu.alerts.message import Explanation, Message, build, format_value
from bongsu.alerts.render import render_html
from bongsu.alerts.rulebook import parse_rule
from bongsu.alerts.rules import Severity
from bongsu.alerts.texts import TEXTS
from bongsu.core.samples import Process
from tests.support.endpoints import Endpoint, endpoint
from tests.support.repository import REPOSITORY
from tests.support.smtp import certificate, mail_server

NOW = 1_785_430_324_000
EVIL = "<b onload=x>{{7*7}}{% raw %}${7*7}\"'&<!channel>@everyone [x](http://evil)"
DOCS = REPOSITORY / "docs/alerts.md"


def a_png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stream, "PNG")
    return stream.getvalue()


def a_message(
    name: str = "web-1", *, language: Any = "en", event: Event = Event.FIRED, count: int = 1, **more: Any
) -> Message:
    rule = parse_rule(
        {
            "name": "CPU",
            "description": f"Look at {name}"[:1000],
            "condition": {"type": "threshold", "metric": "cpu_usage_ratio", "function": "last", "value": 0.9},
        }
    )
    alerts = [
        Alert(number, 1, "CPU", Severity.CRITICAL, 1, number, name, 'cpu_usage_ratio{core="' + name + '"}', "firing", "breach", NOW - 60_000, NOW, None, 0.97, 0.9)
        for number in range(1, count + 1)
    ]  # fmt: skip
    explanation = Explanation("ratio", 0.05, [Process(1, name, "root", 1.75, 300 << 20)], NOW, a_png())
    options: dict[str, Any] = {
        "number": 7,
        "event": event,
        "language": language,
        "zone": "Asia/Seoul",
        "now_ms": NOW,
        "public_url": "https://monitor.example",
        "acknowledge_url": "https://monitor.example/api/alerts/acknowledge?token=t",
    }
    return build(alerts, rule, explanation, **options | more)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


def a_channel(kind: str, http: httpx.AsyncClient, **config: Any) -> Channel:
    channel = CHANNELS[kind]
    return channel(channel.Config.model_validate(config), http)


def test_every_channel_has_its_section_in_the_documentation() -> None:
    section = DOCS.read_text().partition("\n## Channels\n")[2].partition("\n## ")[0]
    assert re.findall(r"^### (\w+)$", section, re.MULTILINE) == list(CHANNELS)
    for name, channel in CHANNELS.items():
        part = section.partition(f"### {name}\n")[2].partition("\n### ")[0]
        assert re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE) == list(channel.Config.model_fields)


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
            "actions",
        ]
        assert (
            body["blocks"][1]["text"]["text"]
            == ":rotating_light: The newest value is 97.0 %, over the threshold of 90.0 %."
        )
        assert [one["url"] for one in body["blocks"][-1]["elements"]] == [
            "https://monitor.example/alerts/1",
            "https://monitor.example/api/alerts/acknowledge?token=t",
        ]


async def test_slack_limits_and_names_that_want_to_be_more(http: httpx.AsyncClient) -> None:
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


async def test_discord_embeds(http: httpx.AsyncClient) -> None:
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


async def test_sms_as_twilio_takes_it(http: httpx.AsyncClient) -> None:
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


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("a" * 160, 1, id="160 of the seven-bit alphabet"),
        pytest.param("a" * 161, 2, id="161: two parts of 153"),
        pytest.param("a" * 306, 2, id="306"),
        pytest.param("a" * 307, 3, id="307"),
        pytest.param("가" * 70, 1, id="70 of UCS-2"),
        pytest.param("가" * 71, 2, id="71: two parts of 67"),
        pytest.param("a" * 134 + "가", 3, id="one Hangul syllable makes all of it UCS-2"),
        pytest.param("€" * 80, 1, id="the euro sign takes two of 160"),
        pytest.param("€" * 81, 2, id="162 places"),
        pytest.param("😀" * 35, 1, id="an emoji takes two of 70"),
    ],
)
def test_parts_of_an_sms(text: str, parts: int) -> None:
    assert parts_of(text) == parts


@pytest.mark.parametrize("text", ["a" * 1000, "가" * 1000, "short"])
@pytest.mark.parametrize("parts", [1, 2, 6])
def test_an_sms_keeps_its_link(text: str, parts: int) -> None:
    link = "https://m.example/a/1"
    fitted = fit(text, link, parts)
    assert parts_of(fitted) <= parts
    assert fitted.endswith(link)


async def test_sms_that_some_numbers_do_not_take(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
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


ADDRESSES = {
    "slack": lambda one: {"webhook_url": one.url},
    "discord": lambda one: {"webhook_url": one.url},
    "sms": lambda one: {"api_url": one.url, **SMS},
    "webhook": lambda one: {"url": one.url},
}


@pytest.mark.parametrize("kind", ADDRESSES)
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
async def test_what_an_answer_means(
    http: httpx.AsyncClient, kind: str, answer: Any, retryable: bool, after: float | None
) -> None:
    with endpoint() as one:
        one.usual = answer
        with pytest.raises(ChannelError, match=str(answer[0])) as error:
            await a_channel(kind, http, **ADDRESSES[kind](one)).send(a_message())
        assert error.value.retryable is retryable
        assert error.value.retry_after == (None if after is None else timedelta(seconds=after))
        assert len(one.received) == 1


@pytest.mark.parametrize("kind", ADDRESSES)
async def test_nobody_there(http: httpx.AsyncClient, kind: str) -> None:
    with endpoint() as one:
        gone = Endpoint(one.url)
    with pytest.raises(ChannelError, match="cannot be reached") as error:
        await a_channel(kind, http, **ADDRESSES[kind](gone)).send(a_message())
    assert error.value.retryable
    assert gone.url not in error.value.message


async def test_apprise_speaks_to_a_service(http: httpx.AsyncClient) -> None:
    with endpoint() as one:
        address = one.url.removeprefix("http://")
        channel = a_channel("apprise", http, url=f"json://{address}/t0ken")
        assert await channel.send(a_message()) == "JSON took it"
        body = one.received[0].json
        assert (body["title"], body["type"]) == ("[ALERT] CPU: web-1", "failure")
        assert "97.0 %" in body["message"]
        for status, retryable in ((500, True), (404, False)):
            one.usual = (status, {}, "no")
            with pytest.raises(ChannelError, match=str(status)) as error:
                await channel.send(a_message())
            assert error.value.retryable is retryable
            assert "t0ken" not in error.value.message
    for url in ("nothing://x", "syslog://", "slack://"):
        with pytest.raises(ChannelError, match="does not know") as error:
            await a_channel("apprise", http, url=url).send(a_message())
        assert not error.value.retryable


def an_email(http: httpx.AsyncClient, port: int, **config: Any) -> Channel:
    fixed = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": "Bongsu <bongsu@example.com>",
        "to": ["ops@example.com", "kim@example.com"],
    }
    return a_channel("email", http, **fixed | config)


@pytest.mark.parametrize("language", ["en", "ko"])
async def test_a_mail_as_it_arrives(http: httpx.AsyncClient, language: str) -> None:
    with mail_server() as box:
        assert "Queued as 4711" in await an_email(http, box.port).send(a_message(language=language))
        (mail,) = box.mails
        assert box.recipients == [["ops@example.com", "kim@example.com"]]
        assert mail["Subject"] == {"en": "[ALERT] CPU: web-1", "ko": "[경보] CPU: web-1"}[language]
        assert mail["Message-ID"] == "<bongsu-7.fired@example.com>"
        assert mail["Auto-Submitted"] == "auto-generated"
        text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        html = mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
        for part in (text, html):
            assert TEXTS[language]["threshold"] in part  # type: ignore[index]
            assert "2026-07-31 01:51:04 KST" in part
            assert "https://monitor.example/alerts/1" in part
        (picture,) = [part for part in mail.walk() if part.get_content_type() == "image/png"]
        assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in html
        assert Image.open(io.BytesIO(picture.get_content())).size == (4, 4)
        assert "http" not in re.sub(r'href="[^"]*"', "", html), "nothing is loaded from elsewhere"


async def test_starttls_with_a_login(http: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = certificate(tmp_path)
    with mail_server(starttls=file, login=("bongsu", "pass")) as box:
        secure = {"security": "starttls", "username": "bongsu", "password": "pass"}
        with pytest.raises(ChannelError, match="certificate is not trusted") as error:
            await an_email(http, box.port, **secure).send(a_message())
        assert error.value.retryable
        trusted = ssl.create_default_context(cafile=str(file))
        monkeypatch.setattr(ssl, "create_default_context", lambda *_, **__: trusted)
        await an_email(http, box.port, **secure).send(a_message())
        with pytest.raises(ChannelError, match="535") as error:
            await an_email(http, box.port, **secure | {"password": "wr0ng"}).send(a_message())
        assert not error.value.retryable
        assert "wr0ng" not in error.value.message
        assert len(box.mails) == 1


async def test_tls_from_the_first_byte(http: httpx.AsyncClient, tmp_path: Path) -> None:
    with mail_server(tls=certificate(tmp_path)) as box:
        await an_email(http, box.port, security="tls", verify=False).send(a_message())
        assert box.secured == [True]


async def test_a_server_without_starttls_is_not_trusted(http: httpx.AsyncClient) -> None:
    with mail_server() as box:
        with pytest.raises(ChannelError):
            await an_email(http, box.port, security="starttls", username="u", password="p").send(a_message())
        assert box.mails == []


@pytest.mark.parametrize(
    ("answer", "retryable"),
    [
        pytest.param("451 Try again later", True, id="4yz passes"),
        pytest.param("554 Spam", False, id="5yz stays"),
    ],
)
async def test_what_a_mail_server_refuses(http: httpx.AsyncClient, answer: str, retryable: bool) -> None:
    with mail_server() as box:
        box.answers = [answer]
        with pytest.raises(ChannelError, match=answer) as error:
            await an_email(http, box.port).send(a_message())
        assert error.value.retryable is retryable
        box.refused = {"kim@example.com": "550 No such user"}
        assert "not kim@example.com" in await an_email(http, box.port).send(a_message())
        box.refused["ops@example.com"] = "450 Mailbox busy"
        with pytest.raises(ChannelError, match="450 Mailbox busy"):
            await an_email(http, box.port).send(a_message())


async def test_no_mail_server(http: httpx.AsyncClient) -> None:
    with mail_server() as box:
        port = box.port
    with pytest.raises(ChannelError, match="cannot be reached") as error:
        await an_email(http, port).send(a_message())
    assert error.value.retryable


async def test_a_name_is_never_a_template_nor_a_header(http: httpx.AsyncClient) -> None:
    html = render_html(a_message(EVIL), "c")
    assert "{{7*7}}" in html, "as it is"
    assert "49" not in re.sub(r"20\d\d-\d\d-\d\d [\d:]+", "", html)
    assert "<b onload" not in html
    assert "&lt;b onload=x&gt;" in html
    with mail_server() as box:
        await an_email(http, box.port).send(a_message("web\r\nBcc: evil@example.com"))
        (mail,) = box.mails
        assert mail["Bcc"] is None
        assert box.recipients == [["ops@example.com", "kim@example.com"]]
        assert mail["Subject"] == "[ALERT] CPU: web Bcc: evil@example.com"


def test_both_languages_say_the_same_things() -> None:
    assert TEXTS["en"].keys() == TEXTS["ko"].keys()
    places = {key: sorted(re.findall(r"{(\w+)}", text)) for key, text in TEXTS["en"].items()}
    assert places == {key: sorted(re.findall(r"{(\w+)}", text)) for key, text in TEXTS["ko"].items()}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.973, "ratio", "97.3 %"),
        (0.0012, "ratio", "0.12 %"),
        (1536.0, "bytes", "1.50 KiB"),
        (93_784.0, "seconds", "1d 2h"),
        (-60.0, "seconds", "-1m"),
        (0.25, "seconds", "0.25 s"),
        (16.0, "", "16"),
        (12_345_678.0, "", "12,345,678"),
        (None, "ratio", "-"),
    ],
)
def test_values_as_people_read_them(value: float | None, unit: str, text: str) -> None:
    assert format_value(value, unit) == text
