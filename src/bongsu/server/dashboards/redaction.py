"""Hides host names, addresses and mount points from those who see a shared dashboard.

What is hidden gets a name that stays the same: servers by their id, the rest by a keyed hash, which tells nothing to
whoever does not have the key of the installation.
"""

import hmac
import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

from bongsu.server.dashboards.shares import Redacted

PURPOSE = "redaction"
# What looks like an address is checked, so that a time of day or a version stays.
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)")
_IPV6 = re.compile(r"(?<![\w.:])(?=:*[0-9A-Fa-f])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])")
_MAC = re.compile(r"(?<![\w:-])[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}(?![\w:-])")
_SERIES_LABEL = re.compile(r'([\w:]+)="([^"]*)"')
_SERIES = re.compile(r'[\w:]*(\{[\w:]+="[^"]*"(,[\w:]+="[^"]*")*\})?')
# A device may be named after what is on it: /dev/mapper/customer-data.
_PLACE_LABELS = ("mountpoint", "device")


class Redactor:
    """Of one share. ``names``: server id -> name, of all servers whose names may turn up."""

    def __init__(self, what: Iterable[Redacted], names: Mapping[int, str], secret: bytes) -> None:
        self._what = frozenset(what)
        self._names = names
        self._secret = secret
        self._hosts = _any_of(names) if "hosts" in self._what else None

    def server(self, server_id: int) -> str:
        """What a server is called."""
        name = self._names.get(server_id, f"#{server_id}")
        return f"server-{server_id}" if self._hosts else self.text(name)

    def text(self, text: str) -> str:
        """A text in which host names and addresses may occur."""
        if self._hosts:
            pattern, ids = self._hosts
            text = pattern.sub(lambda found: f"server-{ids[found[0].lower()]}", text)
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


def _any_of(names: Mapping[int, str]) -> tuple[re.Pattern[str], dict[str, int]]:
    """A pattern of all names as whole words, the longest first, and the server of each; a domain may be left out."""
    ids: dict[str, int] = {}
    for server_id, name in names.items():
        for word in (name, name.partition(".")[0]):
            if word:
                ids.setdefault(word.lower(), server_id)
    words = sorted(ids, key=len, reverse=True)
    pattern = rf"(?<![\w-])(?:{'|'.join(map(re.escape, words))})(?![\w-])" if words else r"(?!)"
    return re.compile(pattern, re.IGNORECASE), ids
