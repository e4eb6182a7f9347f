"""Whom failed logins lock out: whoever guesses, and not the owner of the account."""

from pathlib import Path

import httpx
import pytest

from bongsu.server.config import Lockouts, RateLimits
from tests.support.app import ADMIN, PASSWORD, RunningApp, running_app

HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"
SCRIPT = {"X-Bongsu": "1"}


def behind_a_proxy(**settings: object) -> dict[str, object]:
    """Settings with which tests choose the address of the client."""
    return {"trusted_proxies": ["127.0.0.1"], **settings}


def browser(app: RunningApp, address: str) -> httpx.AsyncClient:
    """A browser of its own, with its own cookies."""
    transport = httpx.ASGITransport(app.application, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers={"X-Forwarded-For": address})


async def log_in(client: httpx.AsyncClient, password: str = PASSWORD, email: str = ADMIN) -> httpx.Response:
    return await client.post("/api/auth/login", json={"email": email, "password": password})


def code(response: httpx.Response) -> str:
    return "" if response.is_success else str(response.json()["error"]["code"])


async def guess_until_locked_out(client: httpx.AsyncClient, most: int = 50, email: str = ADMIN) -> int:
    """The number of wrong passwords that were accepted as guesses."""
    for count in range(most):
        if code(await log_in(client, "wrong", email)) == "locked_out":
            return count
    raise AssertionError(f"{most} guesses, and no lockout")


@pytest.mark.parametrize(
    "address",
    [
        pytest.param(ELSEWHERE, id="guesses from elsewhere lock out the account"),
        pytest.param(HOME, id="guesses from the same office lock out the address"),
    ],
)
async def test_wrong_passwords_do_not_lock_out_a_known_device(tmp_path: Path, address: str) -> None:
    limits = Lockouts(account_and_address=100, account=30, address=30)
    async with (
        running_app(tmp_path, **behind_a_proxy(lockouts=limits)) as app,
        browser(app, HOME) as known,
        browser(app, address) as stranger,
        browser(app, HOME) as unknown,
    ):
        assert (await log_in(known)).status_code == 200
        assert await guess_until_locked_out(stranger) == 30
        assert code(await log_in(stranger)) == "locked_out"
        assert code(await log_in(unknown)) == "locked_out", "a browser that nobody knows"
        assert (await log_in(known)).status_code == 200
        assert code(await log_in(stranger)) == "locked_out", "the owner's login gives nobody further guesses"


async def test_a_known_device_is_locked_out_by_its_own_failures_alone(tmp_path: Path) -> None:
    async with (
        running_app(tmp_path, **behind_a_proxy(lockouts=Lockouts(account_and_address=3))) as app,
        browser(app, HOME) as first,
        browser(app, HOME) as second,
    ):
        for client in (first, second):
            assert (await log_in(client)).status_code == 200
        assert await guess_until_locked_out(first) == 3
        assert code(await log_in(first)) == "locked_out"
        assert (await log_in(second)).status_code == 200
        app.clock.advance(3)
        assert (await log_in(first)).status_code == 200, "a lockout ends"


async def test_a_device_is_known_for_the_account_that_logged_in_on_it(tmp_path: Path) -> None:
    limits = Lockouts(account_and_address=3, account=3)
    async with (
        running_app(tmp_path, **behind_a_proxy(lockouts=limits)) as app,
        browser(app, HOME) as own,
        browser(app, ELSEWHERE) as stranger,
    ):
        body = {"email": "lee@bongsu.test", "name": "Lee", "password": PASSWORD}
        assert (await log_in(own)).status_code == 200
        token = (await own.post("/api/auth/refresh", headers=SCRIPT)).json()["access_token"]
        made = await own.post("/api/users", json=body, headers={"Authorization": f"Bearer {token}"})
        assert made.status_code == 201
        assert await guess_until_locked_out(stranger, email=body["email"]) == 3
        assert code(await log_in(own, email=body["email"])) == "locked_out"


