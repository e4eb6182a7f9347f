"""Tokens: given, or from a login."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from bongsu.core.errors import BongsuError, ConfigError, InvalidInput, TooMany, Unauthenticated, Unavailable
from bongsu.watch.site import Site
from bongsu.watch.tokens import ask, given_token


def refused(status: int, code: str, message: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code, "message": message, "field": None, "limit": None}})


def site(answer: Callable[[httpx.Request], httpx.Response], url: str = "http://127.0.0.1:8600") -> Site:
    return Site(url, transport=httpx.MockTransport(answer))


def test_the_first_source_that_is_given_counts(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    assert given_token("given", str(file), "environment") == "given"
    assert given_token("", str(file), "environment") == "from-file"
    assert given_token("", "", " environment ") == "environment"
    assert given_token("", "", "") == ""


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"two words", "\ud1a0\ud070".encode(errors="surrogatepass"), b"\xff\xfe"]
)
def test_a_file_without_a_token(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="token"):
        given_token("", str(file), "")


class Account:
    """An API server with one account."""

    def __init__(self, *, second_factor: bool = False) -> None:
        self._second_factor = second_factor

    def __call__(self, request: httpx.Request) -> httpx.Response:
        given = json.loads(request.content)
        if (given["email"], given["password"]) != ("a@b.test", "right"):
            return refused(401, "wrong_credentials", "The email address or the password is wrong.")
        if self._second_factor and not given["code"]:
            return refused(401, "second_factor_required", "Enter the code.")
        if self._second_factor and given["code"] != "123456":
            return refused(401, "wrong_code", "The code is wrong, or was used before.")
        return httpx.Response(200, json={"access_token": "access", "expires_ms": 1, "user": {}})


def typed(*answers: str) -> Callable[[str], str]:
    left: Iterator[str] = iter(answers)
    return lambda _: next(left)


@pytest.mark.parametrize(
    ("second_factor", "answers", "messages"),
    [
        pytest.param(False, ["right"], 0, id="at once"),
        pytest.param(False, ["wrong", "right"], 1, id="after a wrong password"),
        pytest.param(True, ["right", " 123456 "], 0, id="with a second factor"),
        pytest.param(True, ["right", "000000", "123456"], 1, id="after a wrong code, the password is not asked again"),
    ],
)
def test_logging_in(second_factor: bool, answers: list[str], messages: int) -> None:
    said: list[str] = []
    tokens = ask(site(Account(second_factor=second_factor)), typed(" a@b.test "), typed(*answers), said.append)
    assert tokens.current == "access"
    assert tokens.renewable
    assert said[0] == "Log in to http://127.0.0.1:8600"
    assert len(said) == 1 + messages
    assert not any("right" in line or "wrong\n" in line for line in said)


def test_three_wrong_passwords_are_enough() -> None:
    with pytest.raises(Unauthenticated, match="password is wrong"):
        ask(site(Account()), typed("a@b.test"), typed("x", "y", "z"), lambda _: None)


def test_a_lockout_is_told_at_once() -> None:
    locked = site(lambda _: refused(429, "locked_out", "Too many failed logins; try again in 30 s."))
    with pytest.raises(TooMany, match="try again in 30 s"):
        ask(locked, typed("a@b.test"), typed("x"), lambda _: None)


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        pytest.param(httpx.Response(200, text="<html>"), BongsuError, "not as a Bongsu API server", id="a page"),
        pytest.param(httpx.Response(404), BongsuError, "not as a Bongsu API server", id="another program"),
        pytest.param(httpx.Response(200, json={"servers": 1}), BongsuError, "not as a Bongsu", id="other JSON"),
        pytest.param(
            httpx.Response(301, headers={"Location": "https://monitor.example/api/servers"}),
            BongsuError,
            "redirects to https://monitor.example",
            id="a redirect",
        ),
        pytest.param(httpx.Response(502, text="bad gateway"), Unavailable, "HTTP 502", id="a proxy alone"),
        pytest.param(refused(401, "invalid_token", "Revoked\x1b."), Unauthenticated, r"Revoked\\x1b", id="refused"),
    ],
)
def test_answers_that_are_no_list_of_servers(answer: httpx.Response, kind: type[BongsuError], message: str) -> None:
    with pytest.raises(kind, match=message):
        site(lambda _: answer).servers("token")


def test_long_lists_of_servers_come_in_pages() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Bearer token"
        number = int(request.url.params["cursor"]) + 1
        server = {"id": number, "name": f"web-{number}", "state": "up", "host": {}}
        return httpx.Response(200, json={"servers": [server], "next": str(number) if number < 3 else None})

    assert [server.id for server in site(answer).servers("token")] == [1, 2, 3]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "garbage",
        "ftp://h",
        "http://",
        "http://h:99999",
        "http://[::1",
        "http://a b",
        "http://h/?q",
        "http://u@h",
        "http://h\x1b",
    ],
)
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(InvalidInput, match="--url") as error:
        Site(url)
    assert "\x1b" not in error.value.message


def test_the_address_of_the_stream_and_the_proxy() -> None:
    assert Site("http://127.0.0.1:8600/").socket_url == "ws://127.0.0.1:8600/api/ws"
    assert Site("https://monitor.example/bongsu").socket_url == "wss://monitor.example/bongsu/api/ws"
    assert not Site("http://[::1]:8600").uses_proxy
    assert not Site("http://localhost").uses_proxy
    assert Site("http://monitor.example").uses_proxy
    with pytest.raises(InvalidInput, match="https"):
        Site("http://monitor.example", "ca.pem")


@pytest.mark.parametrize("proxy", ["nonsense://proxy", "socks5://127.0.0.1:1"])
def test_a_proxy_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ConfigError, match="The proxy in the environment cannot be used"):
        Site("http://monitor.example")
