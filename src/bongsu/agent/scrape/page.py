"""One read of a target: text in, values by slot out.

The text comes in pieces, so that a long page is never in memory as lines. A line whose head is known costs one look
into a dictionary and one ``float``; all others are parsed. An error leaves the table of the target as it was.
"""

import sys
from dataclasses import dataclass
from typing import NamedTuple

from bongsu.agent.collectors.base import SeriesKey
from bongsu.agent.scrape.relabel import relabelled, with_target_labels
from bongsu.agent.scrape.table import Found, SlotValues, Table
from bongsu.agent.scrape.text_format import (
    MAX_LINE_BYTES,
    Families,
    ParseError,
    SampleLine,
    number,
    parse_sample,
    shortened,
)
from bongsu.agent.scrape_config import RelabelRule
from bongsu.core.errors import BongsuError
from bongsu.core.series import Kind
from bongsu.core.text import visible
from bongsu.wire.limits import MAX_LABEL_BYTES, MAX_LABEL_NAME_CHARS, MAX_LABELS, MAX_METRIC_CHARS


class OverLimitError(BongsuError):
    """The page is over a limit of its target."""

    code = "over_limit"


@dataclass(slots=True)
class PageRules:
    """What applies to the samples of a target. A limit of 0: none. ``own_metrics``: names that a sample cannot have,
    because they are the agent's own."""

    labels: dict[str, str]
    relabel: tuple[RelabelRule, ...] = ()
    sample_limit: int = 0
    label_limit: int = 0
    label_name_length_limit: int = 0
    label_value_length_limit: int = 0
    takes_times: bool = True
    own_metrics: frozenset[str] = frozenset()


class Mark(NamedTuple):
    """A place to go back to."""

    values: SlotValues
    new: dict[SeriesKey, tuple[float, Kind]]
    heads: dict[str, SeriesKey | None]
    samples: int
    unsendable: int