@pytest.mark.parametrize("change", ["another session", "a later end", "no signature"])
async def test_a_device_cookie_cannot_be_made_up(tmp_path: Path, change: str) -> None:
    async with (
        running_app(tmp_path, **behind_a_proxy(lockouts=Lockouts(account=3))) as app,
        browser(app, HOME) as own,
        browser(app, ELSEWHERE) as stranger,
    ):
        assert (await log_in(own)).status_code == 200
        (name,) = [name for name in own.cookies if name.startswith("bongsu_device")]
        session, end, signature = own.cookies[name].split(".")
        forged = {
            "another session": f"{'0' * 32}.{end}.{signature}",
            "a later end": f"{session}.{int(end) + 1}.{signature}",
            "no signature": f"{session}.{end}.",
        }[change]
        assert await guess_until_locked_out(stranger) == 3
        stranger.cookies.set(name, forged, domain="127.0.0.1", path="/api/auth")
        assert code(await log_in(stranger)) == "locked_out"


async def test_a_device_is_forgotten_after_a_year(tmp_path: Path) -> None:
    async with (
        running_app(tmp_path, **behind_a_proxy(lockouts=Lockouts(account=3))) as app,
        browser(app, HOME) as own,
        browser(app, ELSEWHERE) as stranger,
    ):
        assert (await log_in(own)).status_code == 200
        app.clock.advance(365 * 86_400 + 1)
        assert await guess_until_locked_out(stranger) == 3
        assert code(await log_in(own)) == "locked_out"


async def test_a_session_gives_no_further_guesses_with_further_cookies(tmp_path: Path) -> None:
    """Somebody with a stolen session refreshes it again and again; each answer has a device cookie."""
    async with (
        running_app(tmp_path, **behind_a_proxy(lockouts=Lockouts(account_and_address=3))) as app,
        browser(app, HOME) as own,
    ):
        assert (await log_in(own)).status_code == 200
        assert await guess_until_locked_out(own) == 3
        (name,) = [name for name in own.cookies if name.startswith("bongsu_device")]
        own.cookies.delete(name)
        assert (await own.post("/api/auth/refresh", headers=SCRIPT)).status_code == 200
        assert name in own.cookies
        assert code(await log_in(own)) == "locked_out"


async def test_wrong_passwords_do_not_keep_a_person_from_changing_theirs(tmp_path: Path) -> None:
    limits = Lockouts(account_and_address=3, account=3, address=3)
    async with (
        running_app(tmp_path, **behind_a_proxy(lockouts=limits)) as app,
        browser(app, HOME) as own,
        browser(app, HOME) as stranger,
    ):
        token = (await log_in(own)).json()["access_token"]
        assert await guess_until_locked_out(stranger) == 3
        headers = {"Authorization": f"Bearer {token}"}
        body = {"current": PASSWORD, "new": "another beacon fire"}
        changed = await own.put("/api/account/password", json=body, headers=headers)
        assert changed.status_code == 204, changed.text


async def test_attempts_of_others_do_not_use_up_the_rate_of_a_known_device(tmp_path: Path) -> None:
    rates = RateLimits(address="1000/minute", user="1000/minute", login="5/minute", agent_per_second=1e6)
    limits = Lockouts(account_and_address=100)
    async with (
        running_app(tmp_path, **behind_a_proxy(rate_limits=rates, lockouts=limits)) as app,
        browser(app, HOME) as own,
        browser(app, HOME) as stranger,
    ):
        token = (await log_in(own)).json()["access_token"]
        while (await log_in(stranger, "wrong")).status_code == 401:
            pass
        assert code(await log_in(stranger, "wrong")) == "too_many_requests"
        assert (await log_in(own)).status_code == 200
        body = {"current": PASSWORD, "new": "another beacon fire"}
        headers = {"Authorization": f"Bearer {token}"}
        assert (await own.put("/api/account/password", json=body, headers=headers)).status_code == 204


@pytest.mark.parametrize(
    ("addresses", "guesses"),
    [
        pytest.param([f"2001:db8:0:1::{n:x}" for n in range(1, 6)], 3, id="one /64 network is one address"),
        pytest.param([f"2001:db8:0:{n:x}::1" for n in range(1, 6)], 5, id="other networks are other addresses"),
        pytest.param(["198.51.100.7", "::ffff:198.51.100.7"] * 3, 3, id="an IPv4 address in IPv6 notation"),
    ],
)
async def test_ipv6_addresses_count_by_network(tmp_path: Path, addresses: list[str], guesses: int) -> None:
    async with running_app(tmp_path, **behind_a_proxy(lockouts=Lockouts(account_and_address=3))) as app:
        answers = []
        for address in addresses:
            async with browser(app, address) as client:
                answers.append(code(await log_in(client, "wrong")))
        assert answers.count("wrong_credentials") == guesses
        assert answers.count("locked_out") == len(addresses) - guesses
