"""Which addresses channels reach, and that what is found there is not shown to whoever set up the channel."""

import asyncio
import socket
from typing import Any

import httpx
import pytest

from bongsu.alerts.channels import CHANNELS, Channel, ChannelError
from bongsu.alerts.channels.addresses import Addresses
from bongsu.alerts.channels.client import guarded_client
from bongsu.alerts.channels.http import ANSWER_BYTES
from tests.support.endpoints import endpoint
from tests.support.messages import a_message
from tests.support.smtp import mail_server

SMS = {"account_sid": "AC0123", "auth_token": "t0ken", "sender": "+15005550006", "to": ["+821012345678"]}
MAIL = {"security": "none", "sender": "bongsu@example.com", "to": ["kim@example.com"]}
CONFIGS: dict[str, Any] = {
    "slack": lambda host: {"webhook_url": f"http://{host}/x"},
    "discord": lambda host: {"webhook_url": f"http://{host}/x"},
    "sms": lambda host: {"api_url": f"http://{host}", **SMS},
    "webhook": lambda host: {"url": f"http://{host}/x"},
    "apprise": lambda host: {"url": f"json://{host}/x"},
    "email": lambda host: {"host": host.strip("[]"), **MAIL},
}
METADATA = [
    "169.254.169.254",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "100.100.100.200",
    "[::ffff:169.254.169.254]",
    "2852039166",
]


def a_channel(kind: str, http: httpx.AsyncClient, addresses: Addresses, **config: Any) -> Channel:
    channel = CHANNELS[kind]
    return channel(channel.Config.model_validate(config), http, addresses)


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("host", METADATA)
async def test_link_local_and_metadata_addresses_are_refused(kind: str, host: str) -> None:
    addresses = Addresses()
    async with guarded_client(addresses) as http:
        with pytest.raises(ChannelError, match="metadata service") as error:
            await a_channel(kind, http, addresses, **CONFIGS[kind](host)).send(a_message())
    assert not error.value.retryable
    assert host not in error.value.message


@pytest.mark.parametrize(
    ("host", "allowed"),
    [("169.254.10.1", ["169.254.10.0/24"]), ("fe80::1", ["fe80::/10"]), ("127.0.0.1", []), ("10.0.0.1", [])],
)
async def test_what_is_allowed(host: str, allowed: list[str]) -> None:
    assert await Addresses(allowed).resolve(host, 80) == [host]


async def test_a_name_is_resolved_once_so_that_it_cannot_change_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    loop = asyncio.get_running_loop()

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    addresses = Addresses()
    with endpoint() as service:
        port = service.url.rpartition(":")[2]
        async with guarded_client(addresses) as http:
            monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
            channel = a_channel("webhook", http, addresses, url=f"http://hooks.test:{port}/x")
            assert await channel.send(a_message()) == "200"
            assert service.received[0].headers["host"] == f"hooks.test:{port}"
            with pytest.raises(ChannelError, match="metadata service"):
                await channel.send(a_message())
    assert asked == ["hooks.test", "hooks.test"]


async def test_mail_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        assert host == "mail.test"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    addresses = Addresses()
    with mail_server() as box:
        async with guarded_client(addresses) as http:
            monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
            config = MAIL | {"host": "mail.test", "port": box.port}
            assert "4711" in await a_channel("email", http, addresses, **config).send(a_message())
        assert len(box.mails) == 1


async def test_a_proxy_from_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "direct.test")
        addresses = Addresses()
        async with guarded_client(addresses) as http:
            channel = a_channel("webhook", http, addresses, url="http://behind-the-proxy.invalid/x")
            assert await channel.send(a_message()) == "200"
            with pytest.raises(ChannelError, match="metadata service"):
                await a_channel("webhook", http, addresses, url="http://169.254.169.254/x").send(a_message())
        assert [request.path for request in proxy.received] == ["http://behind-the-proxy.invalid/x"]


@pytest.mark.parametrize("kind", ["slack", "discord", "sms", "webhook", "apprise"])
@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize(
    "text",
    [
        "db_password=hunter2",
        '{"id": "hunter2", "code": "hunter2", "message": "hunter2", "sid": "hunter2", "status": "hunter2"}',
        '{"id": {"hunter2": 1}, "code": {"hunter2": 1}, "sid": ["hunter2"]}',
    ],
)
async def test_what_a_server_answers_is_not_shown(kind: str, status: int, text: str) -> None:
    """The server may be any on our network, chosen by whoever set up the channel."""
    addresses = Addresses()
    with endpoint() as service:
        service.usual = (status, {"Content-Type": "text/plain"}, text)
        async with guarded_client(addresses) as http:
            host = service.url.removeprefix("http://")
            try:
                answer = await a_channel(kind, http, addresses, **CONFIGS[kind](host)).send(a_message())
            except ChannelError as error:
                answer = error.message
    assert "hunter2" not in answer


async def test_only_the_beginning_of_an_answer_is_read() -> None:
    addresses = Addresses()
    with endpoint() as service:
        service.usual = (200, {}, '{"id": "1"' + " " * ANSWER_BYTES * 100 + "}")
        async with guarded_client(addresses) as http:
            channel = a_channel("discord", http, addresses, webhook_url=service.url)
            assert await channel.send(a_message()) == "200", "the id is in no complete document"


async def test_apprise_follows_no_redirect() -> None:
    addresses = Addresses()
    with endpoint() as target, endpoint() as service:
        service.usual = (302, {"Location": target.url}, "")
        async with guarded_client(addresses) as http:
            url = f"json://{service.url.removeprefix('http://')}/x?redirect=yes"
            with pytest.raises(ChannelError):
                await a_channel("apprise", http, addresses, url=url).send(a_message())
    assert not target.received
