"""Channels over the API: where stored secrets may go, and who may touch which channel."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.alerting import a_rule, make, send_cpu
from tests.support.app import RunningApp, api_token, running_app
from tests.support.endpoints import endpoint
from tests.support.people import add_person

EMAIL = {
    "host": "mail.example.com",
    "username": "bongsu",
    "password": "s3cret",
    "sender": "bongsu@example.com",
    "to": ["kim@example.com"],
}
SMS = {"account_sid": "AC0123", "auth_token": "s3cret", "sender": "Bongsu", "to": ["+821012345678"]}
WEBHOOK = {"url": "https://hooks.example.com/x", "secret": "s3cret"}


def without(config: dict[str, Any], *names: str, **changes: Any) -> dict[str, Any]:
    """The config without its secrets, and with changes."""
    return {name: value for name, value in config.items() if name not in names} | changes


@pytest.mark.parametrize(
    ("kind", "stored", "changed", "field"),
    [
        pytest.param("email", EMAIL, without(EMAIL, "password", host="evil.example"), "config.password", id="another mail server"),
        pytest.param("email", EMAIL, without(EMAIL, "password", port=2525), "config.password", id="another port"),
        pytest.param("email", EMAIL, without(EMAIL, "password", verify=False), "config.password", id="any certificate"),
        pytest.param("sms", SMS, without(SMS, "auth_token", api_url="https://evil.example"), "config.auth_token", id="another SMS service"),
        pytest.param("webhook", WEBHOOK, {"url": "https://evil.example"}, "config.secret", id="another webhook"),
    ],
)  # fmt: skip
async def test_a_new_destination_wants_the_secret_again(
    tmp_path: Path, kind: str, stored: dict[str, Any], changed: dict[str, Any], field: str
) -> None:
    document = {"name": "channel", "type": kind}
    async with running_app(tmp_path) as app:
        created = await make(app, "channels", document | {"config": stored})
        path = f"/api/alerts/channels/{created['id']}"
        answer = await app.client.put(path, json=document | {"config": changed})
        assert answer.status_code == 400, answer.text
        assert (answer.json()["error"]["code"], answer.json()["error"]["field"]) == ("secret_needed", field)
        assert (await app.get(path))["channel"] == created["channel"], "nothing has changed"
        again = changed | {field.removeprefix("config."): "s3cret"}
        assert (await app.client.put(path, json=document | {"config": again})).status_code == 200


@pytest.mark.parametrize(
    ("kind", "stored", "changed"),
    [
        pytest.param("email", EMAIL, without(EMAIL, "password", to=["lee@example.com"]), id="other recipients"),
        pytest.param("sms", SMS, without(SMS, "auth_token", parts=3), id="longer messages"),
        pytest.param("webhook", WEBHOOK, {"url": WEBHOOK["url"]}, id="the same address again"),
        pytest.param("webhook", WEBHOOK, {}, id="nothing"),
        pytest.param("webhook", {"url": WEBHOOK["url"]}, {"url": "https://new.example"}, id="an address, without a secret"),
    ],
)  # fmt: skip
async def test_secrets_stay_where_the_destination_does(
    tmp_path: Path, kind: str, stored: dict[str, Any], changed: dict[str, Any]
) -> None:
    document = {"name": "channel", "type": kind}
    async with running_app(tmp_path) as app:
        created = await make(app, "channels", document | {"config": stored})
        answer = await app.client.put(f"/api/alerts/channels/{created['id']}", json=document | {"config": changed})
        assert (answer.status_code, answer.json().get("secrets")) == (200, created["secrets"])


async def test_a_test_message_shows_no_answer_of_another_server(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        with endpoint() as internal:
            internal.usual = (500, {}, "db_password=hunter2")
            hook = await make(app, "channels", {"name": "hook", "type": "webhook", "config": {"url": internal.url}})
            answer = await app.client.post(f"/api/alerts/channels/{hook['id']}/test")
            text = "The webhook answered 500."
            note = {"code": "status", "parameters": {"service": "webhook", "status": 500}, "text": text}
            assert answer.json() == {"sent": False, "answer": text, "notes": [note], "retryable": True}
            assert len(internal.received) == 1


async def test_a_test_message_does_not_reach_a_metadata_service(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        config = {"url": "http://169.254.169.254/latest/meta-data/"}
        hook = await make(app, "channels", {"name": "hook", "type": "webhook", "config": config})
        answer = (await app.client.post(f"/api/alerts/channels/{hook['id']}/test")).json()
        assert (answer["sent"], answer["retryable"]) == (False, False)
        assert "alert_allowed_addresses" in answer["answer"]


class _Fleet:
    """Two servers of two teams, and an admin of team a."""

    def __init__(self, app: RunningApp, headers: dict[str, str]) -> None:
        self.app = app
        self.headers = headers

    async def request(self, method: str, path: str, document: Any = None) -> httpx.Response:
        """As the admin of team a."""
        return await self.app.client.request(method, f"/api{path}", json=document, headers=self.headers)


async def _fleet(app: RunningApp) -> _Fleet:
    for server_id, team in enumerate(("a", "b"), 1):
        await send_cpu(app, 0.5, name=f"{team}-1")
        tagged = await app.client.put(f"/api/servers/{server_id}/tags", json={"tags": {"team": team}})
        assert tagged.status_code == 200
    person = await add_person(app, "admin", tags={"team": "a"})
    token = await api_token(app.services, person.id, tags={"team": "a"})
    return _Fleet(app, {"Authorization": f"Bearer {token}"})


HOOK = {"name": "hook", "type": "webhook", "config": {"url": "https://hooks.example.com/x"}}


@pytest.mark.parametrize(
    ("channel", "rules"),
    [
        pytest.param({"default": True}, [], id="a default"),
        pytest.param({}, [{"scope": {}}], id="a rule about all servers"),
        pytest.param({}, [{"scope": {"without_names": ["b-*"]}}], id="a rule about all servers but some"),
        pytest.param({}, [{"scope": {"tags": {"team": "b"}}}], id="a rule about the other team"),
        pytest.param({}, [{"scope": {"servers": [1]}}, {"scope": {"names": ["?-1"]}, "name": "second"}], id="one of two rules"),
        pytest.param({}, [{"channels": [], "escalation": [{"after": "5m", "channels": ["hook"]}]}], id="an escalation"),
    ],
)  # fmt: skip
async def test_admins_do_not_touch_channels_of_servers_they_may_not_see(
    tmp_path: Path, channel: dict[str, Any], rules: list[dict[str, Any]]
) -> None:
    async with running_app(tmp_path) as app:
        fleet = await _fleet(app)
        hook = await make(app, "channels", HOOK | channel)
        for rule in rules:
            await a_rule(app, **({"channels": ["hook"]} | rule))
        path = f"/alerts/channels/{hook['id']}"
        assert (await fleet.request("GET", "/alerts/channels")).json() == {"channels": []}
        for method, place, document in (
            ("GET", path, None),
            ("PUT", path, HOOK),
            ("POST", f"{path}/test", None),
            ("DELETE", path, None),
        ):
            answer = await fleet.request(method, place, document)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_channel"), method
        assert len((await app.get("/api/alerts/channels"))["channels"]) == 1


async def test_admins_with_tags_manage_the_channels_of_their_servers(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        fleet = await _fleet(app)
        await a_rule(app, channels=["hook"], scope={"names": ["a-*"]})
        await a_rule(app, name="Other", channels=["theirs"])
        made = await fleet.request("POST", "/alerts/channels", HOOK)
        assert made.status_code == 201, made.text
        path = f"/alerts/channels/{made.json()['id']}"
        listed = (await fleet.request("GET", "/alerts/channels")).json()["channels"]
        assert [channel["channel"]["name"] for channel in listed] == ["hook"]
        for change in ({"default": True}, {"name": "theirs"}):
            for method, place in (("PUT", path), ("POST", "/alerts/channels")):
                answer = await fleet.request(method, place, HOOK | {"name": "new"} | change)
                assert (answer.status_code, answer.json()["error"]["code"]) == (403, "restricted"), (method, change)
        assert (await fleet.request("PUT", path, HOOK | {"language": "ko"})).status_code == 200
        assert (await fleet.request("DELETE", path)).status_code == 200


async def test_admins_with_tags_do_not_lift_their_own_limits(tmp_path: Path) -> None:
    """An admin who could make another admin, or reset the password of one, would see all servers with that account."""
    async with running_app(tmp_path) as app:
        await _fleet(app)
        restricted = await add_person(app, "admin", tags={"team": "a"})
        login = await app.services.auth.sessions.begin(restricted, "127.0.0.1", "tests")
        headers = {"Authorization": f"Bearer {login.access_token}"}
        new = {"email": "new@bongsu.test", "name": "New", "role": "admin", "password": "a long enough secret"}
        for method, path, document in (
            ("POST", "/api/users", new),
            ("PATCH", f"/api/users/{restricted.id}", {"tags": {}}),
            ("PATCH", "/api/users/1", {"password": "another long secret"}),
            ("DELETE", "/api/users/1", None),
        ):
            answer = await app.client.request(method, path, json=document, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "restricted"), (method, path)
        unrestricted = next(iter(app.services.auth.directory.api_tokens.values()))
        deleted = await app.client.delete(f"/api/tokens/{unrestricted.id}", headers=headers)
        assert deleted.status_code == 404
