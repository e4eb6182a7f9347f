"""The agent's configuration: defaults, then the file, then ``BONGSU_AGENT_*``, then the command line; later sources
win.

Every error names where the value came from: file, line and key, or the environment variable, or the flag.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bongsu.agent.collectors import COLLECTORS_BY_NAME
from bongsu.agent.collectors.base import Filter
from bongsu.agent.config_values import (
    parse_choice,
    parse_count,
    parse_interval,
    parse_interval_or_off,
    parse_percent,
    parse_positive_duration,
    parse_proxy_url,
    parse_switch,
    parse_text,
    parse_token,
    parse_url,
)
from bongsu.agent.data_dir import default_data_dir
from bongsu.agent.defaults import (
    BUFFER_AGE_MS,
    BUFFER_BYTES,
    INTERVAL_MS,
    LOG_BYTES,
    LOG_FILES,
    REPLAY_RATE,
    SERVER_URL,
    TIMEOUT_MS,
    WATCHED_INTERVAL_MS,
)
from bongsu.core.errors import BongsuError, ConfigError
from bongsu.core.text import has_control
from bongsu.core.units import parse_size_bytes
from bongsu.wire.limits import MAX_LABEL_BYTES, MAX_LABELS

if TYPE_CHECKING:
    from bongsu.agent.config_file import FileValue
    from bongsu.agent.scrape_config import TargetConfig

ENVIRONMENT_PREFIX = "BONGSU_AGENT_"
SYSTEM_FILE = "/etc/bongsu/agent.yml"
# The series that carries the tags has up to four labels of its own.
MAX_TAGS = MAX_LABELS - 4

# a value as the file gives it
Value = str | list[str] | None


@dataclass(slots=True)
class CollectorConfig:
    """``enabled`` None and ``interval_ms`` 0: the collector's own default. ``settings`` hold parsed values."""

    enabled: bool | None = None
    interval_ms: int = 0
    filters: dict[str, Filter] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Config:
    """config/agent.yml documents each key."""

    servers: tuple[str, ...] = (SERVER_URL,)
    token: str = field(default="", repr=False)
    token_file: str = ""
    enrolment_token: str = field(default="", repr=False)
    enrolment_token_file: str = ""
    name: str = ""
    interval_ms: int = INTERVAL_MS
    watched_interval_ms: int = WATCHED_INTERVAL_MS
    data_dir: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    proxy: str = ""
    ca_file: str = ""
    server_name: str = ""
    timeout_ms: int = TIMEOUT_MS
    buffer_bytes: int = BUFFER_BYTES
    buffer_age_ms: int = BUFFER_AGE_MS
    replay_rate: int = REPLAY_RATE
    cpu_limit: float = 0.01
    memory_limit_bytes: int = 64 * 1024**2
    log_level: str = "info"
    log_file: str = ""
    log_format: str = "text"
    log_bytes: int = LOG_BYTES
    log_files: int = LOG_FILES
    scrape: "list[TargetConfig]" = field(default_factory=list)
    textfiles: tuple[str, ...] = ()
    collectors: dict[str, CollectorConfig] = field(default_factory=dict)
    file: str = ""


# Dotted key in the file -> (field of Config, parser). The environment variable is the key in capitals with "_" for ".".
_KEYS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "token": ("token", parse_token),
    "token_file": ("token_file", parse_text),
    "enrolment_token": ("enrolment_token", parse_token),
    "enrolment_token_file": ("enrolment_token_file", parse_text),
    "name": ("name", parse_text),
    "interval": ("interval_ms", parse_interval),
    "watched_interval": ("watched_interval_ms", parse_interval_or_off),
    "data_dir": ("data_dir", parse_text),
    "proxy": ("proxy", parse_proxy_url),
    "tls.ca_file": ("ca_file", parse_text),
    "tls.server_name": ("server_name", parse_text),
    "timeout": ("timeout_ms", parse_positive_duration),
    "buffer.size": ("buffer_bytes", parse_size_bytes),
    "buffer.age": ("buffer_age_ms", parse_positive_duration),
    "buffer.replay_rate": ("replay_rate", parse_count),
    "limits.cpu": ("cpu_limit", parse_percent),
    "limits.memory": ("memory_limit_bytes", parse_size_bytes),
    "log.level": ("log_level", parse_choice("debug", "info", "warning", "error")),
    "log.file": ("log_file", parse_text),
    "log.format": ("log_format", parse_choice("text", "json")),
    "log.size": ("log_bytes", parse_size_bytes),
    "log.files": ("log_files", parse_count),
}


