"""Logging in with an OpenID provider that runs here."""

import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bongsu.server.auth.directory import PEOPLE
from bongsu.server.auth.oidc import local_path
from bongsu.server.auth.queries.accounts import update_user
from bongsu.server.config import Oidc
from tests.support.app import ADMIN, RunningApp, running_app

# Of the provider that stands in for a real one.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib.*", "ignore:get_jwt_config")


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the provider's own
        from oidc_provider_mock import run_server_in_thread

        with run_server_in_thread() as server:
            yield f"http://localhost:{server.server_port}"


def settings(issuer: str, **more: object) -> dict[str, object]:
    return {"oidc": Oidc(issuer=issuer, client_id="bongsu", client_secret="s3cret", **more)}


async def go(
    app: RunningApp, issuer: str, email: str, *, verified: bool = True, tamper: str = "", path: str = ""
) -> httpx.Response:
    """To the provider and back, as a browser would. ``path``: where Bongsu is shown."""
    async with httpx.AsyncClient() as browser:
        claims = {"email": email, "email_verified": verified, "name": "Kim"}
        await browser.put(f"{issuer}/users/{email}", json=claims)
        begun = await app.client.get(f"{path}/api/auth/oidc/login", params={"next": "/servers/1"})
        assert begun.status_code == 303
        answer = await browser.post(begun.headers["location"], data={"sub": email})
        back = answer.headers["location"]
    if tamper:
        back = re.sub(r"state=[^&]+", f"state={tamper}", back)
    return await app.client.get(back[back.index(f"{path}/api/") :])


@pytest.mark.parametrize(
    ("email", "allowed", "verified", "where"),
    [
        pytest.param(
            ADMIN, "link_accounts", True, "/servers/1", id="an account with this address, where that is wanted"
        ),
        pytest.param(ADMIN, "create_users", True, "/login?problem=oidc", id="an account with this address"),
        pytest.param("new@bongsu.test", "create_users", True, "/servers/1", id="a new account, where that is wanted"),
        pytest.param("new@bongsu.test", "link_accounts", True, "/login?problem=oidc", id="nobody we know"),
        pytest.param(
            ADMIN, "link_accounts", False, "/login?problem=oidc", id="an address that anybody may have written"
        ),
    ],
)
async def test_who_comes_in(tmp_path: Path, issuer: str, email: str, allowed: str, verified: bool, where: str) -> None:
    async with running_app(tmp_path, **settings(issuer, **{allowed: True})) as app:
        assert (await app.get("/api/setup"))["oidc"] == "OpenID"
        for _ in range(2):
            answer = await go(app, issuer, email, verified=verified)
            assert (answer.status_code, answer.headers["location"]) == (303, where)
        if where.startswith("/servers"):
            login = await app.client.post("/api/auth/refresh", headers={"X-Bongsu": "1"})
            assert login.json()["user"]["email"] == email
            assert login.json()["user"]["role"] == ("admin" if email == ADMIN else "viewer")


async def turn_second_factor_on(app: RunningApp) -> None:
    """For the admin, in the database: the way there does not matter here."""
    await app.services.auth.directory.change(
        PEOPLE, lambda connection: update_user(connection, 1, totp_enabled=True, totp_secret=b"any")
    )


@pytest.mark.parametrize("linked", [False, True], ids=["before it is linked", "after it was linked"])
async def test_the_provider_does_not_replace_a_second_factor(tmp_path: Path, issuer: str, linked: bool) -> None:
    async with running_app(tmp_path, **settings(issuer, link_accounts=True)) as app:
        if linked:
            assert (await go(app, issuer, ADMIN)).headers["location"] == "/servers/1"
        await turn_second_factor_on(app)
        answer = await go(app, issuer, ADMIN)
        assert answer.headers["location"] == "/login?problem=oidc_second_factor"
        assert not [cookie for cookie in answer.headers.get_list("set-cookie") if "bongsu_refresh" in cookie]
        assert app.services.auth.directory.users[1].oidc_subject is None or linked


async def test_below_a_path_people_come_back_below_it(tmp_path: Path, issuer: str) -> None:
    async with running_app(
        tmp_path, public_url="http://127.0.0.1/bongsu", **settings(issuer, link_accounts=True)
    ) as app:
        assert (await go(app, issuer, ADMIN, path="/bongsu")).headers["location"] == "/bongsu/servers/1"
        refused = await go(app, issuer, ADMIN, tamper="x", path="/bongsu")
        assert refused.headers["location"] == "/bongsu/login?problem=oidc"


async def test_an_answer_to_another_question_is_refused(tmp_path: Path, issuer: str) -> None:
    async with running_app(tmp_path, **settings(issuer)) as app:
        assert (await go(app, issuer, ADMIN, tamper="x")).headers["location"] == "/login?problem=oidc"
        app.client.cookies.clear()
        bare = await app.client.get("/api/auth/oidc/callback", params={"code": "x", "state": "y"})
        assert bare.headers["location"] == "/login?problem=oidc"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/servers/1?range=6h", "/servers/1?range=6h"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/\t/evil.example", "/"),
        ("", "/"),
    ],
)
def test_no_way_leads_to_another_site(text: str, path: str) -> None:
    assert local_path(text) == path
