"""The section ``scrape`` of the agent's configuration."""

from pathlib import Path

import pytest

from bongsu.agent.config import Config, load
from bongsu.agent.scrape_config import BODY_SIZE_LIMIT, MAX_TARGETS, SAMPLE_LIMIT
from bongsu.core.errors import ConfigError


def from_text(tmp_path: Path, text: str, **environment: str) -> Config:
    file = tmp_path / "agent.yml"
    file.write_text(text)
    return load(file=str(file), environment=environment)


def test_the_defaults_of_a_target(tmp_path: Path) -> None:
    (target,) = from_text(tmp_path, "scrape:\n- {url: 'HTTP://127.0.0.1:9100', job: node}\n").scrape
    assert target.url == "http://127.0.0.1:9100/metrics"
    assert (target.job, target.instance, target.name) == ("node", "127.0.0.1:9100", "node 127.0.0.1:9100")
    assert (target.interval_ms, target.timeout_ms) == (10_000, 10_000)
    assert (target.sample_limit, target.body_size_limit, target.label_limit) == (SAMPLE_LIMIT, BODY_SIZE_LIMIT, 0)
    assert target.verify


@pytest.mark.parametrize(
    ("url", "instance"),
    [
        ("http://host/probe?target=x", "host:80"),
        ("https://host/metrics", "host:443"),
        ("http://[::1]/metrics", "[::1]:80"),
        ("http://[::1]:9100/metrics", "[::1]:9100"),
    ],
)
def test_the_instance_is_host_and_port(tmp_path: Path, url: str, instance: str) -> None:
    (target,) = from_text(tmp_path, f"scrape:\n- {{url: '{url}', job: j}}\n").scrape
    assert (target.instance, target.url) == (instance, url)


def test_all_keys(tmp_path: Path) -> None:
    text = """
interval: 5s
scrape:
  - job: api
    url: https://127.0.0.1:8443/internal/metrics
    instance: api-1
    interval: 30s
    timeout: 3s
    labels: {rack: r1, site: seoul}
    username: monitor
    password_file: /run/secret
    tls:
      ca_file: /ca.pem
      cert_file: /cert.pem
      key_file: /key.pem
      server_name: api
      verify: false
    body_size_limit: 1MB
    sample_limit: 500
    label_limit: 10
    label_name_length_limit: 20
    label_value_length_limit: 30
    relabel:
      - action: drop
        regex: go_.*|python_.*
      - {action: keep, source_labels: [fstype, device], separator: "/", regex: "ext4/.*"}
      - {action: keep, source_labels: fstype, regex: ext4}
      - {action: labeldrop, regex: uuid}
  - {job: api, url: "http://127.0.0.1:1", token_env: TOKEN}
textfiles: [/a, /b]
"""
    config = from_text(tmp_path, text)
    first, second = config.scrape
    assert (first.instance, first.interval_ms, first.timeout_ms) == ("api-1", 30_000, 3_000)
    assert first.labels == {"rack": "r1", "site": "seoul"}
    assert (first.username, first.password_file) == ("monitor", "/run/secret")
    assert (first.ca_file, first.cert_file, first.key_file) == ("/ca.pem", "/cert.pem", "/key.pem")
    assert (first.server_name, first.verify) == ("api", False)
    assert (first.body_size_limit, first.sample_limit) == (1024**2, 500)
    assert (first.label_limit, first.label_name_length_limit, first.label_value_length_limit) == (10, 20, 30)
    rules = [(rule.action, rule.regex.pattern, rule.source_labels, rule.separator) for rule in first.relabel]
    assert rules == [
        ("drop", "go_.*|python_.*", ("__name__",), ";"),
        ("keep", "ext4/.*", ("fstype", "device"), "/"),
        ("keep", "ext4", ("fstype",), ";"),
        ("labeldrop", "uuid", ("__name__",), ";"),
    ]
    assert (second.instance, second.token_env, second.interval_ms) == ("127.0.0.1:1", "TOKEN", 5_000)
    assert config.textfiles == ("/a", "/b")


def test_targets_from_the_environment(tmp_path: Path) -> None:
    text = "scrape:\n- {url: 'http://h:1', job: file}\n"
    variables = {
        "BONGSU_AGENT_SCRAPE": "node=http://127.0.0.1:9100/metrics, app=http://127.0.0.1:8000/m?a=b",
        "BONGSU_AGENT_TEXTFILES": "/a,/b",
    }
    config = from_text(tmp_path, text, **variables)
    assert [(target.job, target.url) for target in config.scrape] == [
        ("node", "http://127.0.0.1:9100/metrics"),
        ("app", "http://127.0.0.1:8000/m?a=b"),
    ]
    assert config.textfiles == ("/a", "/b")
    with pytest.raises(ConfigError, match=r"^BONGSU_AGENT_SCRAPE: 'http://x:1': write targets like node=http://"):
        load(environment={"BONGSU_AGENT_SCRAPE": "http://x:1"})


def test_secrets_are_not_in_the_repr(tmp_path: Path) -> None:
    text = "scrape:\n- {url: 'http://h:1', job: a, token: s3cret}\n- {url: 'http://h:2', job: a, username: u, password: s3cret}\n"
    config = from_text(tmp_path, text)
    assert config.scrape[0].token == config.scrape[1].password == "s3cret"
    assert "s3cret" not in repr(config)


