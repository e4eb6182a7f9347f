"""What goes wrong in a simulated fleet on request: ``--incident cpu-storm:servers=3,after=1m,for=5m``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bongsu.core.errors import BongsuError, ConfigError
from bongsu.core.units import DAY_MS, parse_duration_ms
from bongsu.simulator.trouble import Kind, Trouble

MAX_INCIDENTS = 100
MAX_SERVERS_NAMED = 1_000
LONGEST_MS = 365 * DAY_MS
LARGEST_SKEW_MS = DAY_MS
DEFAULT_FOR = "5m"


@dataclass(frozen=True, slots=True)
class Incident:
    """As asked for. ``count``: how many servers, which the seed chooses; ``names``: these instead. ``after_ms``: since
    the simulator was started. ``by_ms``: how far a clock is off."""

    kind: Kind
    count: int
    names: tuple[str, ...]
    after_ms: int
    for_ms: int
    by_ms: int


def troubles(
    incidents: Sequence[Incident], *, servers: Sequence[str], seed: int, start_ms: int
) -> list[tuple[Trouble, ...]]:
    """What happens to each server. ``servers``: the names of all. ``start_ms``: when the simulator was started.

    Raises:
        ConfigError: the fleet has not so many servers, or no such server; or two incidents of one kind meet at one.
    """
    found: list[list[Trouble]] = [[] for _ in servers]
    places = {name: place for place, name in enumerate(servers)}
    for number, incident in enumerate(incidents):
        for place in _chosen(incident, number, places, seed):
            start = start_ms + incident.after_ms
            trouble = Trouble(incident.kind, start, start + incident.for_ms, incident.by_ms)
            for other in found[place]:
                if other.kind is trouble.kind and trouble.start_ms < other.end_ms and other.start_ms < trouble.end_ms:
                    raise _wrong(f"two of kind {trouble.kind} overlap on {servers[place]}", "incident")
            found[place].append(trouble)
    return [tuple(each) for each in found]


def _chosen(incident: Incident, number: int, places: dict[str, int], seed: int) -> list[int]:
    for name in incident.names:
        if name not in places:
            raise _wrong(f"{incident.kind}: servers: there is no server {name} among {len(places):,}", "servers")
    if incident.names:
        return [places[name] for name in incident.names]
    if incident.count > len(places):
        raise _wrong(
            f"{incident.kind}: servers: {incident.count:,} is more than the fleet has ({len(places):,})",
            "servers",
            limit=len(places),
        )
    random = np.random.default_rng((seed, number))
    return sorted(random.choice(len(places), incident.count, replace=False).tolist())


def parse_incidents(texts: Sequence[str]) -> tuple[Incident, ...]:
    """Raises ConfigError."""
    if len(texts) > MAX_INCIDENTS:
        raise _wrong(f"{len(texts):,} are more than {MAX_INCIDENTS}", "incident", limit=MAX_INCIDENTS)
    return tuple(map(parse_incident, texts))


def parse_incident(text: str) -> Incident:
    """Parses ``KIND:field=value,...``.

    Raises:
        ConfigError: names the field and its limit.
    """
    word, _, rest = text.strip().partition(":")
    if word not in list(Kind):
        raise _wrong(f"{word[:40]!r} is no kind of incident: use {', '.join(Kind)}", "kind")
    kind = Kind(word)
    fields = {"servers": "1", "after": "0s", "for": DEFAULT_FOR}
    if kind is Kind.CLOCK_SKEW:
        fields["by"] = ""
    given: set[str] = set()
    for part in rest.split(",") if rest else []:
        name, equals, value = part.partition("=")
        if not equals or name not in fields or name in given:
            allowed = ", ".join(f"{field}=" for field in fields)
            raise _wrong(f"{kind}: {part[:40]!r}: use each of {allowed} at most once", name)
        given.add(name)
        fields[name] = value

    def value_of(field: str, parse: Callable[[str], int]) -> int:
        try:
            return parse(fields[field])
        except BongsuError as error:
            raise _wrong(f"{kind}: {field}: {error.message.rstrip('.')}", field) from None

    count, names = _parse_servers(kind, fields["servers"])
    return Incident(
        kind,
        count,
        names,
        value_of("after", lambda value: _duration(value, 0, LONGEST_MS)),
        value_of("for", lambda value: _duration(value, 1_000, LONGEST_MS)),
        value_of("by", _parse_skew) if kind is Kind.CLOCK_SKEW else 0,
    )


def _parse_servers(kind: Kind, text: str) -> tuple[int, tuple[str, ...]]:
    """A number of servers, or their names."""
    if text.isascii() and text.isdecimal() and len(text) < 10:
        if not int(text):
            raise _wrong(f"{kind}: servers: must be at least 1", "servers", limit=1)
        return int(text), ()
    names = tuple(dict.fromkeys(text.split("+")))
    if not all(names) or len(names) > MAX_SERVERS_NAMED:
        raise _wrong(
            f"{kind}: servers: {text[:40]!r} is neither a number nor up to {MAX_SERVERS_NAMED:,} names such as "
            "web-01+db-02",
            "servers",
            limit=MAX_SERVERS_NAMED,
        )
    return 0, names


def _duration(text: str, lowest_ms: int, highest_ms: int) -> int:
    duration_ms = parse_duration_ms(text)
    if not lowest_ms <= duration_ms <= highest_ms:
        raise ConfigError(f"{text!r} is not from {lowest_ms // 1_000}s to {highest_ms // DAY_MS}d")
    return duration_ms


def _parse_skew(text: str) -> int:
    if not text:
        raise ConfigError("is missing: say how far the clock is off, such as by=-90s")
    if text.startswith("-"):
        return -_duration(text[1:], 1_000, LARGEST_SKEW_MS)
    return _duration(text.removeprefix("+"), 1_000, LARGEST_SKEW_MS)


def _wrong(message: str, field: str, limit: int | None = None) -> ConfigError:
    return ConfigError(
        f"--incident: {message}.", field=f"incident.{field}" if field != "incident" else field, limit=limit
    )
