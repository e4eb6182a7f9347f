"""``bongsu config``: what is shown, and what keeps Bongsu from starting."""

from pathlib import Path

import pytest
import yaml

from bongsu.server.commands.config import MASKED, main
from bongsu.server.config import load_settings
from tests.support.redis import Redis, redis

__all__ = ["redis"]


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["show", *arguments]) == 0
    return capsys.readouterr().out


def checked(capsys: pytest.CaptureFixture[str], folder: Path) -> tuple[int, list[str]]:
    status = main(["check", "--data-dir", str(folder)])
    return status, capsys.readouterr().out.splitlines()


def test_what_is_shown_is_a_settings_file_that_says_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "server.yml"
    file.write_text("port: 9000\nlimits: {body_bytes: 4096}\ntrusted_proxies: [10.0.0.0/8]\n")
    monkeypatch.setenv("BONGSU_LIMITS__LABEL_BYTES", "99")
    text = shown(capsys, "--config", str(file), "--data-dir", str(tmp_path))
    again = tmp_path / "again.yml"
    again.write_text(text)
    assert load_settings(again) == load_settings(file, data_dir=tmp_path)
    sources = dict(line.replace(" ", "").split("#") for line in text.splitlines() if "#" in line)
    assert sources["port:9000"] == sources["body_bytes:4096"] == str(file)
    assert sources["label_bytes:99"] == "BONGSU_LIMITS__LABEL_BYTES"
    assert sources["host:127.0.0.1"] == "default"
    assert sources[f"data_dir:{tmp_path}"] == "commandline"


def test_secrets_are_masked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("hush-file")
    for name, text in {
        "DATABASE_URL": "postgresql://bongsu:hush-url@db/bongsu",
        "REDIS_URL": "redis://:hush-redis@cache:6379/0",
        "ADMIN_PASSWORD": "hush-password",
        "SECRET_KEY": "hush-key",
        "ALERT_HEARTBEAT_URL": "https://example.com/hush-beat",
        "OIDC__CLIENT_SECRET_FILE": str(tmp_path / "secret"),
    }.items():
        monkeypatch.setenv(f"BONGSU_{name}", text)
    text = shown(capsys)
    assert "hush" not in text
    settings = yaml.safe_load(text)
    assert settings["database_url"] == "postgresql://bongsu:***@db/bongsu"
    assert settings["oidc"]["client_secret"] == settings["admin_password"] == MASKED
    assert settings["password_hashing"]["passes"] > 0


def test_all_is_well_with_the_defaults_and_nothing_is_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, lines = checked(capsys, tmp_path / "new")
    assert status == 0
    assert all(line.startswith("ok ") for line in lines)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("RETENTON_RAW", "3d", "environment: BONGSU_RETENTON_RAW is no setting; do you mean BONGSU_RETENTION_RAW?"),
        ("SECRET_KEY", "short", "secret_key: "),
        ("DATABASE_URL", "postgresql://u:hush@127.0.0.1:1/x", "database: Cannot open the database postgresql://u:***@"),
        ("TLS_CERTIFICATE", "/nowhere.pem", "tls_certificate: tls_key: a certificate needs its private key."),
        ("REDIS_URL", "redis://127.0.0.1:1", "redis_url: Redis does not answer"),
        ("ALERT_RULES_FILE", "/nowhere.yml", "alert_rules_file: /nowhere.yml"),
        ("DASHBOARDS_DIR", "/nowhere", "dashboards_dir: "),
    ],
)
def test_what_is_wrong_is_told_and_the_rest_is_checked(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    text: str,
    says: str,
) -> None:
    monkeypatch.setenv(f"BONGSU_{variable}", text)
    status, lines = checked(capsys, tmp_path)
    assert status == 1
    (wrong,) = [line for line in lines if line.startswith("FAIL")]
    assert wrong.startswith(f"FAIL  {says}")
    assert len(lines) >= 4


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "server.yml"
    file.write_text("prot: 1\n")
    assert main(["check", "--config", str(file)]) == 2
    assert capsys.readouterr().err == f"bongsu config: {file}: there is no setting prot.\n"


def test_parts_that_are_there_are_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, redis: Redis
) -> None:
    dashboards = tmp_path / "dashboards"
    dashboards.mkdir()
    (dashboards / "wrong.json").write_text("[]")
    monkeypatch.setenv("BONGSU_DASHBOARDS_DIR", str(dashboards))
    monkeypatch.setenv("BONGSU_REDIS_URL", redis.url)
    status, lines = checked(capsys, tmp_path)
    assert status == 1
    assert f"ok    redis_url: {redis.url}" in lines
    (wrong,) = [line for line in lines if line.startswith("FAIL")]
    assert wrong.startswith("FAIL  dashboards_dir: wrong.json")
