"""Settings: where they come from, and what is said about wrong ones."""

import re
from pathlib import Path

import pytest

from bongsu.agent.collectors import COLLECTORS
from bongsu.agent.collectors.base import Filter
from bongsu.agent.config import (
    COLLECTOR_FILTERS,
    COLLECTOR_MAPPINGS,
    COLLECTOR_SETTINGS,
    Config,
    default_data_dir,
    load,
)
from bongsu.core.errors import ConfigError

NAMES = tuple(collector.name for collector in COLLECTORS)
ROOT = Path(__file__).resolve().parents[3]


def from_text(tmp_path: Path, text: str, **environment: str) -> Config:
    file = tmp_path / "agent.yml"
    file.write_text(text)
    return load(NAMES, file=str(file), environment=environment)


def test_the_later_source_wins(tmp_path: Path) -> None:
    file = tmp_path / "agent.yml"
    file.write_text("name: file\ninterval: 20s\nbuffer: {size: 1GB}\n")
    environment = {"BONGSU_AGENT_INTERVAL": "30s", "BONGSU_AGENT_NAME": "variable", "BONGSU_AGENT_BUFFER_AGE": "1d"}
    config = load(NAMES, file=str(file), environment=environment, flags={"name": "flag"})
    assert (config.name, config.interval_ms, config.buffer_bytes) == ("flag", 30_000, 1024**3)
    assert config.buffer_age_ms == 86_400_000


def test_the_example_says_the_defaults(tmp_path: Path) -> None:
    example = load(NAMES, file=str(ROOT / "config/agent.yml"), environment={})
    plain = load(NAMES, environment={"BONGSU_AGENT_CONFIG": ""}, flags={})
    example.file = plain.file
    assert all(collector.enabled for collector in example.collectors.values())
    example.collectors = plain.collectors = {}
    assert example == plain


def test_every_key_of_the_example_that_is_commented_out_is_valid(tmp_path: Path) -> None:
    text = (ROOT / "config/agent.yml").read_text()
    opened = re.sub(r"^( *)# ((?:  )*(?:- |[a-z_]+:))", r"\1\2", text, flags=re.MULTILINE)
    opened = opened.replace("token: ...", "token: abc")
    config = from_text(tmp_path, opened)
    assert config.tags == {"site": "seoul", "role": "database"}
    assert config.ca_file == "/etc/bongsu/ca.pem"
    assert config.proxy == "http://proxy.example:3128"
    assert config.collectors["disk"].filters["mounts"].exclude == ("/mnt/backup*",)


def test_collectors(tmp_path: Path) -> None:
    text = """
collectors:
  sensors: false
  disk:
    interval: 1m
    mounts: {include: ["/", "/data*"], exclude: [/data/tmp]}
  processes:
    top: 5
    names: {exclude: ["kworker*"]}
  custom:
    statsd: 127.0.0.1:8125
    timeout: 5s
    scripts:
      queue: /bin/queue --length
"""
    collectors = from_text(tmp_path, text).collectors
    assert collectors["sensors"].enabled is False
    assert collectors["disk"].interval_ms == 60_000
    mounts = collectors["disk"].filters["mounts"]
    assert [mounts(name) for name in ("/", "/data1", "/data/tmp", "/home")] == [True, True, False, False]
    assert collectors["processes"].settings == {"top": 5}
    assert not collectors["processes"].filters["names"]("kworker/0:1")
    assert collectors["custom"].settings == {
        "statsd": "127.0.0.1:8125",
        "timeout": 5000,
        "scripts": {"queue": "/bin/queue --length"},
    }


def test_several_servers_and_tags_from_the_environment() -> None:
    environment = {"BONGSU_AGENT_SERVER": "http://a:8600, https://b/x/", "BONGSU_AGENT_TAGS": "site=seoul, role=db"}
    config = load(NAMES, environment=environment)
    assert config.servers == ("http://a:8600", "https://b/x")
    assert config.tags == {"site": "seoul", "role": "db"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("interval: 10", "line 1: interval: '10' has no unit: write it like 10s, 5m, 6h or 7d."),
        ("interval: 1500ms", "line 1: interval: '1500ms' is not an interval: whole seconds, at least 1s."),
        ("\nnaem: x", "line 2: naem: there is no key 'naem', did you mean 'name'?."),
        ("server: example.org", "line 1: server: 'example.org' is not an address"),
        ("server: []", "line 1: server: at least one address is needed."),
        ("name: [a, b]", "line 1: name: one value is expected, not a list."),
        ("a:\n  b: 1\n c: 2", "line 3"),
        ("name: a\nname: b", "line 2: name is there twice."),
        ("hello", "line 1: expected keys such as"),
        ("limits:\n  cpu: 5", "line 2: limits.cpu: '5' is not a share: write it like 1%."),
        ("buffer:\n  replay_rate: 0", "line 2: buffer.replay_rate: '0' is not a whole number from 1 up."),
        ("collectors:\n  cup: true", "line 2: collectors.cup: there is no collector 'cup', did you mean 'cpu'?."),
        ("collectors:\n  cpu:\n    mounts: x", "line 3: collectors.cpu.mounts: there is no key 'mounts'"),
        ("collectors:\n  processes:\n    top: 51", "line 3: collectors.processes.top: '51' is more than 50."),
        ("collectors:\n  cpu: maybe", "line 2: collectors.cpu: 'maybe' is neither true nor false."),
        ("proxy: https://p:1", "line 1: proxy: 'https://p:1': the way to the proxy itself is http://."),
        ("tags:\n  my-tag: x", "line 2: tags.my-tag: the tag name 'my-tag' may have only letters, digits and _."),
        ("token: 'a b'", "line 1: token: a token has only letters, digits and signs."),
        ("server:\n  - {a: b}", "line 2: server is a list of plain texts."),
    ],
)
def test_what_is_wrong_is_said_with_file_line_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        from_text(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path / 'agent.yml'} {message}")


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(
        ConfigError, match=r"^BONGSU_AGENT_LOG_LEVEL: 'loud' is not one of debug, info, warning, error\.$"
    ):
        load(NAMES, environment={"BONGSU_AGENT_LOG_LEVEL": "loud"})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yml cannot be read: No such file or directory\."):
        load(NAMES, file=str(tmp_path / "absent.yml"), environment={})


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "agent.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(NAMES, file=str(tmp_path / "agent.yml"), environment={})


def test_an_empty_file_and_empty_keys_are_the_defaults(tmp_path: Path) -> None:
    assert from_text(tmp_path, "").servers == Config().servers
    assert from_text(tmp_path, "tls:\nname:\n").name == ""


def test_secrets_do_not_show() -> None:
    config = load(NAMES, environment={"BONGSU_AGENT_TOKEN": "s3cret"})
    assert config.token == "s3cret"
    assert "s3cret" not in repr(config)


def test_systemd_says_where_state_is_kept() -> None:
    assert default_data_dir({"STATE_DIRECTORY": "/var/lib/bongsu-agent"}) == "/var/lib/bongsu-agent"


def test_what_can_be_configured_belongs_to_collectors_that_exist() -> None:
    assert {*COLLECTOR_FILTERS, *COLLECTOR_SETTINGS, *COLLECTOR_MAPPINGS} <= set(NAMES)


def test_filters_are_whole_names_with_shell_patterns() -> None:
    assert Filter(("eth[01]",))("eth1")
    assert not Filter(("eth[01]",))("eth10")
    assert not Filter(exclude=("a*",))("abc")
