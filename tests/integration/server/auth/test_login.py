"""People: setting up, logging in, staying in, and what attackers try on the way."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import jwt
import pyotp
import pytest

from bongsu.server.auth.wiring import make_auth
from bongsu.server.config import Lockouts
from tests.support.app import ADMIN, PASSWORD, RunningApp, running_app
from tests.support.people import add_person, person_token

SCRIPT = {"X-Bongsu": "1"}
SETUP = {"email": "Kim@Example.com ", "name": "Kim", "password": "beacon fire 77"}


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[RunningApp]:
    async with running_app(tmp_path) as app:
        app.client.headers.pop("Authorization")
        yield app


async def log_in(app: RunningApp, password: str = PASSWORD, email: str = ADMIN, **more: str) -> httpx.Response:
    return await app.client.post("/api/auth/login", json={"email": email, "password": password, **more})


async def refresh(app: RunningApp, cookie: str | None = None, **headers: str) -> httpx.Response:
    if cookie is not None:
        app.client.cookies.clear()
        headers["Cookie"] = f"{app.services.auth.sessions.cookie}={cookie}"
    return await app.client.post("/api/auth/refresh", headers=SCRIPT | headers)


def cookie_of(app: RunningApp) -> str:
    return app.client.cookies[app.services.auth.sessions.cookie]


async def status_with(app: RunningApp, token: str, path: str = "/api/servers") -> int:
    return (await app.client.get(path, headers={"Authorization": f"Bearer {token}"})).status_code


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def test_before_the_setup_nothing_answers_but_the_setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONGSU_SETUP_TOKEN", "the one")
    async with running_app(tmp_path, admin_email="") as app:
        for path in (
            "/api/servers",
            "/api/metrics/current",
            "/api/openapi.json",
            "/docs",
            "/redoc",
            "/agent/install.sh",
        ):
            assert code(await app.client.get(path)) == (403, "setup_required"), path
        assert await app.get("/api/health") == await app.get("/api/health")
        told = (await app.get("/api/health")).items()
        assert {key for key, value in told if value is not None} == {"status", "time_ms"}
        assert (await app.get("/api/setup"))["needed"]
        wrong = await app.client.post("/api/setup", json=SETUP | {"token": "another"})
        assert code(wrong) == (403, "wrong_setup_token")
        weak = await app.client.post("/api/setup", json=SETUP | {"token": "the one", "password": "password123"})
        assert code(weak) == (400, "weak_password")
        done = await app.client.post("/api/setup", json=SETUP | {"token": "the one"})
        assert (done.status_code, done.json()["user"]["role"]) == (200, "admin")
        assert await status_with(app, done.json()["access_token"]) == 200
        again = await app.client.post("/api/setup", json=SETUP | {"token": "the one", "email": "b@example.com"})
        assert code(again) == (409, "already_set_up")
        assert (await log_in(app, "beacon fire 77", "kim@example.com")).status_code == 200


async def test_api_servers_that_start_together_make_one_first_admin(tmp_path: Path) -> None:
    async with running_app(tmp_path, admin_email="") as app:
        services = app.services
        other = make_auth(services.settings, services.database, services.vault, services.clock)
        await other.directory.start()
        settings = services.settings.model_copy(update={"admin_email": ADMIN, "admin_password": PASSWORD})
        await asyncio.gather(*(auth.setup.start(settings, "") for auth in (services.auth, other)))
        for auth in (services.auth, other):
            assert [user.email for user in auth.directory.users.values()] == [ADMIN]
        other.passwords.close()


async def test_an_access_token_that_is_not_ours_is_refused(app: RunningApp) -> None:
    token = (await log_in(app)).json()["access_token"]
    assert await status_with(app, token) == 200
    key = app.services.auth.directory.tokens.keys[0]
    header, payload, signature = token.split(".")
    claims = jwt.decode(token, options={"verify_signature": False})

    def part(content: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    forged = {
        "no signature": f"{part({'alg': 'none', 'kid': key.id})}.{payload}.",
        "none in other letters": f"{part({'alg': 'nOnE', 'kid': key.id})}.{payload}.",
        "the signature of another payload": f"{header}.{part(claims | {'sub': '2'})}.{signature}",
        "another key": jwt.encode(claims, b"x" * 32, "HS256", headers={"kid": key.id}),
        "a key that nobody knows": jwt.encode(claims, key.secret, "HS256", headers={"kid": "unknown"}),
        "another issuer": jwt.encode(claims | {"iss": "evil"}, key.secret, "HS256", headers={"kid": key.id}),
        "a session that never was": jwt.encode(claims | {"sid": "x"}, key.secret, "HS256", headers={"kid": key.id}),
        "an older version": jwt.encode(claims | {"ver": -1}, key.secret, "HS256", headers={"kid": key.id}),
        "no user": jwt.encode(claims | {"sub": "x"}, key.secret, "HS256", headers={"kid": key.id}),
        "nonsense": "a.b.c",
        "an API token that is none": "bongsu_api_" + "x" * 43,
    }
    for what, one in forged.items():
        assert await status_with(app, one) == 401, what
    app.clock.advance(15 * 60 + 1)
    assert code(await app.client.get("/api/servers", headers={"Authorization": f"Bearer {token}"})) == (
        401,
        "expired_token",
    )


async def test_a_rotated_key_is_good_until_what_it_signed_has_expired(app: RunningApp) -> None:
    token = (await log_in(app)).json()["access_token"]
    await app.services.auth.directory.rotate_keys()
    assert await status_with(app, token) == 200
    await app.services.auth.directory.rotate_keys(at_once=True)
    assert await status_with(app, token) == 401


async def test_a_refresh_token_that_is_used_twice_ends_the_session(app: RunningApp) -> None:
    first = await log_in(app)
    stolen = cookie_of(app)
    second = await refresh(app)
    newest = second.headers["set-cookie"].partition("=")[2].partition(";")[0]
    assert second.status_code == 200
    app.clock.advance(60)
    assert code(await refresh(app, stolen)) == (401, "session_reused")
    assert code(await refresh(app, newest)) == (401, "session_ended")
    for login in (first, second):
        assert await status_with(app, login.json()["access_token"]) == 401


async def test_two_tabs_that_refresh_at_once_both_stay_in(app: RunningApp) -> None:
    await log_in(app)
    cookie = cookie_of(app)
    assert (await refresh(app, cookie)).status_code == 200
    other = await refresh(app, cookie)
    assert other.status_code == 200
    assert "set-cookie" not in other.headers, "the first tab's answer holds the newest one"


async def test_the_cookie_is_for_scripts_of_this_site_alone(app: RunningApp) -> None:
    answer = await log_in(app)
    cookie = next(one for one in answer.headers.get_list("set-cookie") if "refresh" in one)
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/api/auth"))
    assert "Secure" not in cookie
    assert code(await app.client.post("/api/auth/refresh")) == (403, "cross_site")
    assert code(await refresh(app, None, Origin="https://evil.example")) == (403, "cross_site")
    assert code(await refresh(app, None, Origin="null")) == (403, "cross_site")
    assert (await refresh(app, None, Origin="http://127.0.0.1")).status_code == 200
    evil = {"Origin": "https://evil.example"}
    body = {"email": ADMIN, "password": PASSWORD}
    assert code(await app.client.post("/api/auth/login", json=body, headers=evil)) == (403, "cross_site")
    # The cookie alone opens nothing else.
    assert (await app.client.get("/api/servers")).status_code == 401
    https = await app.client.post("https://127.0.0.1/api/auth/login", json=body)
    assert all("Secure" in one for one in https.headers.get_list("set-cookie"))


async def test_logging_out_ends_access_at_once(app: RunningApp) -> None:
    here = (await log_in(app)).json()["access_token"]
    assert (await app.client.post("/api/auth/logout", headers=SCRIPT)).status_code == 204
    assert await status_with(app, here) == 401
    tokens = [(await log_in(app)).json()["access_token"] for _ in range(3)]
    headers = {"Authorization": f"Bearer {tokens[0]}"}
    assert (await app.client.delete("/api/account/sessions", headers=headers)).status_code == 204
    assert [await status_with(app, token) for token in tokens] == [401, 401, 401]


async def test_a_new_password_ends_the_other_sessions(app: RunningApp) -> None:
    other, here = [(await log_in(app)).json()["access_token"] for _ in range(2)]
    headers = {"Authorization": f"Bearer {here}"}
    body = {"current": "wrong", "new": "another beacon fire"}
    assert code(await app.client.put("/api/account/password", json=body, headers=headers)) == (400, "wrong_password")
    body["current"] = PASSWORD
    assert (await app.client.put("/api/account/password", json=body, headers=headers)).status_code == 204
    assert (await status_with(app, here), await status_with(app, other)) == (200, 401)
    assert (await log_in(app)).status_code == 401
    assert (await log_in(app, "another beacon fire")).status_code == 200


async def test_failures_lock_an_account_also_one_that_does_not_exist(tmp_path: Path) -> None:
    async with running_app(tmp_path, lockouts=Lockouts(account_and_address=3)) as app:
        for email in (ADMIN, "nobody@bongsu.test"):
            answers = [await log_in(app, "wrong", email) for _ in range(4)]
            assert [code(one)[1] for one in answers] == ["wrong_credentials"] * 3 + ["locked_out"], email
            assert answers[0].json() == (await log_in(app, "wrong", "third@bongsu.test")).json(), "tells nothing"
        locked = await log_in(app)
        assert code(locked) == (429, "locked_out")
        app.clock.advance(int(locked.headers["Retry-After"]) + 1)
        assert (await log_in(app, "wrong")).status_code == 401
        assert int((await log_in(app)).headers["Retry-After"]) > int(locked.headers["Retry-After"]), "each is longer"
        app.clock.advance(3_600)
        assert (await log_in(app)).status_code == 200
        entries = (await app.get("/api/audit", action="login"))["entries"]
        assert {one["actor_name"] for one in entries} == {ADMIN, "nobody@bongsu.test"}


async def test_an_unknown_account_costs_as_much_work_as_a_known_one(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords = app.services.auth.passwords
    passwords._verify(None, "x")
    disabled = await add_person(app, "viewer", password=PASSWORD)
    verified: list[str] = []
    real = passwords._hasher

    class Watched:
        """Notes what is verified."""

        def verify(self, stored: str, password: str) -> bool:
            verified.append(stored)
            return bool(real.verify(stored, password))

    monkeypatch.setattr(passwords, "_hasher", Watched())
    await log_in(app, "wrong")
    await log_in(app, "wrong", "nobody@bongsu.test")
    await log_in(app, "wrong", disabled.email)
    assert len(verified) == 3
    assert {one.partition("$p=")[0].split("$")[3] for one in verified} == {"m=1024,t=1,p=1"}


async def test_the_second_factor(app: RunningApp) -> None:
    headers = {"Authorization": f"Bearer {(await log_in(app)).json()['access_token']}"}
    client = app.client
    begun = (await client.post("/api/account/second-factor", json={"password": PASSWORD}, headers=headers)).json()
    assert begun["address"].startswith("otpauth://totp/Bongsu:")
    assert (await log_in(app)).status_code == 200, "nothing changes before a code was seen"
    totp = pyotp.TOTP(begun["secret"])

    def now() -> str:
        return totp.at(app.clock.now_ms() // 1000)

    wrong = await client.put("/api/account/second-factor", json={"code": "000000"}, headers=headers)
    assert code(wrong) == (400, "wrong_code")
    confirmed = await client.put("/api/account/second-factor", json={"code": now()}, headers=headers)
    assert confirmed.status_code == 204
    assert code(await log_in(app)) == (401, "second_factor_required")
    assert code(await log_in(app, "wrong")) == (401, "wrong_credentials"), "the password is asked for first"
    assert code(await log_in(app, code=now())) == (401, "wrong_code"), "a code is taken once"
    app.clock.advance(31)
    assert (await log_in(app, code=f"{now()[:3]} {now()[3:]}")).status_code == 200
    assert code(await log_in(app, code=now())) == (401, "wrong_code")
    async with _database_bytes(app) as content:
        assert begun["secret"].encode() not in content


class _database_bytes:  # noqa: N801
    """Everything that the SQLite files hold; nothing on PostgreSQL."""

    def __init__(self, app: RunningApp) -> None:
        self._folder = app.services.settings.data_dir

    async def __aenter__(self) -> bytes:
        return b"".join(file.read_bytes() for file in self._folder.glob("bongsu.db*"))

    async def __aexit__(self, *_: object) -> None:
        return None


async def test_no_secret_is_stored_as_it_is(app: RunningApp) -> None:
    answer = (await log_in(app)).json()
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    token = (await app.client.post("/api/tokens", json={"name": "x"}, headers=headers)).json()["token"]
    enrolment = (await app.client.post("/api/enrolment-tokens", json={"name": "x"}, headers=headers)).json()["token"]
    agent = await app.agent_token("agent-web-1")
    secrets = [PASSWORD, token, enrolment, agent, cookie_of(app), answer["access_token"]]
    async with _database_bytes(app) as content:
        for secret in secrets:
            assert secret.encode() not in content
        assert app.services.auth.directory.tokens.keys[0].secret not in content
    shown = json.dumps((await app.client.get("/api/audit", headers=headers)).json())
    assert not [secret for secret in secrets if secret in shown]


async def test_what_an_admin_changes_works_at_once(app: RunningApp) -> None:
    admin = {"Authorization": f"Bearer {(await log_in(app)).json()['access_token']}"}
    user = await add_person(app, "operator")
    token = await person_token(app, user)
    assert await status_with(app, token) == 200
    await app.client.patch(f"/api/users/{user.id}", json={"disabled": True}, headers=admin)
    assert await status_with(app, token) == 401
    await app.client.patch(f"/api/users/{user.id}", json={"disabled": False}, headers=admin)
    assert await status_with(app, token) == 401, "the session has ended"
    me = app.services.auth.directory.users[1]
    for change in ({"role": "viewer"}, {"disabled": True}):
        assert code(await app.client.patch(f"/api/users/{me.id}", json=change, headers=admin)) == (409, "last_admin")
    assert code(await app.client.delete(f"/api/users/{me.id}", headers=admin)) == (409, "last_admin")
    entries = (await app.client.get("/api/audit", params={"action": "user.update"}, headers=admin)).json()["entries"]
    assert (entries[1]["before"], entries[1]["after"]) == ({"disabled": False}, {"disabled": True})
    assert entries[0]["actor_name"] == ADMIN


async def test_an_api_token_may_no_more_than_its_owner(app: RunningApp) -> None:
    user = await add_person(app, "operator")
    headers = {"Authorization": f"Bearer {await person_token(app, user)}"}
    more = await app.client.post("/api/tokens", json={"name": "x", "scope": "admin"}, headers=headers)
    assert code(more) == (403, "forbidden")
    made = (
        await app.client.post("/api/tokens", json={"name": "x", "scope": "viewer", "days": 1}, headers=headers)
    ).json()
    assert await status_with(app, made["token"]) == 200
    assert await status_with(app, made["token"], "/api/audit") == 403
    assert await status_with(app, made["token"], "/api/tokens") == 403
    listed = (await app.client.get("/api/tokens", headers=headers)).json()["tokens"]
    assert [(one["id"], one["last_used_ms"]) for one in listed if one["id"] == made["id"]] == [
        (made["id"], app.clock.now_ms())
    ]
    app.clock.advance(86_401)
    assert await status_with(app, made["token"]) == 401


async def test_headers_of_a_page(app: RunningApp) -> None:
    for path in ("/", "/docs", "/redoc", "/api/health", "/api/nothing", "/api/servers"):
        headers = (await app.client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "unsafe" not in headers["content-security-policy"], path
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "strict-transport-security" not in headers
        assert "access-control-allow-origin" not in headers
    assert "strict-transport-security" in (await app.client.get("https://127.0.0.1/")).headers


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/..%2f..%2f..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/_nuxt/..%2f..%2fconfig.py",
        "/static/%00",
        "/..\\..\\config.py",
        "//etc/passwd",
    ],
)
async def test_no_path_leads_out_of_the_dashboard(app: RunningApp, path: str) -> None:
    response = await app.client.get(f"http://127.0.0.1{path}")
    assert b"root:" not in response.content
    assert b"import" not in response.content[:200]


async def test_text_that_would_be_sql_or_a_header_is_text(app: RunningApp) -> None:
    admin = {"Authorization": f"Bearer {(await log_in(app)).json()['access_token']}"}
    name = "'; DROP TABLE users; --"
    made = await app.client.post(
        "/api/users", json={"email": "b@example.com", "name": name, "password": PASSWORD}, headers=admin
    )
    assert made.json()["name"] == name
    assert (await app.client.get("/api/audit", params={"actor": "%' OR 1=1 --"}, headers=admin)).json()["entries"] == []
    crlf = await app.client.post("/api/tokens", json={"name": "a\r\nX-Evil: 1"}, headers=admin)
    assert crlf.status_code == 422
    assert "x-evil" not in (await app.client.get("/agent/install.sh", headers={"Host": "127.0.0.1"})).headers
    assert len((await app.client.get("/api/users", headers=admin)).json()["users"]) == 2


async def test_what_was_made_by_another_process_is_known(app: RunningApp, tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=app.clock) as other:
        token = (await log_in(app)).json()["access_token"]
        assert await status_with(other, token) == 200
        agent = await app.agent_token("agent-web-9")
        body = {"agent": {"agent_id": "agent-web-9", "name": "nine"}}
        push = {"Authorization": f"Bearer {agent}"}
        assert (await other.client.post("/api/metrics", json=body, headers=push)).status_code == 200
        await app.client.post("/api/auth/logout", headers=SCRIPT)
        await other.services.auth.directory.refresh()  # what happens once a second
        assert await status_with(other, token) == 401


def test_the_token_of_the_setup_is_not_in_the_environment_of_tests() -> None:
    assert "BONGSU_SETUP_TOKEN" not in os.environ
