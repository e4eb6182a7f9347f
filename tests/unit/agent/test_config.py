"""Where settings come from, and the errors for wrong ones."""

import re
from pathlib import Path

import pytest

from bongsu.agent.collectors import COLLECTORS
from bongsu.agent.config import Config, load
from bongsu.core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]


def from_text(tmp_path: Path, text: str, **environment: str) -> Config:
    file = tmp_path / "agent.yml"
    file.write_text(text)
    return load(file=str(file), environment=environment)


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "agent.yml"
    file.write_text("name: file\ninterval: 20s\nbuffer: {size: 1GB}\n")
    environment = {"BONGSU_AGENT_INTERVAL": "30s", "BONGSU_AGENT_NAME": "variable", "BONGSU_AGENT_BUFFER_AGE": "1d"}
    config = load(file=str(file), environment=environment, flags={"name": "flag"})
    assert (config.name, config.interval_ms, config.buffer_bytes) == ("flag", 30_000, 1024**3)
    assert config.buffer_age_ms == 86_400_000


def test_the_example_shows_the_defaults(tmp_path: Path) -> None:
    example = load(file=str(ROOT / "config/agent.yml"), environment={})
    plain = load(environment={"BONGSU_AGENT_CONFIG": ""}, flags={})
    example.file = plain.file
    assert all(collector.enabled for collector in example.collectors.values())
    example.collectors = plain.collectors = {}
    assert example == plain


def test_every_commented_key_of_the_example_is_valid(tmp_path: Path) -> None:
    text = (ROOT / "config/agent.yml").read_text()
    uncommented = re.sub(r"^( *)# ((?:  )*(?:- |[a-z_]+:))", r"\1\2", text, flags=re.MULTILINE)
    uncommented = uncommented.replace("token: ...", "token: abc")
    config = from_text(tmp_path, uncommented)
    assert config.tags == {"site": "seoul", "role": "database"}
    assert config.ca_file == "/etc/bongsu/ca.pem"
    assert config.proxy == "http://proxy.example:3128"
    assert config.collectors["disk"].filters["mounts"].exclude == ("/mnt/backup*",)


def test_settings_of_collectors(tmp_path: Path) -> None:
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


def test_settings_of_collectors_from_the_environment() -> None:
    prefix = "BONGSU_AGENT_COLLECTORS_CONTAINERS_"
    config = load(
        environment={f"{prefix}KUBELET_VERIFY": "false", f"{prefix}INTERVAL": "30s", f"{prefix}ENABLED": "yes"}
    )
    containers = config.collectors["containers"]
    assert (containers.settings, containers.interval_ms, containers.enabled) == (
        {"kubelet_verify": False},
        30_000,
        True,
    )
    with pytest.raises(ConfigError, match=f"^{prefix}KUBELET: 'x' is not the URL of a kubelet"):
        load(environment={f"{prefix}KUBELET": "x"})


def test_several_servers_and_tags_from_the_environment() -> None:
    environment = {"BONGSU_AGENT_SERVER": "http://a:8600, https://b/x/", "BONGSU_AGENT_TAGS": "site=seoul, role=db"}
    config = load(environment=environment)
    assert config.servers == ("http://a:8600", "https://b/x")
    assert config.tags == {"site": "seoul", "role": "db"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("interval: 10", "line 1: interval: '10' has no unit: write it like 10s, 5m, 6h or 7d."),
        ("interval: 1500ms", "line 1: interval: '1500ms' is not a valid interval: use whole seconds, from 1s to 1h."),
        ("\nnaem: x", "line 2: naem: there is no key 'naem'; did you mean 'name'?."),
        ("server: example.org", "line 1: server: 'example.org' is not a URL"),
        ("server: []", "line 1: server: at least one URL is needed."),
        ("name: [a, b]", "line 1: name: a single value is expected, not a list."),
        ("a:\n  b: 1\n c: 2", "line 3"),
        ("name: a\nname: b", "line 2: the key name appears twice."),
        ("hello", "line 1: expected keys such as"),
        ("limits:\n  cpu: 5", "line 2: limits.cpu: '5' is not a percentage: write it like 1%."),
        ("buffer:\n  replay_rate: 0", "line 2: buffer.replay_rate: '0' is not a whole number of at least 1."),
        ("collectors:\n  cup: true", "line 2: collectors.cup: there is no collector 'cup'; did you mean 'cpu'?."),
        ("collectors:\n  cpu:\n    mounts: x", "line 3: collectors.cpu.mounts: there is no key 'mounts'"),
        ("collectors:\n  processes:\n    top: 51", "line 3: collectors.processes.top: '51' is more than 50."),
        ("collectors:\n  cpu: maybe", "line 2: collectors.cpu: 'maybe' is neither true nor false."),
        ("proxy: https://p:1", "line 1: proxy: 'https://p:1': the URL of a proxy begins with http://."),
        (
            "tags:\n  my-tag: x",
            "line 2: tags.my-tag: the tag name 'my-tag' may contain only letters, digits and _, and begins with no digit.",
        ),
        ("token: 'a b'", "line 1: token: a token consists of printable ASCII characters without spaces."),
        ("server:\n  - {a: b}", "line 2: server must be a list of plain texts."),
    ],
)
def test_errors_name_file_line_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        from_text(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path / 'agent.yml'} {message}")


def test_errors_name_the_environment_variable() -> None:
    with pytest.raises(
        ConfigError, match=r"^BONGSU_AGENT_LOG_LEVEL: 'loud' is not one of debug, info, warning, error\.$"
    ):
        load(environment={"BONGSU_AGENT_LOG_LEVEL": "loud"})


@pytest.mark.parametrize("variable", ["BONGSU_AGENT_NAME", "BONGSU_AGENT_TAGS"])
def test_names_and_tags_have_no_control_characters(variable: str) -> None:
    with pytest.raises(ConfigError, match="control characters"):
        load(environment={variable: "site=web-1\nAcknowledge: https://evil"})


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yml cannot be read: No such file or directory\."):
        load(file=str(tmp_path / "absent.yml"), environment={})


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "agent.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(file=str(tmp_path / "agent.yml"), environment={})


def test_an_empty_file_and_empty_keys_are_the_defaults(tmp_path: Path) -> None:
    assert from_text(tmp_path, "").servers == Config().servers
    assert from_text(tmp_path, "tls:\nname:\n").name == ""


def test_secrets_are_not_in_the_repr() -> None:
    config = load(environment={"BONGSU_AGENT_TOKEN": "s3cret"})
    assert config.token == "s3cret"
    assert "s3cret" not in repr(config)


def test_each_collector_declares_what_can_be_configured() -> None:
    assert {collector.name: collector.filters for collector in COLLECTORS if collector.filters} == {
        "disk": ("mounts", "devices"),
        "network": ("interfaces",),
        "processes": ("names",),
        "sensors": ("chips",),
        "systemd": ("units",),
        "services": ("names",),
        "containers": ("names",),
    }
    assert {collector.name: {*collector.settings, *collector.mappings} for collector in COLLECTORS} == {
        **{collector.name: set() for collector in COLLECTORS},
        "processes": {"top"},
        "services": {"limit"},
        "containers": {"sockets", "kubelet", "kubelet_ca_file", "kubelet_token_file", "kubelet_verify"},
        "custom": {"statsd", "timeout", "scripts"},
    }
