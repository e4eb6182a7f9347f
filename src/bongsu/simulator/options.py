"""The command line of ``bongsu simulate``. Every flag is also an environment variable, ``BONGSU_SIMULATE_...``."""

import argparse
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from bongsu.core.errors import BongsuError, ConfigError
from bongsu.core.liveness import LONGEST_INTERVAL_MS, SHORTEST_INTERVAL_MS
from bongsu.core.units import DAY_MS, parse_duration_ms
from bongsu.simulator.incidents import Incident, parse_incidents
from bongsu.simulator.trouble import Kind
from bongsu.wire.enrolment import MAX_TOKEN_BYTES, is_token

T = TypeVar("T")

ENVIRONMENT_PREFIX = "BONGSU_SIMULATE_"
MAX_SERVERS = 20_000
MAX_HISTORY_MS = 365 * DAY_MS
MAX_SEED = 2**63 - 1
MAX_PREFIX = 100
_DESCRIPTION = """\
Simulates a fleet of servers: each enrols and sends as an agent does, with readings of a real machine."""


@dataclass(frozen=True, slots=True)
class Options:
    """``run_ms`` 0: until Ctrl-C. ``path``: of the URL, without a slash at its end."""

    servers: int
    interval_ms: int
    run_ms: int
    history_ms: int
    seed: int
    name_prefix: str
    secure: bool
    host: str
    port: int
    path: str
    ca_file: str
    data_dir: Path
    enrolment_token: str = field(repr=False)
    incidents: tuple[Incident, ...] = ()

    @property
    def url(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.path}"

    @property
    def authority(self) -> str:
        """As in the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def parse_options(argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> Options:
    """Exits for ``--help`` and unknown flags, as argparse does.

    Raises:
        ConfigError: a value is wrong; the message names the flag.
    """
    given = _parser(environment).parse_args(list(argv))
    secure, host, port, path = _checked("--url", given.url, _parse_url)
    return Options(
        servers=_checked("--servers", given.servers, _count("a number of servers", 1, MAX_SERVERS)),
        interval_ms=_checked("--interval", given.interval, _parse_interval),
        run_ms=_checked("--for", given.run, _parse_duration) if given.run else 0,
        history_ms=_checked("--history", given.history, _parse_history) if given.history else 0,
        seed=_checked("--seed", given.seed, _count("a seed", 0, MAX_SEED)),
        name_prefix=_checked("--name-prefix", given.name_prefix, _parse_prefix),
        secure=secure,
        host=host,
        port=port,
        path=path,
        ca_file=given.ca_file,
        data_dir=Path(given.data_dir).expanduser(),
        enrolment_token=_enrolment_token(given.enrolment_token, given.enrolment_token_file),
        incidents=parse_incidents(given.incident or environment.get(ENVIRONMENT_PREFIX + "INCIDENT", "").split()),
    )


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bongsu simulate", description=_DESCRIPTION)

    def add(flag: str, metavar: str, default: str, text: str) -> None:
        variable = ENVIRONMENT_PREFIX + flag.removeprefix("--").upper().replace("-", "_")
        shown = f" (default {default})" if default else ""
        value = environment.get(variable) or default
        name = "run" if flag == "--for" else flag.removeprefix("--").replace("-", "_")  # for is a word of Python
        parser.add_argument(flag, dest=name, metavar=metavar, default=value, help=text + shown)

    add("--servers", "N", "20", f"how many servers, up to {MAX_SERVERS:,}")
    add("--url", "URL", "http://127.0.0.1:8600", "the API server")
    add("--interval", "TIME", "10s", "how often each server is sampled, 1s to 1h")
    add("--for", "TIME", "", "end after this time, such as 10m; enrolment and history count (default: until Ctrl-C)")
    add("--history", "TIME", "", "first send this much of the past, such as 24h")
    add("--seed", "N", "1", "the same seed makes the same servers")
    add("--name-prefix", "TEXT", "", "begins the name of every server")
    add("--enrolment-token", "TOKEN", "", "lets the servers in; others can see it in the list of processes")
    add("--enrolment-token-file", "FILE", "", "a file with the enrolment token")
    add("--data-dir", "DIR", _default_data_dir(environment), "directory of the servers' tokens")
    add("--ca-file", "FILE", "", "certificates to trust, if the system does not know the API server's")
    parser.add_argument(
        "--incident",
        metavar="KIND:servers=N,after=TIME,for=TIME",
        action="append",
        help=f"what goes wrong; can be repeated. Kinds: {', '.join(Kind)}. servers: a number or names joined by +",
    )
    return parser


def _default_data_dir(environment: Mapping[str, str]) -> str:
    return os.path.join(environment.get("XDG_DATA_HOME") or "~/.local/share", "bongsu", "simulator")


def _checked(flag: str, text: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(text)
    except (BongsuError, ValueError) as error:
        message = error.message if isinstance(error, BongsuError) else str(error)
        raise ConfigError(f"{flag}: {message.rstrip('.')}.", field=flag.removeprefix("--")) from None


def _count(what: str, lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) < 30 and lowest <= int(text) <= highest):
            raise ConfigError(f"{text[:40]!r} is not {what} from {lowest} to {highest:,}")
        return int(text)

    return parse


def _parse_interval(text: str) -> int:
    interval_ms = parse_duration_ms(text)
    if not SHORTEST_INTERVAL_MS <= interval_ms <= LONGEST_INTERVAL_MS or interval_ms % 1_000:
        raise ConfigError(f"{text!r} is not a valid interval: use whole seconds, from 1s to 1h")
    return interval_ms


def _parse_duration(text: str) -> int:
    duration_ms = parse_duration_ms(text)
    if duration_ms <= 0:
        raise ConfigError(f"{text!r} must be longer than 0")
    return duration_ms


def _parse_history(text: str) -> int:
    history_ms = parse_duration_ms(text)
    if not 0 < history_ms <= MAX_HISTORY_MS:
        raise ConfigError(f"{text!r} must be longer than 0 and at most {MAX_HISTORY_MS // DAY_MS}d")
    return history_ms


def _parse_prefix(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]*", text) or len(text) > MAX_PREFIX:
        raise ConfigError(f"{text[:40]!r} is not up to {MAX_PREFIX} letters, digits, dots, hyphens and underscores")
    return text


def _parse_url(text: str) -> tuple[bool, str, int, str]:
    parts = urlsplit(text.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(f"{text!r} is not a URL: write it like http://127.0.0.1:8600")
    if not (parts.hostname + parts.path).isascii() or any(character.isspace() for character in parts.path):
        raise ConfigError(f"{text!r} may contain only ASCII characters")
    secure = parts.scheme == "https"
    return secure, parts.hostname, parts.port or (443 if secure else 80), parts.path.rstrip("/")


def _enrolment_token(token: str, file: str) -> str:
    flag = "--enrolment-token"
    if not token and file:
        flag = "--enrolment-token-file"
        try:
            with open(Path(file).expanduser(), encoding="utf-8") as stream:
                token = stream.read(MAX_TOKEN_BYTES)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a text file"
            raise ConfigError(f"{flag}: {file} cannot be read: {reason}.", field=flag.removeprefix("--")) from None
    if not is_token(token.strip()):
        raise ConfigError(
            f"{flag}: a token consists of printable ASCII characters without spaces.", field=flag.removeprefix("--")
        )
    return token.strip()