class Page:
    """``samples``: lines with a sample; ``unsendable``: those that the API server would refuse, left out;
    ``problem``: why the first of them."""

    def __init__(self, table: Table, families: Families, rules: PageRules) -> None:
        self._table = table
        self._families = families
        self._rules = rules
        self._rest = b""
        # Series share their labels: half of the memory that they take.
        self._pairs: dict[tuple[str, str], tuple[str, str]] = {}
        self.found = Found(table.empty_values())
        self.samples = 0
        self.unsendable = 0
        self.problem = ""
        self._last_line = ""

    @property
    def new_series(self) -> int:
        """Series that the table does not have yet."""
        return len(self.found.new)

    @property
    def kept(self) -> int:
        """Series with a value."""
        values = self.found.values
        return sum(value is not None for value in values[:-1]) + len(self.found.new)

    def feed(self, piece: bytes) -> None:
        """Takes the next piece of the page.

        Raises:
            ParseError: it is not in Prometheus' text format.
            OverLimitError: it is over a limit.
        """
        data = self._rest + piece
        end = data.rfind(b"\n")
        if end < 0 and len(data) > MAX_LINE_BYTES:
            raise ParseError(f"A line is longer than {MAX_LINE_BYTES:,} bytes.")
        self._rest = data[end + 1 :]
        if end >= 0:
            self._read(data[:end])

    def end(self, *, open_metrics: bool = False) -> None:
        """The page has ended. ``open_metrics``: so it must say. Raises as ``feed``."""
        if self._rest:
            rest, self._rest = self._rest, b""
            self._read(rest)
        if open_metrics and self._last_line.rstrip() != "# EOF":
            raise ParseError("The page ends without # EOF, so a part of it is missing.")
        limit, found = self._rules.sample_limit, self.found
        # The first condition, which costs nothing, decides for most.
        if limit and len(found.values) + len(found.new) > limit and (kept := self.kept) > limit:
            raise OverLimitError(f"The target has {kept:,} samples; its sample_limit is {limit:,}.", limit=limit)

    def add(self, metric: str, labels: dict[str, str], value: float) -> None:
        """Adds a sample that is not on the page."""
        self._set((metric, tuple(sorted(labels.items()))), value, Kind.GAUGE)

    def mark(self) -> Mark:
        """Where the page is, for ``back_to``."""
        found = self.found
        return Mark(list(found.values), dict(found.new), dict(found.heads), self.samples, self.unsendable)

    def back_to(self, mark: Mark) -> None:
        """Forgets what came after the mark."""
        self._rest = b""
        self.found = Found(mark.values, mark.new, mark.heads)
        self.samples, self.unsendable = mark.samples, mark.unsendable

    def _read(self, data: bytes) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise ParseError("The page is not UTF-8.") from None
        slot_of, values, seen_types = self._table.heads.get, self.found.values, self._families.seen
        lines = text.split("\n")
        others = 0
        line = ""
        try:
            for line in lines:
                head, _, value = line.rpartition(" ")
                slot = slot_of(head)
                if slot is not None:
                    values[slot] = float(value)
                elif line[:6] == "# HELP" or line in seen_types:  # half of a usual page
                    others += 1
                else:
                    others += self._read_other(line)
        except ValueError:
            raise ParseError(f"{shortened(line)}: its value is not a number.") from None
        self.samples += len(lines) - others
        self._last_line = line
        limit = self._rules.sample_limit
        if limit and len(self.found.new) > limit:
            # What a page with endless series would cost is decided here; the exact count comes at its end.
            raise OverLimitError(f"The target has more than {limit:,} samples, its sample_limit.", limit=limit)

    def _read_other(self, line: str) -> int:
        """Reads a line whose head is not known. Returns 1 if it is no sample."""
        if line.startswith("#"):
            self._families.comment(line)
            return 1
        head, _, time = line.rpartition(" ")
        head, _, value = head.rpartition(" ")
        slot = self._table.heads.get(head)
        if slot is not None and self._rules.takes_times:
            number(time, line)
            self.found.values[slot] = number(value, line)
            return 0
        if not line.strip():
            return 1
        sample = parse_sample(line)
        if sample.time and not self._rules.takes_times:
            raise ParseError(f"{shortened(line)} has a time stamp, which a textfile must not have.")
        slot = self._table.heads.get(sample.head)
        if slot is not None:  # behind an exemplar, for example
            self.found.values[slot] = sample.value
        else:
            self._take(sample)
        return 0

    def _take(self, sample: SampleLine) -> None:
        rules = self._rules
        merged = with_target_labels(sample.labels, rules.labels)
        labels = relabelled(sample.metric, merged, rules.relabel)
        if labels is None:
            if len(self.found.heads) < 2 * rules.sample_limit:
                self.found.heads[sample.head] = None
            return
        self._check_limits(sample.metric, labels)
        labels = {sys.intern(name): visible(value) for name, value in labels.items()}
        problem = self._problem(sample.metric, labels)
        if problem:
            self.unsendable += 1
            self.problem = self.problem or problem
            return
        pairs = self._pairs
        key = (sys.intern(sample.metric), tuple(pairs.setdefault(pair, pair) for pair in sorted(labels.items())))
        self._set(key, sample.value, self._families.kind_of(sample.metric))
        self.found.heads[sample.head] = key

    def _set(self, key: SeriesKey, value: float, kind: Kind) -> None:
        slot = self._table.slots.get(key)
        if slot is None:
            self.found.new[key] = (value, kind)
        else:
            self.found.values[slot] = value

    def _check_limits(self, metric: str, labels: dict[str, str]) -> None:
        """The limits that the target has in the configuration: as in Prometheus, one sample over them fails all."""
        rules = self._rules
        # The name of the metric counts as a label.
        for key, what, count, limit in (
            ("label_limit", "labels", len(labels) + 1, rules.label_limit),
            (
                "label_name_length_limit",
                "characters in the name of a label",
                max(map(len, labels), default=0),
                rules.label_name_length_limit,
            ),
            (
                "label_value_length_limit",
                "bytes in the value of a label",
                max(len(value.encode()) for value in (metric, *labels.values())),
                rules.label_value_length_limit,
            ),
        ):
            if limit and count > limit:
                message = f"A sample of {shortened(metric)} has {count:,} {what}; the limit, {key}, is {limit:,}."
                raise OverLimitError(message, field=key, limit=limit)

    def _problem(self, metric: str, labels: dict[str, str]) -> str:
        """Why the API server would refuse the series; empty if it would not."""
        if metric in self._rules.own_metrics:
            return f"{metric} is a metric of the agent itself"
        if len(metric) > MAX_METRIC_CHARS:
            return f"the name {metric[:40]}... is longer than {MAX_METRIC_CHARS} characters"
        if len(labels) > MAX_LABELS:
            return f"{metric} has {len(labels)} labels with those of its target; at most {MAX_LABELS} are allowed"
        for name, value in labels.items():
            if len(name) > MAX_LABEL_NAME_CHARS:
                return f"{metric} has a label whose name is longer than {MAX_LABEL_NAME_CHARS} characters"
            if len(value.encode()) > MAX_LABEL_BYTES:
                return f"{metric}: the label {name} is longer than {MAX_LABEL_BYTES} bytes"
        return ""
