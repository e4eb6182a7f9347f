"""The agent's settings: defaults, then the file, then ``BONGSU_AGENT_*``, then the command line; the later wins.

Every complaint names where the value came from: file with line and key, environment variable, or flag.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bongsu.agent.collectors.base import Filter
from bongsu.core.errors import BongsuError, ConfigError
from bongsu.core.units import parse_duration_ms, parse_size_bytes

ENVIRONMENT_PREFIX = "BONGSU_AGENT_"
SYSTEM_FILE = "/etc/bongsu/agent.yml"
DEFAULT_SERVER = "http://127.0.0.1:8600"
# Faster than this the agent would mostly watch itself.
SHORTEST_INTERVAL_MS = 1_000


@dataclass(slots=True)
class CollectorConfig:
    """``interval_ms`` 0: the collector's own, or the agent's. ``settings``: what the collector declares beyond that,
    as text."""

    enabled: bool | None = None
    interval_ms: int = 0
    filters: dict[str, Filter] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Config:
    """See config/agent.yml, which documents each key."""

    servers: tuple[str, ...] = (DEFAULT_SERVER,)
    token: str = field(default="", repr=False)
    token_file: str = ""
    enrolment_token: str = field(default="", repr=False)
    enrolment_token_file: str = ""
    name: str = ""
    interval_ms: int = 10_000
    data_dir: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    proxy: str = ""
    ca_file: str = ""
    server_name: str = ""
    timeout_ms: int = 10_000
    buffer_bytes: int = 512 * 1024**2
    buffer_age_ms: int = 7 * 86_400_000
    replay_rate: int = 500
    cpu_limit: float = 0.01
    memory_limit_bytes: int = 64 * 1024**2
    log_level: str = "info"
    log_file: str = ""
    log_format: str = "text"
    log_bytes: int = 5 * 1024**2
    log_files: int = 3
    collectors: dict[str, CollectorConfig] = field(default_factory=dict)
    file: str = ""


def _text(text: str) -> str:
    return text.strip()


def _token(text: str) -> str:
    token = text.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError("a token has only letters, digits and signs")
    return token


def _switch(text: str) -> bool:
    if text.lower() in ("true", "yes", "on", "1"):
        return True
    if text.lower() in ("false", "no", "off", "0"):
        return False
    raise ConfigError(f"{text!r} is neither true nor false")


def _interval(text: str) -> int:
    interval_ms = parse_duration_ms(text)
    if interval_ms < SHORTEST_INTERVAL_MS or interval_ms % 1_000:
        raise ConfigError(f"{text!r} is not an interval: whole seconds, at least 1s")
    return interval_ms


def _duration(text: str) -> int:
    duration_ms = parse_duration_ms(text)
    if duration_ms <= 0:
        raise ConfigError(f"{text!r} must be longer than nothing")
    return duration_ms


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def _top(text: str) -> int:
    number = _count(text)
    if number > 50:  # by CPU and by memory: the API server takes 100 processes a list
        raise ConfigError(f"{text!r} is more than 50")
    return number


def _percent(text: str) -> float:
    number = text.removesuffix("%").strip()
    if not text.endswith("%") or not number.replace(".", "", 1).isdigit():
        raise ConfigError(f"{text!r} is not a share: write it like 1%")
    return float(number) / 100


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ConfigError(f"{text!r} is not one of {', '.join(choices)}")
        return text

    return parse


def _url(text: str) -> str:
    scheme, found, rest = text.strip().partition("://")
    if not found or scheme.lower() not in ("http", "https") or not rest or rest.startswith("/"):
        raise ConfigError(f"{text!r} is not an address: write it like {DEFAULT_SERVER}")
    return text.strip().rstrip("/")


def _proxy(text: str) -> str:
    url = _url(text)
    if not url.lower().startswith("http://"):
        raise ConfigError(f"{text!r}: the way to the proxy itself is http://")
    return url


# Dotted key of the file -> (field of Config, parser). The environment variable is the key in capitals with "_" for ".".
_KEYS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "token": ("token", _token),
    "token_file": ("token_file", _text),
    "enrolment_token": ("enrolment_token", _token),
    "enrolment_token_file": ("enrolment_token_file", _text),
    "name": ("name", _text),
    "interval": ("interval_ms", _interval),
    "data_dir": ("data_dir", _text),
    "proxy": ("proxy", _proxy),
    "tls.ca_file": ("ca_file", _text),
    "tls.server_name": ("server_name", _text),
    "timeout": ("timeout_ms", _duration),
    "buffer.size": ("buffer_bytes", parse_size_bytes),
    "buffer.age": ("buffer_age_ms", _duration),
    "buffer.replay_rate": ("replay_rate", _count),
    "limits.cpu": ("cpu_limit", _percent),
    "limits.memory": ("memory_limit_bytes", parse_size_bytes),
    "log.level": ("log_level", _choice("debug", "info", "warning", "error")),
    "log.file": ("log_file", _text),
    "log.format": ("log_format", _choice("text", "json")),
    "log.size": ("log_bytes", parse_size_bytes),
    "log.files": ("log_files", _count),
}
# Collector -> its filters and settings, besides enabled and interval, which each has.
COLLECTOR_FILTERS = {
    "disk": ("mounts", "devices"),
    "network": ("interfaces",),
    "processes": ("names",),
    "systemd": ("units",),
    "sensors": ("chips",),
}
COLLECTOR_SETTINGS: dict[str, dict[str, Callable[[str], Any]]] = {
    "processes": {"top": _top},
    "custom": {"statsd": _text, "timeout": _duration},
}
COLLECTOR_MAPPINGS = {"custom": ("scripts",)}


def load(
    known_collectors: Iterable[str],
    *,
    file: str = "",
    environment: Mapping[str, str] = os.environ,
    flags: Mapping[str, str] | None = None,
) -> Config:
    """All sources together. ``flags``: dotted key -> text, as given on the command line.

    Raises:
        ConfigError: a value is wrong; says which, where it stands, and how it should look.
    """
    config = Config()
    names = tuple(known_collectors)
    file = (
        file
        or environment.get(ENVIRONMENT_PREFIX + "CONFIG", "")
        or (SYSTEM_FILE if os.path.exists(SYSTEM_FILE) else "")
    )
    if file:
        from bongsu.agent.config_file import read

        config.file = file
        for key, value in read(file).items():
            _apply(config, key, value.value, value.place, names)
    for key in ("server", "tags", *_KEYS):
        variable = ENVIRONMENT_PREFIX + key.upper().replace(".", "_")
        if environment.get(variable):
            _apply(config, key, environment[variable], variable, names)
    for key, text in (flags or {}).items():
        _apply(config, key, text, f"--{key.replace('_', '-')}", names)
    config.data_dir = os.path.expanduser(config.data_dir) or default_data_dir(environment)
    return config


def _apply(config: Config, key: str, value: "str | list[str] | None", place: str, names: tuple[str, ...]) -> None:
    if value is None:
        return
    try:
        if key == "server":
            config.servers = tuple(map(_url, _texts(value)))
            if not config.servers:
                raise ConfigError("at least one address is needed")
        elif key == "tags" or key.startswith("tags."):
            _apply_tags(config, key, value)
        elif key.startswith("collectors."):
            _apply_collector(config, key.split(".", 1)[1], value, names)
        elif key in _KEYS:
            attribute, parse = _KEYS[key]
            setattr(config, attribute, parse(_one(value)))
        else:
            raise ConfigError(_unknown(key, ("server", "tags", "collectors", *_KEYS)))
    except BongsuError as error:
        raise ConfigError(f"{place}: {error.message.rstrip('.')}.", field=key) from None


def _apply_tags(config: Config, key: str, value: "str | list[str]") -> None:
    if key == "tags":  # from the environment: site=seoul,role=db
        pairs = [item.partition("=") for item in _texts(value)]
        if any(not found for _, found, _ in pairs):
            raise ConfigError("tags are written like site=seoul,role=db")
        config.tags = {name.strip(): text.strip() for name, _, text in pairs}
    else:
        config.tags[key.split(".", 1)[1]] = _one(value)
    for name, text in config.tags.items():
        if not name.replace("_", "a").isalnum() or not name.isascii() or name[0].isdigit():
            raise ConfigError(f"the tag name {name!r} may have only letters, digits and _")
        if len(text.encode()) > 256:
            raise ConfigError(f"the tag {name} is longer than 256 bytes")
    if (
        len(config.tags) > 12
    ):  # the API server allows 16 labels on the series that carries them; four are the agent's own
        raise ConfigError("there are more than 12 tags")


def _apply_collector(config: Config, key: str, value: "str | list[str]", names: tuple[str, ...]) -> None:
    name, _, rest = key.partition(".")
    if name not in names:
        raise ConfigError(_unknown(name, names, "collector"))
    collector = config.collectors.setdefault(name, CollectorConfig())
    word, _, last = rest.partition(".")
    settings = COLLECTOR_SETTINGS.get(name, {})
    if rest in ("", "enabled"):  # "sensors: false" for short
        collector.enabled = _switch(_one(value))
    elif rest == "interval":
        collector.interval_ms = _interval(_one(value))
    elif word in COLLECTOR_FILTERS.get(name, ()) and last in ("include", "exclude"):
        before = collector.filters.get(word, Filter())
        patterns = tuple(_texts(value))
        collector.filters[word] = (
            Filter(patterns, before.exclude) if last == "include" else Filter(before.include, patterns)
        )
    elif word in COLLECTOR_MAPPINGS.get(name, ()) and last:
        collector.settings.setdefault(word, {})[last] = _one(value)
    elif rest in settings:
        collector.settings[rest] = settings[rest](_one(value))
    else:
        known = ["enabled", "interval", *settings, *COLLECTOR_MAPPINGS.get(name, ())]
        known += [f"{filter}.{side}" for filter in COLLECTOR_FILTERS.get(name, ()) for side in ("include", "exclude")]
        raise ConfigError(_unknown(rest, known))


def _unknown(name: str, known: Iterable[str], what: str = "key") -> str:
    import difflib

    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"there is no {what} {name!r}" + (
        f", did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"
    )


def _one(value: "str | list[str]") -> str:
    if isinstance(value, list):
        raise ConfigError("one value is expected, not a list")
    return value


def _texts(value: "str | list[str]") -> list[str]:
    items = value if isinstance(value, list) else value.split(",")
    return [item.strip() for item in items if item.strip()]


def default_data_dir(environment: Mapping[str, str] = os.environ) -> str:
    """Where this system keeps what a program must find again."""
    if environment.get("STATE_DIRECTORY"):  # systemd's StateDirectory=
        return environment["STATE_DIRECTORY"].split(":")[0]
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        return os.path.join(environment.get("PROGRAMDATA", home), "Bongsu", "agent")
    root = os.geteuid() == 0
    if sys.platform == "darwin":
        return os.path.join("" if root else home, "/Library/Application Support/Bongsu/agent"[0 if root else 1 :])
    if root:
        return "/var/lib/bongsu/agent"
    return os.path.join(environment.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share"), "bongsu", "agent")
