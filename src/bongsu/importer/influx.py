"""Samples in InfluxDB's line protocol: ``measurement,tag=text field=1.5,other=2i time``.

A numeric or boolean field is a series ``measurement_field`` with the tags as labels; texts are left out. The tag
``host`` becomes the label ``instance``, which names the server, unless another tag does so already. Characters that
names of metrics and labels cannot have become ``_``.

Format: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

import re
from collections.abc import Iterator

from bongsu.importer.parsing import CACHED_SERIES, BadLine, checked_time, number, series_key
from bongsu.importer.source import Sample

# Nanoseconds of a unit.
PRECISIONS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_NAMES_THE_SERVER = ("host.name", "host_name", "k8s.node.name", "k8s_node_name", "instance")
_BOOLEANS = dict.fromkeys(("t", "T", "true", "True", "TRUE"), 1.0) | dict.fromkeys(
    ("f", "F", "false", "False", "FALSE"), 0.0
)
# What an export of InfluxDB has besides lines: statements that make the database.
_STATEMENTS = (b"#", b"CREATE DATABASE ", b"CREATE RETENTION POLICY ")
_NOT_METRIC = re.compile(r"[^a-zA-Z0-9_:]")
_NOT_LABEL = re.compile(r"[^a-zA-Z0-9_.]")
_HEAD = re.compile(r"(?:[^\\ ]|\\.|\\$)+")
_PIECE = re.compile(r"(?:[^\\,]|\\.|\\$)+")
_FIELD = re.compile(r'((?:[^\\,=\s"]|\\.)+)=("(?:[^"\\]|\\.)*"|[^\s,"]+)')
_ESCAPE = re.compile(r"\\([,= \\])")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_TIME = re.compile(r"-?\d{1,19}")


class InfluxParser:
    """Parses line by line; lines do not depend on each other. ``left_out`` counts the fields that are texts."""

    def __init__(self, precision: str = "ns") -> None:
        """``precision``: the unit of time stamps, one of PRECISIONS."""
        self.left_out = 0
        self._nanoseconds = PRECISIONS[precision]
        # Measurement and tags as they are written -> field -> encoded labels.
        self._keys: dict[str, dict[str, bytes]] = {}
        self._labels: dict[str, tuple[str, dict[str, str]]] = {}
        self._cached = 0

    def samples(self, line: bytes) -> Iterator[Sample]:
        """The samples of a line. Raises BadLine, also after some of them."""
        line = line.strip()
        if not line or line.startswith(_STATEMENTS):
            return
        try:
            text = line.decode()
        except UnicodeDecodeError:
            raise BadLine("it is not UTF-8") from None
        head, fields, time = _plain(text) if "\\" not in text and '"' not in text else _parts(text)
        time_ms = self._time(time)
        keys = self._known(head)
        for field, value in fields:
            if value.startswith('"'):
                self.left_out += 1
                continue
            key = keys.get(field)
            if key is None:
                key = keys[field] = self._key(head, field)
                self._cached += 1
            yield key, time_ms, _value(value)

    def _time(self, text: str) -> int:
        if not text:
            raise BadLine("it has no time stamp")
        if not _TIME.fullmatch(text):
            raise BadLine(f"{text[:40]!r} is no time stamp")
        return checked_time(int(text) * self._nanoseconds // 1_000_000)

    def _known(self, head: str) -> dict[str, bytes]:
        keys = self._keys.get(head)
        if keys is None:
            if self._cached >= CACHED_SERIES or len(self._keys) >= CACHED_SERIES:
                self._keys.clear()
                self._labels.clear()
                self._cached = 0
            self._labels[head] = _labels(head)
            keys = self._keys[head] = {}
        return keys

    def _key(self, head: str, field: str) -> bytes:
        measurement, labels = self._labels[head]
        name = _NOT_METRIC.sub("_", f"{measurement}_{_unescaped(field)}")
        return series_key(labels | {"__name__": f"_{name}" if name[0].isdigit() else name})


def _plain(text: str) -> tuple[str, list[tuple[str, str]], str]:
    """Measurement with tags, fields and time stamp of a line without escapes and quotes. Raises BadLine."""
    words = text.split()
    if len(words) not in (2, 3):
        raise BadLine("a line consists of a measurement with tags, fields and a time stamp")
    fields = []
    for field in words[1].split(","):
        name, is_field, value = field.partition("=")
        if not (name and is_field and value) or "=" in value:
            raise BadLine(f"{field[:40]!r} is no field")
        fields.append((name, value))
    return words[0], fields, words[2] if len(words) == 3 else ""


def _parts(text: str) -> tuple[str, list[tuple[str, str]], str]:
    """As ``_plain``, of any line."""
    head = _HEAD.match(text)
    if head is None:
        raise BadLine("it has no measurement")
    at = head.end()
    while text[at : at + 1] == " ":
        at += 1
    fields = []
    while True:
        field = _FIELD.match(text, at)
        if field is None:
            raise BadLine("its fields are malformed")
        fields.append((field[1], field[2]))
        at = field.end()
        if text[at : at + 1] != ",":
            break
        at += 1
    if text[at : at + 1] not in ("", " "):
        raise BadLine("its fields are malformed")
    return head[0], fields, text[at:].strip()


def _labels(head: str) -> tuple[str, dict[str, str]]:
    """The measurement and the labels. Raises BadLine."""
    pieces = _PIECE.findall(head)
    if head.startswith(",") or not pieces:
        raise BadLine("it has no measurement")
    labels: dict[str, str] = {}
    for piece in pieces[1:]:
        parts = re.split(r"(?<!\\)=", piece, maxsplit=1)
        if len(parts) != 2 or not parts[0]:
            raise BadLine(f"{piece[:40]!r} is no tag")
        name = _NOT_LABEL.sub("_", _unescaped(parts[0]))
        labels[f"_{name}" if name[0].isdigit() or name[0] == "." else name] = _unescaped(parts[1])
    if "host" in labels and not any(name in labels for name in _NAMES_THE_SERVER):
        labels["instance"] = labels.pop("host")
    return _unescaped(pieces[0]), labels


def _value(text: str) -> float:
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    digits = text[:-1] if text[-1] in "iu" else text
    if not _NUMBER.fullmatch(digits):
        raise BadLine(f"{text[:40]!r} is no value of a field")
    return number(digits)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text
