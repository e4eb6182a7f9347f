"""Dashboards that are shared by link: what is seen without a login, what is hidden, and when the link ends."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, insert, select

from bongsu.core.series import Kind, Layout, Series
from bongsu.server.auth.directory import PEOPLE
from bongsu.server.auth.queries.accounts import UserRecord, update_user
from bongsu.server.dashboards import shares
from bongsu.server.database.tables import alerts, dashboard_shares
from tests.support.app import RunningApp, running_app
from tests.support.people import add_person, person_token
from tests.support.pushes import a_frame, a_push

CPU = Series("cpu_usage_ratio", (), "ratio", Kind.GAUGE)
DISK = Series("filesystem_usage_ratio", (("device", "/dev/mapper/acme-data"), ("mountpoint", "/srv/acme")), "ratio")
PEER = Series("peer_seconds", (("peer", "10.20.30.40"),), "seconds", Kind.GAUGE)
RECEIVED = Series("network_receive_bytes_total", (("interface", "eth0"),), "bytes", Kind.COUNTER)
LAYOUT = Layout.of((CPU, DISK, PEER, RECEIVED))
# What must not be seen where it is hidden.
SECRETS = ("bank-1", "bank-2", "acme", "10.20.30.40")


def a_widget(kind: str, name: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "type": kind, "place": {"x": 0, "y": 0, "w": 4, "h": 3}, "config": config}


def of_metrics(*metrics: str, **more: Any) -> dict[str, Any]:
    return {"source": {"metrics": list(metrics), **more}}


DOCUMENT: dict[str, Any] = {
    "title": "Health of bank-1",
    "description": "Runs at 10.20.30.40",
    "tags": ["acme"],
    "variables": [{"name": "host", "type": "server", "values": ["bank-1"]}],
    "widgets": [
        a_widget("chart", "cpu", of_metrics("cpu_usage_ratio")),
        a_widget("stat", "fleet", of_metrics("cpu_usage_ratio", combine="avg")),
        a_widget("stat", "traffic", of_metrics("network_receive_bytes_total", combine="sum")),
        a_widget("top", "disks", of_metrics("filesystem_usage_ratio", labels=["mountpoint=/srv/acme"])),
        a_widget("table", "one", of_metrics("peer_seconds", servers={"names": ["$host"]})),
        a_widget("stat", "first", of_metrics("filesystem_usage_ratio")),
        a_widget("chart", "unfinished", {"source": {"metrics": [], "servers": {"names": ["bank-2"]}}}),
        a_widget("servers", "states", {}),
        a_widget("alerts", "alerts", {}),
        a_widget("text", "notes", {"markdown": "Ask whoever runs bank-2."}),
        a_widget("globe", "later", {"host": "bank-1"}) | {"version": 3, "secret": "acme"},
        a_widget("chart", "broken", of_metrics("cpu_usage_ratio", labels=["acme"])),
    ],
}


async def push(app: RunningApp, *names: str) -> None:
    """Two frames of each server, 10 s apart."""
    for seconds in (0, 10):
        app.clock.advance(seconds)
        now = app.clock.now_ms()
        for place, name in enumerate(names):
            values = (0.2 + 0.4 * place, 0.5, 0.01, 1_000.0 * (place + 1) * seconds)
            answer = await app.push(a_push([a_frame(now, values, LAYOUT)], name=name, layouts=[LAYOUT]))
            assert answer.status_code == 200, answer.text
    app.clock.advance(1)


async def log_in(app: RunningApp, role: str = "operator", **more: Any) -> UserRecord:
    """The client is somebody of this role from now on."""
    user = await add_person(app, role, **more)
    app.client.headers["Authorization"] = f"Bearer {await person_token(app, user)}"
    return user


async def shared(app: RunningApp, document: dict[str, Any] = DOCUMENT, **settings: Any) -> dict[str, Any]:
    """A link of the person who is logged in to a dashboard of its own."""
    created = await app.client.post("/api/dashboards", json={"dashboard": document})
    assert created.status_code == 201, created.text
    body = {"name": "Customers", **settings}
    answer = await app.client.post(f"/api/dashboards/{created.json()['id']}/shares", json=body)
    assert answer.status_code == 201, answer.text
    share: dict[str, Any] = answer.json() | {"dashboard_id": created.json()["id"]}
    return share


async def see(app: RunningApp, share: dict[str, Any], what: str = "", *, token: str = "", **query: Any) -> Any:
    """An answer to somebody who has the link and nothing else."""
    answer = await ask(app, share, what, token=token, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ask(
    app: RunningApp, share: dict[str, Any], what: str = "", *, token: str = "", **query: Any
) -> httpx.Response:
    key = share["path"].rpartition("/")[2]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(app.application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as visitor:
        return await visitor.get(f"/api/shared/{key}{what}", params=query or None)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def add_alert(connection: Connection, server_id: int, name: str) -> None:
    connection.execute(
        insert(alerts).values(
            rule_id=1, rule_name=f"Disk of {name}", severity="warning", priority=2, server_id=server_id,
            server_name=name, series=str(DISK), state="firing", reason="breach", since_ms=1, fired_ms=2, no_data=False,
            flapping=False, owes=False, escalated=0, decided="", acknowledged_by="", acknowledged_comment="",
        )
    )  # fmt: skip


async def test_whoever_has_the_link_sees_the_dashboard_and_nothing_else(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await push(app, "bank-1", "bank-2")
        await app.services.database.write(lambda connection: add_alert(connection, 2, "bank-2"))
        await log_in(app)
        share = await shared(app)
        seen = await see(app, share)
        assert (seen["status_page"], seen["redact"], seen["dashboard"]["title"]) == (False, [], "Health of bank-1")
        sources = {one["id"]: one["config"].get("source") for one in seen["dashboard"]["widgets"]}
        assert sources["disks"] | {"labels": [], "servers": {"names": [], "tags": []}} == sources["disks"]
        present = await see(app, share, "/present")
        assert [(one["name"], one["state"]) for one in present["servers"]] == [("bank-1", "up"), ("bank-2", "up")]
        assert [(one["rule_name"], one["server_name"]) for one in present["alerts"]] == [("Disk of bank-2", "bank-2")]
        widgets = present["widgets"]
        assert "broken" not in widgets
        assert [one["series"][0]["value"] for one in widgets["cpu"]["current"]] == [0.2, pytest.approx(0.6)]
        (fleet,) = widgets["fleet"]["groups"]
        assert (fleet["value"], fleet["min"], fleet["max"]) == pytest.approx((0.4, 0.2, 0.6))
        (traffic,) = widgets["traffic"]["groups"]
        assert traffic["value"] == pytest.approx(3_000.0)
        assert widgets["fleet"]["current"] == widgets["fleet"]["servers"] == []
        # A variable is what it is at first.
        assert widgets["one"]["servers"] == [1]
        history = await see(app, share, "/history", widget="fleet")
        assert history["series"][0]["values"] == pytest.approx([0.4, 0.4])
        assert (await see(app, share, "/history", widget="cpu", range="24h", points=500))["series"][1]["server_id"] == 2
        for path in ("/api/servers", "/api/dashboards", f"/api/dashboards/{share['dashboard_id']}", "/api/account"):
            key = share["path"].rpartition("/")[2]
            answer = await app.client.get(path, headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == 401, path


async def test_what_is_hidden_is_nowhere_in_the_answers(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await push(app, "bank-1", "bank-2")
        await app.services.database.write(lambda connection: add_alert(connection, 1, "bank-1"))
        await log_in(app)
        share = await shared(app, redact=["hosts", "addresses", "mountpoints"])
        answers = [await see(app, share), await see(app, share, "/present")]
        answers += [await see(app, share, "/history", widget=name) for name in ("cpu", "disks", "one", "first")]
        for answer in answers:
            text = json.dumps(answer)
            assert not [secret for secret in SECRETS if secret in text], text
        dashboard, present, _, disks, one, first = answers
        # It says that there are more series, but not which.
        assert (len(first["series"]), first["next"]) == (1, "more")
        assert dashboard["dashboard"]["title"] == "Health of server-1"
        assert [server["name"] for server in present["servers"]] == ["server-1", "server-2"]
        (alert,) = present["alerts"]
        assert alert["rule_name"] == "Disk of server-1"
        hidden = disks["series"][0]["labels"]["mountpoint"]
        assert f'mountpoint="{hidden}"' in alert["series"]
        assert present["widgets"]["disks"]["current"][0]["series"][0]["labels"]["mountpoint"] == hidden
        assert one["series"][0]["labels"]["peer"].startswith("address-")


async def test_a_link_ends_when_it_expires_is_revoked_or_its_maker_may_not_share(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await push(app, "bank-1")
        maker = await log_in(app)
        expiring = await shared(app, expires_ms=app.clock.now_ms() + 60_000)
        assert (await ask(app, expiring, "/present")).status_code == 200
        app.clock.advance(60)
        for what in ("", "/present", "/history?widget=cpu"):
            assert code(await ask(app, expiring, what)) == (404, "unknown_share")
        base = f"/api/dashboards/{expiring['dashboard_id']}/shares"
        (listed,) = (await app.client.get(base)).json()["shares"]
        assert (listed["works"], listed["path"]) == (False, expiring["path"])
        revoked = (await app.client.post(base, json={"name": "Another"})).json()
        assert (await ask(app, revoked, "/present")).status_code == 200
        assert (await app.client.delete(f"{base}/{revoked['id']}")).status_code == 204
        assert code(await ask(app, revoked, "/present")) == (404, "unknown_share")
        assert code(await app.client.delete(f"{base}/{revoked['id']}")) == (404, "unknown_share")
        orphan = (await app.client.post(base, json={"name": "A third"})).json()
        directory = app.services.auth.directory
        await directory.change(PEOPLE, lambda connection: update_user(connection, maker.id, role="viewer"))
        assert code(await ask(app, orphan)) == (404, "unknown_share")
        await directory.change(PEOPLE, lambda connection: update_user(connection, maker.id, role="operator"))
        assert (await ask(app, orphan)).status_code == 200
        assert (await app.client.delete(f"/api/dashboards/{expiring['dashboard_id']}")).status_code == 204
        assert code(await ask(app, orphan)) == (404, "unknown_share")
        left = await app.services.database.read(lambda connection: connection.execute(select(dashboard_shares)).all())
        assert left == []


async def test_a_link_shows_only_servers_that_its_maker_may_see(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await push(app, "bank-1", "bank-2")
        assert (await app.client.put("/api/servers/2/tags", json={"tags": {"team": "b"}})).status_code == 200
        await app.services.database.write(lambda connection: add_alert(connection, 1, "bank-1"))
        await log_in(app, tags={"team": "b"})
        share = await shared(app)
        present = await see(app, share, "/present")
        assert ([server["id"] for server in present["servers"]], present["alerts"]) == ([2], [])
        assert present["widgets"]["fleet"]["groups"][0]["value"] == pytest.approx(0.6)
        assert [one["server_id"] for one in (await see(app, share, "/history", widget="cpu"))["series"]] == [2]


async def test_a_password_opens_a_link_until_it_has_been_guessed_too_often(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await push(app, "bank-1")
        await log_in(app)
        share = await shared(app, password="open sesame")
        for what in ("", "/present", "/history?widget=cpu"):
            assert code(await ask(app, share, what)) == (403, "password_needed")
        unlock = f"/api/shared/{share['path'].rpartition('/')[2]}/unlock"
        opened = await app.client.post(unlock, json={"password": "open sesame"})
        assert opened.status_code == 200, opened.text
        token = opened.json()["token"]
        assert (await see(app, share, token=token))["dashboard"]["title"] == "Health of bank-1"
        other = await shared(app, password="open sesame")
        assert code(await ask(app, other, token=token)) == (403, "password_needed")
        app.clock.advance(shares.PASS_MS // 1000)
        assert code(await ask(app, share, token=token)) == (403, "password_needed")
        answers = [await app.client.post(unlock, json={"password": "guessed"}) for _ in range(30)]
        assert code(answers[0]) == (403, "wrong_password")
        assert code(answers[-1]) == (429, "locked_out")
        assert code(await app.client.post(unlock, json={"password": "open sesame"})) == (429, "locked_out")


async def test_a_status_page_has_an_address_that_people_chose(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await push(app, "bank-1")
        await log_in(app)
        share = await shared(app, address="bank", redact=["hosts"])
        assert share["path"] == "/status/bank"
        assert (await see(app, share))["status_page"] is True
        base = f"/api/dashboards/{share['dashboard_id']}/shares"
        taken = await app.client.post(base, json={"name": "Again", "address": "bank"})
        assert code(taken) == (409, "address_taken")


async def test_only_named_sites_may_embed_it(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await log_in(app)
        plain = await shared(app)
        share = await shared(app, origins=["https://intranet.example.com", "http://localhost:8080"])
        allowed = (await app.client.get(share["path"])).headers
        assert (
            "frame-ancestors https://intranet.example.com http://localhost:8080" in allowed["content-security-policy"]
        )
        assert "x-frame-options" not in allowed
        head = await app.client.head(share["path"])
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-security-policy"] == allowed["content-security-policy"]
        key = share["path"].rpartition("/")[2]
        for path in (plain["path"], "/shared/bongsu_share_guessed", f"/dashboards/{key}", "/shared/"):
            headers = (await app.client.get(path)).headers
            assert "frame-ancestors 'none'" in headers["content-security-policy"], path
            assert headers["x-frame-options"] == "DENY", path


@pytest.mark.parametrize(
    ("settings", "status", "field"),
    [
        ({"expires_ms": 1}, 400, "expires_ms"),
        ({"password": "short"}, 400, "password"),
        ({"origins": ["https://a.example; script-src *"]}, 422, "origins.0"),
        ({"origins": ["*"]}, 422, "origins.0"),
        ({"address": "../users"}, 422, "address"),
        ({"redact": ["everything"]}, 422, "redact.0"),
        ({"name": ""}, 422, "name"),
    ],
)
async def test_settings_that_make_no_sense_are_refused(
    tmp_path: Path, settings: dict[str, Any], status: int, field: str
) -> None:
    async with running_app(tmp_path) as app:
        await log_in(app)
        created = await app.client.post("/api/dashboards", json={"dashboard": DOCUMENT})
        path = f"/api/dashboards/{created.json()['id']}/shares"
        answer = await app.client.post(path, json={"name": "Customers"} | settings)
        assert (answer.status_code, answer.json()["error"]["field"]) == (status, field), answer.text


async def test_nobody_asks_for_more_than_the_page_shows(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await push(app, "bank-1")
        await log_in(app)
        share = await shared(app)
        assert code(await ask(app, share, "/history", widget="notes")) == (404, "unknown_widget")
        assert code(await ask(app, share, "/history", widget="cpu", range="3650d")) == (404, "not_shared")
        assert code(await ask(app, share, "/history", widget="cpu", before=3)) == (404, "not_shared")
        assert code(await ask(app, share, "/history", widget="cpu", points=10_000)) == (422, "invalid_input")


async def test_who_may_make_links(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await log_in(app, "viewer")
        created = (await app.client.post("/api/dashboards", json={"dashboard": DOCUMENT})).json()
        path = f"/api/dashboards/{created['id']}/shares"
        assert code(await app.client.post(path, json={"name": "Mine"})) == (403, "forbidden")
        await log_in(app, "operator")
        assert code(await app.client.post(path, json={"name": "Not mine"})) == (404, "unknown_dashboard")
        await log_in(app, "admin")
        made = (await app.client.post(path, json={"name": "By an admin"})).json()
        assert made["works"] is True
        assert (await ask(app, made)).status_code == 200
        actions = [one["action"] for one in (await app.get("/api/audit", action="dashboard"))["entries"]]
        assert actions == ["dashboard.share_by_link", "dashboard.create"]
        assert made["path"] not in json.dumps(await app.get("/api/audit"))


async def test_there_is_a_limit_of_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "MOST_SHARES", 1)
    async with running_app(tmp_path) as app:
        await log_in(app)
        share = await shared(app)
        answer = await app.client.post(f"/api/dashboards/{share['dashboard_id']}/shares", json={"name": "Second"})
        assert code(answer) == (429, "too_many_shares")


async def test_a_thousand_visitors_cost_as_much_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_app(tmp_path) as app:
        await push(app, "bank-1")
        await log_in(app)
        share = await shared(app)
        runs = 0
        run = app.services.history.run

        async def counted(*given: Any, **named: Any) -> Any:
            nonlocal runs
            runs += 1
            return await run(*given, **named)

        monkeypatch.setattr(app.services.history, "run", counted)
        answers = await asyncio.gather(*(ask(app, share, "/history", widget="cpu") for _ in range(20)))
        assert ({answer.status_code for answer in answers}, runs) == ({200}, 1)
