"""Settings and times as people write them."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from scripts.settings import with_table

from bongsu.core.errors import ConfigError, InvalidInput
from bongsu.server.api.timerange import parse_range, parse_time_ms
from bongsu.server.config import Settings, load_settings
from bongsu.server.database.database import open_database
from bongsu.server.variables import UnknownVariable, setting_names, unknown_variables
from tests.support.repository import REPOSITORY

NOW = 1_750_000_000_000


def test_command_line_beats_environment_beats_file_beats_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "server.yml"
    file.write_text("port: 1001\nhost: 127.0.0.2\nlimits:\n  body_bytes: 2048\n")
    monkeypatch.setenv("BONGSU_PORT", "1002")
    monkeypatch.setenv("BONGSU_LIMITS__FRAMES_PER_REQUEST", "7")
    settings = load_settings(file)
    assert (settings.port, settings.host) == (1002, "127.0.0.2")
    assert (settings.limits.body_bytes, settings.limits.frames_per_request) == (2048, 7)
    assert load_settings(file, port=1003).port == 1003
    monkeypatch.setenv("BONGSU_CONFIG", str(file))
    assert load_settings().host == "127.0.0.2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("prot: 1", "there is no setting prot", id="misspelt"),
        pytest.param("port: many", "port: ", id="not a number"),
        pytest.param("limits: {body_bytes: 1}", "limits.body_bytes", id="under the least"),
        pytest.param("limits: {bytes: 1}", "limits.bytes", id="misspelt limit"),
        pytest.param("- a", "keys and values", id="a list"),
        pytest.param("a: [", "server.yml", id="not YAML"),
        pytest.param("retention_raw: 7", "retention_raw", id="a duration without a unit"),
        pytest.param("public_url: monitor.example.com", "public_url: .*must be a URL", id="no URL"),
        pytest.param(
            "public_url: 'https://example.org/a b'", "public_url: .*letters, digits", id="a space in the path"
        ),
        pytest.param("public_url: https://example.org/a/../b", "public_url: .*letters, digits", id="a step up"),
        pytest.param("public_url: https://example.org//a", "public_url: .*single slashes", id="a slash too many"),
        pytest.param("public_url: https://example.org/api", "public_url: .*with /api,", id="a path of the API"),
        pytest.param("public_url: https://example.org/a?b", "public_url: .*must be a URL", id="a query"),
    ],
)
def test_a_bad_file_is_named_with_its_key(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "server.yml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_settings(file)


def test_the_example_holds_every_setting_with_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/var/lib")
    lines = (REPOSITORY / "config" / "server.yml").read_text().splitlines()
    # A commented-out setting is "# key: value" or, nested, "#   key: value"; prose has no such form.
    settings = [line[2:] for line in lines if re.match(r"# (  )?[a-z0-9_]+:( |$)", line)]
    file = tmp_path / "server.yml"
    file.write_text("\n".join(settings))
    assert load_settings(file) == load_settings()
    named: dict[str, set[str]] = {}
    for line in settings:
        key = line.strip().partition(":")[0]
        if line[0] != " ":
            inner = named.setdefault(key, set())
        else:
            inner.add(key)
    groups = {key: field.annotation for key, field in Settings.model_fields.items()}
    assert named == {
        key: set(group.model_fields) if isinstance(group, type) and issubclass(group, BaseModel) else set()
        for key, group in groups.items()
    }


def test_the_document_has_every_setting_as_it_is() -> None:
    text = (REPOSITORY / "docs" / "configuration.md").read_text()
    assert text == with_table(text), "run: make api"
    described = [line for line in text.splitlines() if line.startswith("| `") and "`BONGSU_" in line]
    assert len(described) == len(list(setting_names()))
    assert not [line for line in described if line.endswith("| None |")]


def test_the_examples_are_read_without_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(REPOSITORY / "config" / "production.yml")
    assert settings.trusted_proxies == ["127.0.0.1/32", "::1/128"]
    lines = (REPOSITORY / "config" / ".env.example").read_text().splitlines()
    variables = dict(line.removeprefix("# ").split("=", 1) for line in lines if re.match(r"(# )?BONGSU_\w+=", line))
    assert not unknown_variables(variables)
    for name, text in variables.items():
        if name.endswith("_FILE"):
            (tmp_path / name).write_text("")
        monkeypatch.setenv(name, str(tmp_path / name) if name.endswith("_FILE") else text)
    assert load_settings().storage_budget == "20GB"


@pytest.mark.parametrize(
    ("name", "resembles"),
    [
        ("BONGSU_RETENTON_RAW", "BONGSU_RETENTION_RAW"),
        ("BONGSU_LIMITS_BODY_BYTES", "BONGSU_LIMITS__BODY_BYTES"),
        ("BONGSU_NONSENSE", ""),
    ],
)
def test_variables_that_are_no_settings_are_found(name: str, resembles: str) -> None:
    known = ["BONGSU_PORT", "BONGSU_LIMITS", "BONGSU_LIMITS__BODY_BYTES", "BONGSU_OIDC__CLIENT_SECRET_FILE", "HOME"]
    others = ["BONGSU_CONFIG", "BONGSU_LOG_LEVEL", "BONGSU_AGENT_SERVER", "BONGSU_TOKEN"]
    assert unknown_variables([*known, *others, name]) == [UnknownVariable(name, resembles)]


@pytest.mark.parametrize(
    ("host", "alone"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False)]
)
def test_who_reaches_the_server(host: str, alone: bool) -> None:
    assert Settings(host=host).loopback_only is alone


@pytest.mark.parametrize("url", ["mysql://x/y", "not a url", "sqlite://"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ConfigError) as error:
        open_database(url)
    assert error.value.field == "database_url"


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("now", NOW),
        ("-90s", NOW - 90_000),
        ("-7d", NOW - 604_800_000),
        ("1749999999999", 1_749_999_999_999),
        ("2025-06-15T15:06:40Z", NOW),
        ("2025-06-16T00:06:40+09:00", NOW),
        ("2025-06-15 15:06:40", NOW),
    ],
)
def test_times(text: str, ms: int) -> None:
    assert parse_time_ms(text, NOW, field="start") == ms


@pytest.mark.parametrize("text", ["", "tomorrow", "-", "-6", "1750000000", "2025-13-01", "9" * 30])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse_time_ms(text, NOW, field="end")
    assert error.value.field == "end"


def test_a_range_has_a_length() -> None:
    assert parse_range("-1h", "now", NOW) == (NOW - 3_600_000, NOW)
    with pytest.raises(InvalidInput, match="before"):
        parse_range("now", "now", NOW)
