"""What orchestrators and people who look for trouble rely on: probes, and ids of requests."""

import logging
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from bongsu.server.logs import request_id
from tests.support.app import running_app


async def test_probes_answer_without_an_account(tmp_path: Path) -> None:
    async with running_app(tmp_path, admin_email="", admin_password="") as app:
        for path in ("live", "ready"):
            answer = await app.client.get(f"/api/health/{path}")
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_without_its_database_it_lives_and_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_app(tmp_path) as app:

        async def away(*_: object) -> None:
            raise OperationalError("SELECT 1", {}, Exception("away"))

        monkeypatch.setattr(app.services.database, "read", away)
        assert (await app.client.get("/api/health/live")).status_code == 200
        answer = await app.client.get("/api/health/ready")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
        assert answer.headers["Retry-After"]


async def test_each_answer_has_the_id_that_the_log_has(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    filtering = logging.Filter()
    monkeypatch.setattr(filtering, "filter", lambda record: bool(logged.append(request_id.get())) or True)
    caplog.handler.addFilter(filtering)
    async with running_app(tmp_path) as app:
        monkeypatch.setattr(app.services.registry, "only", None)  # a bug
        monkeypatch.setattr("bongsu.server.auth.principal.Principal.view", None)
        answer = await app.client.get("/api/servers")
        other = await app.client.get("/api/health/live")
    sent = answer.headers["X-Request-Id"]
    assert answer.status_code == 500
    assert sent in answer.json()["error"]["message"]
    assert sent in logged
    assert other.headers["X-Request-Id"] not in ("", sent)


@pytest.mark.parametrize(("proxies", "believed"), [(["127.0.0.1"], True), ([], False)])
async def test_ids_of_trusted_proxies_are_kept(tmp_path: Path, proxies: list[str], believed: bool) -> None:
    async with running_app(tmp_path, trusted_proxies=proxies) as app:
        for sent, valid in (("from-the-proxy.1", True), ("x" * 65, False), ("a b", False)):
            answer = await app.client.get("/api/health/live", headers={"X-Request-Id": sent})
            assert (answer.headers["X-Request-Id"] == sent) is (believed and valid)