URL = "url: 'http://h:1'"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scrape: yes", "line 1: scrape: a list of targets is expected, such as '- url: ...'."),
        ("scrape: {url: x}", "line 1: scrape.url:"),
        ("scrape: [http://x]", "line 1: scrape must be a list of mappings, each with keys of its own."),
        ("scrape:\n- {job: a}", "line 2: scrape.0: the target has no url."),
        (f"scrape:\n- {{{URL}}}", "line 2: scrape.0: the target has no job."),
        (f"scrape:\n- {{{URL}, job: a, ulr: x}}", "line 2: scrape.0.ulr: there is no key 'ulr'; did you mean 'url'?."),
        (f"scrape:\n- {{{URL}, job: a, tsl: }}", "line 2: scrape.0.tsl: there is no key 'tsl'"),
        ("scrape:\n- {url: h:9100, job: a}", "line 2: scrape.0.url: 'h:9100' is not a URL"),
        ("scrape:\n- {url: 'http://h:x', job: a}", "line 2: scrape.0.url: 'http://h:x' is not a URL"),
        ("scrape:\n- {url: 'http://h:0', job: a}", "line 2: scrape.0.url: 'http://h:0': the port of a URL is a number"),
        ("scrape:\n- {url: 'http://a:b:1', job: a}", "line 2: scrape.0.url: 'http://a:b:1' is not a URL"),
        ("scrape:\n- {url: 'http://[::1', job: a}", "line 2: scrape.0.url: 'http://[::1' is not a URL"),
        (f"scrape:\n- {{{URL}, job: {'j' * 128}}}", "line 2: scrape.0.job: a label is longer than 127 bytes."),
        ("scrape:\n- {url: 'http://:1', job: a}", "line 2: scrape.0.url: 'http://:1' is not a URL"),
        ('scrape:\n- {url: "http://h:1/a b", job: a}', "line 2: scrape.0.url: 'http://h:1/a b' is not a URL"),
        (
            "scrape:\n- {url: 'http://me:s3cret@h:1', job: a}",
            "line 2: scrape.0.url: write the user name and password of a URL as username and password_file.",
        ),
        ("scrape:\n- {url: 'me:s3cret@h:1', job: a}", "line 2: scrape.0.url: write the user name and password"),
        (
            f"scrape:\n- {{{URL}, job: a}}\n- {{{URL}, job: a}}",
            "line 3: scrape.1: there are two targets with the job a and the instance h:1; give one of them another instance.",
        ),
        (
            f"scrape:\n- {{{URL}, job: a, interval: 15s}}",
            "line 2: scrape.0: the interval of 15s is not a multiple of the agent's interval of 10s.",
        ),
        (
            f"scrape:\n- {{{URL}, job: a, timeout: 11s}}",
            "line 2: scrape.0: the timeout of 11s is longer than the interval of 10s.",
        ),
        (f"scrape:\n- {{{URL}, job: a, sample_limit: 0}}", "line 2: scrape.0.sample_limit: '0' is not a whole number"),
        (f"scrape:\n- {{{URL}, job: a, sample_limit: 100001}}", "line 2: scrape.0.sample_limit: 100001 is more than"),
        (f"scrape:\n- {{{URL}, job: a, password: b}}", "line 2: scrape.0: a password needs a username."),
        (
            f"scrape:\n- {{{URL}, job: a, token: b, token_file: c}}",
            "line 2: scrape.0: a secret can come from the configuration, a file or the environment",
        ),
        (
            f"scrape:\n- {{{URL}, job: a, token: b, username: c}}",
            "line 2: scrape.0: a target takes a username or a token",
        ),
        (
            f"scrape:\n- {{{URL}, job: a, tls: {{verify: false}}}}",
            "line 2: scrape.0: the keys of tls need a URL that begins with https://.",
        ),
        (
            f"scrape:\n- {{{URL}, job: a, labels: {{job: b}}}}",
            "line 2: scrape.0.labels.job: write job as a key of the target.",
        ),
        (
            f"scrape:\n- {{{URL}, job: a, labels: {{a-b: c}}}}",
            "line 2: scrape.0.labels.a-b: 'a-b' is no name of a label",
        ),
        (
            f"scrape:\n- {{{URL}, job: a, relabel: [{{action: drop, regex: '(a'}}]}}",
            "line 2: scrape.0.relabel.0: '(a' is not a regular expression: ",
        ),
        (
            f"scrape:\n- {{{URL}, job: a, relabel: [{{action: replace, regex: a}}]}}",
            "line 2: scrape.0.relabel.0: 'replace' is not one of keep, drop, labelkeep, labeldrop.",
        ),
        (
            f"scrape:\n- {{{URL}, job: a, relabel: [{{action: drop}}]}}",
            "line 2: scrape.0.relabel.0: the rule has no regex.",
        ),
        (
            f"scrape:\n- {{{URL}, job: a, relabel: [{{action: labeldrop, regex: a, source_labels: [b]}}]}}",
            "line 2: scrape.0.relabel.0: labeldrop matches the names of labels, and takes no source_labels.",
        ),
        (
            f"scrape:\n- {{{URL}, job: a, relabel: [{{action: drop, regex: a, regexp: b}}]}}",
            "line 2: scrape.0.relabel.0.regexp: there is no key 'regexp'; did you mean 'regex'?.",
        ),
        (
            f"scrape:\n- {{{URL}, job: a, relabel: x}}",
            "line 2: scrape.0.relabel: a list of rules is expected, such as '- action: drop'.",
        ),
    ],
)
def test_errors_name_line_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        from_text(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path / 'agent.yml'} {message}")
    assert "s3cret" not in str(error.value)


def test_too_many_targets(tmp_path: Path) -> None:
    text = "scrape:\n" + "".join(f"- {{url: 'http://h:1', job: j{number}}}\n" for number in range(MAX_TARGETS + 1))
    with pytest.raises(ConfigError, match=f"There are {MAX_TARGETS + 1} targets in scrape; the limit is {MAX_TARGETS}"):
        from_text(tmp_path, text)
