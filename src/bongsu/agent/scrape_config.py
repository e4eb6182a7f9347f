"""What the agent's configuration says about targets to scrape: the section ``scrape``, and its short form in
``BONGSU_AGENT_SCRAPE``.

Only an agent with targets imports this module. Limits and relabelling have the names that they have in Prometheus
(https://prometheus.io/docs/prometheus/latest/configuration/configuration/#scrape_config).
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bongsu.agent.config_values import (
    parse_choice,
    parse_count,
    parse_interval,
    parse_positive_duration,
    parse_switch,
    parse_text,
    parse_token,
    parse_url,
)
from bongsu.core.errors import BongsuError, ConfigError
from bongsu.core.text import has_control
from bongsu.core.units import parse_size_bytes
from bongsu.wire.limits import MAX_LABEL_BYTES, MAX_LABEL_NAME_CHARS, MAX_LABELS

# Each target that does not answer holds a thread.
MAX_TARGETS = 200
MAX_TIMEOUT_MS = 10_000
SAMPLE_LIMIT = 10_000
# The API server keeps this many series of a server by default; a target with more needs a change there as well.
MAX_SAMPLE_LIMIT = 100_000
BODY_SIZE_LIMIT = 16 * 1024**2
DEFAULT_PATH = "/metrics"
METRIC_NAME = "__name__"
# The labels that tell targets apart.
OWN_LABELS = ("job", "instance")

# A value as the configuration file gives it, and where it is from.
SourcedValue = tuple[str | list[str] | None, str]

# Host and port of a URL.
_AUTHORITY = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]@]+)(?::(\d{1,5}))?")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class RelabelRule:
    """``action``: keep or drop samples by the values of ``source_labels``, joined by ``separator``; or labels by their
    names. ``regex`` must match all of it."""

    action: str
    regex: "re.Pattern[str]"
    source_labels: tuple[str, ...] = (METRIC_NAME,)
    separator: str = ";"


@dataclass(slots=True)
class TargetConfig:
    """One target. config/agent.yml documents each key. A limit of 0: none; ``interval_ms`` and ``timeout_ms`` 0: the
    default. ``url`` has no user name, and a path."""

    job: str = ""
    url: str = ""
    instance: str = ""
    interval_ms: int = 0
    timeout_ms: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    username: str = ""
    password: str = field(default="", repr=False)
    password_file: str = ""
    password_env: str = ""
    token: str = field(default="", repr=False)
    token_file: str = ""
    token_env: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    verify: bool = True
    body_size_limit: int = BODY_SIZE_LIMIT
    sample_limit: int = SAMPLE_LIMIT
    label_limit: int = 0
    label_name_length_limit: int = 0
    label_value_length_limit: int = 0
    relabel: tuple[RelabelRule, ...] = ()
    # where it is configured, for errors
    source: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """For people: job and instance."""
        return f"{self.job} {self.instance}"


def _target_url(text: str) -> str:
    # First: no other error may show the password.
    if "@" in text.partition("://")[2].partition("/")[0] or ("@" in text and "://" not in text):
        raise ConfigError("write the user name and password of a URL as username and password_file")
    url = parse_url(text)
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    match = _AUTHORITY.fullmatch(authority)
    if match is None or not url.isascii() or not url.isprintable() or set(url) & set(' "<>#'):
        raise ConfigError(f"{text!r} is not a URL: write it like http://127.0.0.1:9100/metrics")
    if match[2] and not 0 < int(match[2]) < 65_536:
        raise ConfigError(f"{text!r}: the port of a URL is a number from 1 to 65535")
    return f"{scheme.lower()}://{authority}{slash + path or DEFAULT_PATH}"


def _sample_limit(text: str) -> int:
    limit = parse_count(text)
    if limit > MAX_SAMPLE_LIMIT:
        raise ConfigError(f"{text} is more than {MAX_SAMPLE_LIMIT:,}")
    return limit


def _variable(text: str) -> str:
    if not _LABEL_NAME.fullmatch(text):
        raise ConfigError(f"{text!r} is not the name of an environment variable")
    return text


def _label_value(text: str, max_bytes: int = MAX_LABEL_BYTES) -> str:
    if has_control(text):
        raise ConfigError("a label must not contain control characters")
    if len(text.encode()) > max_bytes:
        raise ConfigError(f"a label is longer than {max_bytes} bytes")
    return text


def _own_label(text: str) -> str:
    # Both together are one label of the agent's metrics about the target.
    return _label_value(text, MAX_LABEL_BYTES // 2 - 1)


# Key of a target -> (field of TargetConfig, parser).
_KEYS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "job": ("job", _own_label),
    "url": ("url", _target_url),
    "instance": ("instance", _own_label),
    "interval": ("interval_ms", parse_interval),
    "timeout": ("timeout_ms", parse_positive_duration),
    "username": ("username", parse_text),
    "password": ("password", parse_text),
    "password_file": ("password_file", parse_text),
    "password_env": ("password_env", _variable),
    "token": ("token", parse_token),
    "token_file": ("token_file", parse_text),
    "token_env": ("token_env", _variable),
    "tls.ca_file": ("ca_file", parse_text),
    "tls.cert_file": ("cert_file", parse_text),
    "tls.key_file": ("key_file", parse_text),
    "tls.server_name": ("server_name", parse_text),
    "tls.verify": ("verify", parse_switch),
    "body_size_limit": ("body_size_limit", parse_size_bytes),
    "sample_limit": ("sample_limit", _sample_limit),
    "label_limit": ("label_limit", parse_count),
    "label_name_length_limit": ("label_name_length_limit", parse_count),
    "label_value_length_limit": ("label_value_length_limit", parse_count),
}
_RULE_KEYS = ("action", "regex", "source_labels", "separator")
_parse_action = parse_choice("keep", "drop", "labelkeep", "labeldrop")


def parse_targets(values: Mapping[str, SourcedValue]) -> list[TargetConfig]:
    """The targets in the values of a configuration file, by dotted key: ``scrape.0.url``.

    Raises:
        ConfigError: a value is wrong; the error says where it is.
    """
    targets: dict[str, TargetConfig] = {}
    rules: dict[tuple[str, str], dict[str, str | list[str]]] = {}
    rule_sources: dict[tuple[str, str], str] = {}
    for key, (value, source) in values.items():
        _, _, rest = key.partition(".")
        number, _, name = rest.partition(".")
        if not number:
            if value:
                raise ConfigError(f"{source}: a list of targets is expected, such as '- url: ...'.", field=key)
            continue
        target = targets.setdefault(number, TargetConfig(source=source))
        try:
            if name == "relabel" or name.startswith("relabel."):
                _, _, place = name.partition(".")
                rule_number, _, member = place.partition(".")
                if not rule_number and value:
                    raise ConfigError("a list of rules is expected, such as '- action: drop'")
                if rule_number:
                    rule_sources.setdefault((number, rule_number), source)
                    rule = rules.setdefault((number, rule_number), {})
                    if member and member not in _RULE_KEYS:
                        raise ConfigError(_unknown(member, _RULE_KEYS))
                    if member and value is not None:
                        rule[member] = value
            elif value is not None:
                _apply(target, name, value)
            elif name and name not in _KEYS and name not in ("labels", "tls"):
                raise ConfigError(_unknown(name, (*_KEYS, "labels", "relabel")))
        except BongsuError as error:
            raise ConfigError(f"{source}: {error.message.rstrip('.')}.", field=key) from None
    for owner, content in rules.items():
        try:
            targets[owner[0]].relabel += (_rule(content),)
        except BongsuError as error:
            raise ConfigError(f"{rule_sources[owner]}: {error.message.rstrip('.')}.") from None
    return list(targets.values())


def parse_target_list(items: Iterable[str], source: str) -> list[TargetConfig]:
    """The targets of ``job=url`` texts. Raises ConfigError or InvalidInput."""
    targets = []
    for item in items:
        job, separator, url = item.partition("=")
        if not separator or "://" in job:
            raise ConfigError(f"{item!r}: write targets like node=http://127.0.0.1:9100/metrics")
        targets.append(TargetConfig(job=_own_label(job.strip()), url=_target_url(url), source=source))
    return targets


def finish_targets(targets: Sequence[TargetConfig], interval_ms: int) -> None:
    """Checks the targets as a whole, and fills in what their defaults depend on. ``interval_ms``: the agent's.

    Raises:
        ConfigError: a key is missing, or two do not go together.
    """
    seen: set[tuple[str, str]] = set()
    for target in targets:
        try:
            _finish(target, interval_ms)
            if (target.job, target.instance) in seen:
                raise ConfigError(
                    f"there are two targets with the job {target.job} and the instance {target.instance}; "
                    "give one of them another instance"
                )
        except ConfigError as error:
            raise ConfigError(f"{target.source}: {error.message}.", field="scrape") from None
        seen.add((target.job, target.instance))
    if len(targets) > MAX_TARGETS:
        raise ConfigError(f"There are {len(targets)} targets in scrape; the limit is {MAX_TARGETS}.", field="scrape")


def _finish(target: TargetConfig, interval_ms: int) -> None:
    for key in ("url", "job"):
        if not getattr(target, key):
            raise ConfigError(f"the target has no {key}")
    is_secure = target.url.startswith("https://")
    authority = target.url.partition("://")[2].partition("/")[0]
    if not target.instance:
        has_port = ":" in authority and not authority.endswith("]")
        target.instance = authority if has_port else f"{authority}:{443 if is_secure else 80}"
        target.instance = _own_label(target.instance)
    target.interval_ms = target.interval_ms or interval_ms
    if target.interval_ms % interval_ms:
        # The agent's ticks decide when to scrape: any other interval would be uneven.
        raise ConfigError(
            f"the interval of {target.interval_ms / 1000:g}s is not a multiple of the agent's interval of "
            f"{interval_ms / 1000:g}s"
        )
    target.timeout_ms = target.timeout_ms or min(MAX_TIMEOUT_MS, target.interval_ms)
    if target.timeout_ms > target.interval_ms:
        raise ConfigError(
            f"the timeout of {target.timeout_ms / 1000:g}s is longer than the interval of "
            f"{target.interval_ms / 1000:g}s"
        )
    passwords = [bool(target.password), bool(target.password_file), bool(target.password_env)]
    tokens = [bool(target.token), bool(target.token_file), bool(target.token_env)]
    if sum(passwords) > 1 or sum(tokens) > 1:
        raise ConfigError("a secret can come from the configuration, a file or the environment, but only one of them")
    if any(passwords) and not target.username:
        raise ConfigError("a password needs a username")
    if ":" in target.username:
        raise ConfigError("a username of basic authentication contains no colon")
    if target.username and any(tokens):
        raise ConfigError("a target takes a username or a token, but not both")
    if target.key_file and not target.cert_file:
        raise ConfigError("tls.key_file needs tls.cert_file")
    if not is_secure and (target.ca_file or target.cert_file or target.server_name or not target.verify):
        raise ConfigError("the keys of tls need a URL that begins with https://")
    if not target.body_size_limit:
        raise ConfigError("body_size_limit must be more than 0")


def _apply(target: TargetConfig, name: str, value: str | list[str]) -> None:
    if not isinstance(value, str):
        raise ConfigError("a single value is expected, not a list")
    group, _, member = name.partition(".")
    if name in _KEYS:
        attribute, parse = _KEYS[name]
        setattr(target, attribute, parse(value))
    elif group == "labels" and member:
        if not _LABEL_NAME.fullmatch(member) or len(member) > MAX_LABEL_NAME_CHARS or member.startswith("__"):
            raise ConfigError(
                f"{member!r} is no name of a label: up to {MAX_LABEL_NAME_CHARS} letters, digits and underscores, "
                "that begins with no digit and not with __"
            )
        if member in OWN_LABELS:
            raise ConfigError(f"write {member} as a key of the target")
        if len(target.labels) >= MAX_LABELS - len(OWN_LABELS):
            raise ConfigError(f"a target has more than {MAX_LABELS - len(OWN_LABELS)} labels")
        target.labels[member] = _label_value(value)
    else:
        raise ConfigError(_unknown(name, (*_KEYS, "labels", "relabel")))


def _rule(content: Mapping[str, str | list[str]]) -> RelabelRule:
    text, action = content.get("regex", ""), content.get("action", "")
    separator, labels = content.get("separator", ";"), content.get("source_labels", [METRIC_NAME])
    if not isinstance(action, str) or not isinstance(text, str) or not isinstance(separator, str):
        raise ConfigError("action, regex and separator of a rule are single values")
    _parse_action(action)
    if not text:
        raise ConfigError("the rule has no regex")
    try:
        regex = re.compile(text, re.DOTALL)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigError(f"{text!r} is not a regular expression: {error}") from None
    names = tuple(labels) if isinstance(labels, list) else (labels,)
    if action in ("labelkeep", "labeldrop") and "source_labels" in content:
        raise ConfigError(f"{action} matches the names of labels, and takes no source_labels")
    for name in names:
        if not _LABEL_NAME.fullmatch(name):
            raise ConfigError(f"{name!r} in source_labels is no name of a label")
    return RelabelRule(action, regex, names, separator)


def _unknown(name: str, known: Iterable[str]) -> str:
    similar = difflib.get_close_matches(name, sorted(known), n=1)
    hint = f"did you mean {similar[0]!r}?" if similar else f"choose one of {', '.join(sorted(known))}"
    return f"there is no key {name!r}; {hint}"