def load(
    *, file: str = "", environment: Mapping[str, str] = os.environ, flags: Mapping[str, str] | None = None
) -> Config:
    """Merges all sources. ``flags``: dotted key -> text from the command line.

    Raises:
        ConfigError: a value is wrong.
    """
    config = Config()
    file = (
        file
        or environment.get(ENVIRONMENT_PREFIX + "CONFIG", "")
        or (SYSTEM_FILE if os.path.exists(SYSTEM_FILE) else "")
    )
    config = Config(file=file)
    if file:
        # here, because it imports PyYAML, which costs 1.7 MB
        from bongsu.agent.config_file import read_config_file

        values = read_config_file(file)
        targets = {key: values.pop(key) for key in list(values) if key.partition(".")[0] == "scrape"}
        for key, (value, source) in values.items():
            _apply(config, key, value, source)
        if targets:
            _apply_targets(config, targets)
    for key in ("server", "tags", "scrape", "textfiles", *_KEYS):
        variable = ENVIRONMENT_PREFIX + key.upper().replace(".", "_")
        if environment.get(variable):
            _apply(config, key, environment[variable], variable)
    for name, collector in COLLECTORS_BY_NAME.items():
        for setting in ("enabled", "interval", *collector.settings):
            variable = f"{ENVIRONMENT_PREFIX}COLLECTORS_{name}_{setting}".upper()
            if environment.get(variable):
                _apply(config, f"collectors.{name}.{setting}", environment[variable], variable)
    for key, text in (flags or {}).items():
        _apply(config, key, text, f"--{key.replace('_', '-')}")
    config.data_dir = os.path.expanduser(config.data_dir) or default_data_dir(environment)
    if config.scrape:
        from bongsu.agent.scrape_config import finish_targets

        finish_targets(config.scrape, config.interval_ms)
    return config


def _apply_targets(config: Config, values: "Mapping[str, FileValue]") -> None:
    # here, because an agent without targets needs none of it
    from bongsu.agent.scrape_config import parse_targets

    config.scrape = parse_targets(values)


def _apply(config: Config, key: str, value: Value, source: str) -> None:
    if value is None:
        return
    try:
        if key == "server":
            config.servers = tuple(map(parse_url, _list(value)))
            if not config.servers:
                raise ConfigError("at least one URL is needed")
        elif key == "scrape":  # from the environment: node=http://127.0.0.1:9100/metrics,...
            from bongsu.agent.scrape_config import parse_target_list

            config.scrape = parse_target_list(_list(value), source)
        elif key == "textfiles":
            config.textfiles = tuple(map(parse_text, _list(value)))
        elif key == "tags" or key.startswith("tags."):
            _apply_tags(config, key, value)
        elif key.startswith("collectors."):
            _apply_collector(config, key.split(".", 1)[1], value)
        elif key in _KEYS:
            attribute, parse = _KEYS[key]
            setattr(config, attribute, parse(_single(value)))
        else:
            raise ConfigError(_unknown("key", key, ("server", "tags", "scrape", "textfiles", "collectors", *_KEYS)))
    except BongsuError as error:
        raise ConfigError(f"{source}: {error.message.rstrip('.')}.", field=key) from None


def _apply_tags(config: Config, key: str, value: str | list[str]) -> None:
    if key == "tags":  # from the environment: site=seoul,role=db
        pairs = [item.partition("=") for item in _list(value)]
        if any(not separator for _, separator, _ in pairs):
            raise ConfigError("write tags like site=seoul,role=db")
        config.tags = {name.strip(): text.strip() for name, _, text in pairs}
    else:
        config.tags[key.split(".", 1)[1]] = _single(value)
    for name, text in config.tags.items():
        if has_control(text):
            raise ConfigError(f"the tag {name} contains control characters")
        if not name.replace("_", "a").isalnum() or not name.isascii() or name[0].isdigit():
            raise ConfigError(f"the tag name {name!r} may contain only letters, digits and _, and begins with no digit")
        if len(text.encode()) > MAX_LABEL_BYTES:
            raise ConfigError(f"the tag {name} is longer than {MAX_LABEL_BYTES} bytes")
    if len(config.tags) > MAX_TAGS:
        raise ConfigError(f"there are more than {MAX_TAGS} tags")


def _apply_collector(config: Config, key: str, value: str | list[str]) -> None:
    name, _, setting = key.partition(".")
    if name not in COLLECTORS_BY_NAME:
        raise ConfigError(_unknown("collector", name, COLLECTORS_BY_NAME))
    declared = COLLECTORS_BY_NAME[name]
    collector = config.collectors.setdefault(name, CollectorConfig())
    group, _, member = setting.partition(".")
    if setting in ("", "enabled"):  # "sensors: false" is short for "sensors: {enabled: false}"
        collector.enabled = parse_switch(_single(value))
    elif setting == "interval":
        collector.interval_ms = parse_interval(_single(value))
    elif group in declared.filters and member in ("include", "exclude"):
        previous = collector.filters.get(group, Filter())
        patterns = tuple(_list(value))
        is_include = member == "include"
        collector.filters[group] = (
            Filter(patterns, previous.exclude) if is_include else Filter(previous.include, patterns)
        )
    elif group in declared.mappings and member:
        collector.settings.setdefault(group, {})[member] = _single(value)
    elif setting in declared.settings:
        collector.settings[setting] = declared.settings[setting](_single(value))
    else:
        known = ["enabled", "interval", *declared.settings, *declared.mappings]
        known += [f"{filter}.{side}" for filter in declared.filters for side in ("include", "exclude")]
        raise ConfigError(_unknown("key", setting, known))


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    import difflib

    known = sorted(known)
    similar = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {similar[0]!r}?" if similar else f"choose one of {', '.join(known)}"
    return f"there is no {what} {name!r}; {hint}"


def _single(value: str | list[str]) -> str:
    if isinstance(value, list):
        raise ConfigError("a single value is expected, not a list")
    return value


def _list(value: str | list[str]) -> list[str]:
    items = value if isinstance(value, list) else value.split(",")
    return [item.strip() for item in items if item.strip()]
