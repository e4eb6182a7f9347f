"""Parses single values of the configuration. Each function takes the text and raises ConfigError or InvalidInput."""

from collections.abc import Callable

from bongsu.agent.defaults import SERVER_URL
from bongsu.core.errors import ConfigError
from bongsu.core.liveness import LONGEST_INTERVAL_MS, SHORTEST_INTERVAL_MS
from bongsu.core.text import has_control
from bongsu.core.units import parse_duration_ms
from bongsu.wire.enrolment import is_token


def parse_text(text: str) -> str:
    if has_control(text.strip()):
        raise ConfigError(f"{text.strip()!r} contains control characters")
    return text.strip()


def parse_token(text: str) -> str:
    token = text.strip()
    if not is_token(token):
        raise ConfigError("a token consists of printable ASCII characters without spaces")
    return token


def parse_switch(text: str) -> bool:
    if text.lower() in ("true", "yes", "on", "1"):
        return True
    if text.lower() in ("false", "no", "off", "0"):
        return False
    raise ConfigError(f"{text!r} is neither true nor false")


def parse_interval(text: str) -> int:
    """Milliseconds."""
    interval_ms = parse_duration_ms(text)
    if not SHORTEST_INTERVAL_MS <= interval_ms <= LONGEST_INTERVAL_MS or interval_ms % 1_000:
        raise ConfigError(f"{text!r} is not a valid interval: use whole seconds, from 1s to 1h")
    return interval_ms


def parse_interval_or_off(text: str) -> int:
    """Milliseconds; 0: off."""
    return 0 if text == "off" else parse_interval(text)


def parse_positive_duration(text: str) -> int:
    """Milliseconds."""
    duration_ms = parse_duration_ms(text)
    if duration_ms <= 0:
        raise ConfigError(f"{text!r} must be longer than 0")
    return duration_ms


def parse_count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def parse_percent(text: str) -> float:
    """A ratio: ``1%`` -> 0.01."""
    digits = text.removesuffix("%").strip()
    if not text.endswith("%") or not digits.replace(".", "", 1).isdigit():
        raise ConfigError(f"{text!r} is not a percentage: write it like 1%")
    return float(digits) / 100


def parse_choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ConfigError(f"{text!r} is not one of {', '.join(choices)}")
        return text

    return parse


def parse_url(text: str) -> str:
    scheme, separator, rest = text.strip().partition("://")
    if not separator or scheme.lower() not in ("http", "https") or not rest or rest.startswith("/"):
        raise ConfigError(f"{text!r} is not a URL: write it like {SERVER_URL}")
    return text.strip().rstrip("/")


def parse_proxy_url(text: str) -> str:
    url = parse_url(text)
    if not url.lower().startswith("http://"):
        raise ConfigError(f"{text!r}: the URL of a proxy begins with http://")
    return url
