"""Hides host names, addresses and mount points from those who see a shared dashboard.

What is hidden gets a name that stays the same: servers by their id, the rest by a keyed hash, which tells nothing to
whoever does not have the key of the installation.
"""

import hmac
import ipaddress
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from bongsu.server.dashboards.shares import Redacted

PURPOSE = "redaction"
# What looks like an address is checked, so that a time of day or a version stays.
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)")
_IPV6 = re.compile(r"(?<![\w.:])(?=:*[0-9A-Fa-f])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])")
_MAC = re.compile(r"(?<![\w:-])[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}(?![\w:-])")
_WORD = re.compile(r"\w[\w.-]*")
_PLAIN = re.compile(r"\w(?:[\w.-]*\w)?")
_SERIES_LABEL = re.compile(r'([\w:]+)="([^"]*)"')
_SERIES = re.compile(r'[\w:]*(\{[\w:]+="[^"]*"(,[\w:]+="[^"]*")*\})?')
# A device may be named after what is on it: /dev/mapper/customer-data.
_PLACE_LABELS = ("mountpoint", "device")


def _called(server_id: int) -> str:
    return f"server-{server_id}"


class _Hosts:
    """The names of servers as words of a text, whole, in any case; a domain may be left out or added.

    Words are looked up: a pattern of 1,000 names takes 0.1 s to compile, on the event loop.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        self._ids: dict[str, int] = {}
        odd: dict[str, int] = {}
        for server_id, name in names.items():
            short = name.partition(".")[0]
            for word in (name, "" if short.isdecimal() else short):
                if word:
                    (self._ids if _PLAIN.fullmatch(word) else odd).setdefault(word.lower(), server_id)
        self._most_labels = max((word.count(".") + 1 for word in self._ids), default=0)
        self._odd = odd
        self._pattern = _pattern_of(tuple(sorted(odd, key=len, reverse=True))) if odd else None

    def hidden(self, text: str) -> str:
        """The text with other names."""
        if self._pattern is not None:
            text = self._pattern.sub(lambda found: _called(self._odd[found[0].lower()]), text)
        return _WORD.sub(lambda found: self._word(found[0]), text)

    def _word(self, word: str) -> str:
        labels, parts, start = word.split("."), list[str](), 0
        while start < len(labels):
            # The longest name that begins here.
            for end in range(min(len(labels), start + self._most_labels), start, -1):
                name = ".".join(labels[start:end])
                bare = name.rstrip(".-")
                if (known := self._ids.get(bare.lower())) is not None:
                    parts.append(_called(known) + name[len(bare) :])
                    start = end
                    break
            else:
                parts.append(labels[start])
                start += 1
        return ".".join(parts)


@lru_cache(8)
def _pattern_of(words: tuple[str, ...]) -> re.Pattern[str]:
    """Any of these words, which contain spaces or the like."""
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, words))})(?![\w-])", re.IGNORECASE)


class Redactor:
    """Of one share. ``names``: server id -> name, of all servers whose names may turn up."""

    def __init__(self, what: Iterable[Redacted], names: Mapping[int, str], secret: bytes) -> None:
        self._what = frozenset(what)
        self._names = names
        self._secret = secret
        self._hosts = _Hosts(names) if "hosts" in self._what else None

    def server(self, server_id: int) -> str:
        """What a server is called."""
        name = self._names.get(server_id, f"#{server_id}")
        return _called(server_id) if self._hosts else self.text(name)

    def text(self, text: str) -> str:
        """A text in which host names and addresses may occur."""
        if self._hosts:
            text = self._hosts.hidden(text)
        if "addresses" in self._what:
            text = _MAC.sub(lambda found: self._mark("address", found[0]), text)
            for pattern in (_IPV4, _IPV6):
                text = pattern.sub(lambda found: self._address(found[0]), text)
        return text

    def label(self, name: str, value: str) -> str:
        """The value of a label."""
        # The root is the same everywhere.
        if "mountpoints" in self._what and name in _PLACE_LABELS and value.startswith("/") and value != "/":
            return self._mark(name, value)
        return self.text(value)

    def series(self, text: str) -> str:
        """A series in writing, such as ``filesystem_usage_ratio{mountpoint="/srv"}``."""
        if not _SERIES.fullmatch(text):  # a quote in a value: where it ends is not certain
            return text.partition("{")[0]
        return _SERIES_LABEL.sub(lambda found: f'{found[1]}="{self.label(found[1], found[2])}"', text)

    def all_labels(self, document: Any) -> None:
        """Changes every ``labels`` in a document, however deep."""
        if isinstance(document, list):
            for item in document:
                if isinstance(item, dict | list):
                    self.all_labels(item)
        elif isinstance(document, dict):
            for name, value in document.items():
                if name == "labels" and isinstance(value, dict):
                    document[name] = {label: self.label(label, str(text)) for label, text in value.items()}
                elif isinstance(value, dict | list):
                    self.all_labels(value)

    def _address(self, text: str) -> str:
        try:
            ipaddress.ip_address(text)
        except ValueError:
            return text
        return self._mark("address", text)

    def _mark(self, kind: str, value: str) -> str:
        return f"{kind}-{hmac.new(self._secret, value.lower().encode(), 'sha256').hexdigest()[:6]}"
