"""The email channel, against an SMTP server on loopback."""

import io
import re
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from bongsu.alerts.channels import ChannelError
from bongsu.alerts.channels.addresses import Addresses
from bongsu.alerts.channels.email import EmailChannel, EmailConfig
from bongsu.alerts.texts import TEXTS, Language
from tests.support.messages import a_message
from tests.support.smtp import certificate, mail_server


def a_channel(http: httpx.AsyncClient, port: int, **config: Any) -> EmailChannel:
    fixed = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": "Bongsu <bongsu@example.com>",
        "to": ["ops@example.com", "kim@example.com"],
    }
    return EmailChannel(EmailConfig.model_validate(fixed | config), http, Addresses())


@pytest.mark.parametrize("language", TEXTS)
async def test_a_mail_with_its_text_html_and_chart(http: httpx.AsyncClient, language: Language) -> None:
    with mail_server() as box:
        assert "Queued as 4711" in await a_channel(http, box.port).send(a_message(language=language))
        (mail,) = box.mails
        assert box.recipients == [["ops@example.com", "kim@example.com"]]
        assert mail["Subject"] == f"[{TEXTS[language]['fired']}] CPU: web-1"
        assert mail["Message-ID"] == "<bongsu-7.fired@example.com>"
        assert mail["Auto-Submitted"] == "auto-generated"
        text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        html = mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
        for part in (text, html):
            assert TEXTS[language]["threshold"] in part
            assert "2026-07-31 01:51:04 KST" in part
            assert "https://monitor.example/servers/1" in part
        (picture,) = [part for part in mail.walk() if part.get_content_type() == "image/png"]
        assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in html
        assert Image.open(io.BytesIO(picture.get_content())).size == (4, 4)
        assert "http" not in re.sub(r'href="[^"]*"', "", html), "nothing is loaded from other hosts"


async def test_starttls_with_a_login(http: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = certificate(tmp_path)
    with mail_server(starttls=file, login=("bongsu", "pass")) as box:
        secure = {"security": "starttls", "username": "bongsu", "password": "pass"}
        with pytest.raises(ChannelError, match="certificate is not trusted") as error:
            await a_channel(http, box.port, **secure).send(a_message())
        assert error.value.retryable
        trusted = ssl.create_default_context(cafile=str(file))
        monkeypatch.setattr(ssl, "create_default_context", lambda *_, **__: trusted)
        await a_channel(http, box.port, **secure).send(a_message())
        with pytest.raises(ChannelError, match="535") as error:
            await a_channel(http, box.port, **secure | {"password": "wr0ng"}).send(a_message())
        assert not error.value.retryable
        assert "wr0ng" not in error.value.message
        assert len(box.mails) == 1


async def test_implicit_tls(http: httpx.AsyncClient, tmp_path: Path) -> None:
    with mail_server(tls=certificate(tmp_path)) as box:
        await a_channel(http, box.port, security="tls", verify=False).send(a_message())
        assert box.secured == [True]


async def test_a_mail_server_without_starttls_gets_no_mail(http: httpx.AsyncClient) -> None:
    with mail_server() as box:
        with pytest.raises(ChannelError):
            await a_channel(http, box.port, security="starttls", username="u", password="p").send(a_message())
        assert box.mails == []


@pytest.mark.parametrize(
    ("answer", "retryable"),
    [
        pytest.param("451 Try again later", True, id="4yz is transient"),
        pytest.param("554 Spam", False, id="5yz is permanent"),
    ],
)
async def test_refusals_of_a_mail_server(http: httpx.AsyncClient, answer: str, retryable: bool) -> None:
    with mail_server() as box:
        box.answers = [answer]
        with pytest.raises(ChannelError, match=answer) as error:
            await a_channel(http, box.port).send(a_message())
        assert error.value.retryable is retryable
        box.refused = {"kim@example.com": "550 No such user"}
        assert "not kim@example.com" in await a_channel(http, box.port).send(a_message())
        box.refused["ops@example.com"] = "450 Mailbox busy"
        with pytest.raises(ChannelError, match="450 Mailbox busy"):
            await a_channel(http, box.port).send(a_message())


async def test_an_unreachable_mail_server_is_retried(http: httpx.AsyncClient) -> None:
    with mail_server() as box:
        port = box.port
    with pytest.raises(ChannelError, match="cannot be reached") as error:
        await a_channel(http, port).send(a_message())
    assert error.value.retryable


async def test_a_name_cannot_add_a_header(http: httpx.AsyncClient) -> None:
    with mail_server() as box:
        await a_channel(http, box.port).send(a_message("web\r\nBcc: evil@example.com"))
        (mail,) = box.mails
        assert mail["Bcc"] is None
        assert box.recipients == [["ops@example.com", "kim@example.com"]]
        assert mail["Subject"] == "[ALERT] CPU: web\\r\\nBcc: evil@example.com"


async def test_a_retried_mail_goes_only_to_those_who_did_not_get_it(http: httpx.AsyncClient) -> None:
    with mail_server() as box:
        channel = a_channel(http, box.port, to=["Kim <kim@example.com>", "ops@example.com", "gone@example.com"])
        box.refused = {"ops@example.com": "450 Greylisted", "gone@example.com": "550 No such user"}
        message = a_message()
        with pytest.raises(ChannelError, match="Greylisted") as error:
            await channel.send(message)
        assert error.value.retryable
        box.refused = {"gone@example.com": "550 No such user"}
        assert "No such user" in await channel.send(message)
        assert box.recipients == [["kim@example.com"], ["ops@example.com"]]
        assert box.mails[1]["To"] == "Kim <kim@example.com>, ops@example.com, gone@example.com"
