"""What a new password ends: whoever had the old one may have made tokens with it."""

import asyncio
from pathlib import Path

import pytest

from bongsu.server.auth.audit import load_entries
from bongsu.server.commands import user as command
from tests.support.app import ADMIN, RunningApp, api_token, running_app
from tests.support.people import add_person, person_token

NEW = "another long secret"


async def status_with(app: RunningApp, token: str) -> int:
    return (await app.client.get("/api/servers", headers={"Authorization": f"Bearer {token}"})).status_code


@pytest.mark.parametrize(
    ("change", "status", "revoked"),
    [
        pytest.param({"password": NEW}, 401, 1, id="revoked by default"),
        pytest.param({"password": NEW, "revoke_api_tokens": True}, 401, 1, id="revoked"),
        pytest.param({"password": NEW, "revoke_api_tokens": False}, 200, 0, id="kept"),
        pytest.param({"name": "Lee"}, 200, None, id="another change"),
    ],
)
async def test_a_reset_by_an_admin(tmp_path: Path, change: dict[str, object], status: int, revoked: int | None) -> None:
    async with running_app(tmp_path) as app:
        admin = await person_token(app, app.services.auth.directory.users[1])
        user = await add_person(app, "viewer", password="the first secret")
        token = await api_token(app.services, user.id, "viewer")
        other = await api_token(app.services, 1)
        path, headers = f"/api/users/{user.id}", {"Authorization": f"Bearer {admin}"}
        assert (await app.client.patch(path, json=change, headers=headers)).status_code == 200
        assert (await status_with(app, token), await status_with(app, other)) == (status, 200)
        entry = (await app.get("/api/audit", action="user.update"))["entries"][0]
        assert entry["after"].get("revoked_api_tokens") == revoked


@pytest.mark.parametrize(
    ("options", "status"),
    [pytest.param([], 401, id="revoked by default"), pytest.param(["--keep-api-tokens"], 200, id="kept")],
)
async def test_a_reset_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], status: int
) -> None:
    monkeypatch.setenv("BONGSU_PASSWORD", NEW)
    async with running_app(tmp_path) as app:
        token = await api_token(app.services, 1)
        person = await person_token(app, app.services.auth.directory.users[1])
        arguments = ["password", ADMIN, "--data-dir", str(tmp_path), *options]
        assert await asyncio.to_thread(command.main, arguments) == 0
        await app.services.auth.directory.refresh()
        assert await status_with(app, token) == status
        assert await status_with(app, person) == 401, "sessions end in any case"
        entries = await app.services.database.read(lambda connection: load_entries(connection, action="user.update"))
        assert ("revoked_api_tokens" in (entries[0].after or {})) == (not options)
