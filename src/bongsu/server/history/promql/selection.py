"""Finds the series that matchers select, and says which labels they have."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from bongsu.core.series import Layout, Series
from bongsu.server.fleet.foreign import is_foreign
from bongsu.server.fleet.registry import Registry, ServerState
from bongsu.server.history.promql.labels import NAME, Labels, with_labels
from bongsu.server.history.promql.syntax import Matcher
from bongsu.server.history.query import SelectedSeries

SERVER, INSTANCE, TAG = "server", "instance", "tag_"
# What a label is called that a series has, but that says something else here.
_EXPORTED = "exported_"
# Slow layouts have a sample within so many intervals before a range.
BACK_INTERVALS = 1

Alternatives = tuple[tuple[Matcher, ...], ...]


@dataclass(frozen=True, slots=True)
class Matched:
    """A series with its labels, those of its server among them."""

    labels: Labels
    selected: SelectedSeries


def select(registry: Registry, any_of: Alternatives, since_ms: int) -> list[Matched]:
    """The series that have a sample since then and match, ordered by their labels. Safe in a thread."""
    found: dict[Labels, list[Matched]] = defaultdict(list)
    for state in list(registry.by_id.values()):
        for matched in _of_server(state, any_of, since_ms):
            found[matched.labels].append(matched)
    result: list[Matched] = []
    for same in found.values():
        if len(same) == 1:
            result.append(same[0])
        else:  # two senders without an agent gave their servers the same labels
            result.extend(Matched(with_labels(each.labels, [_server_label(each)]), each.selected) for each in same)
    result.sort(key=lambda matched: matched.labels)
    return result


def _server_label(matched: Matched) -> tuple[str, str]:
    return SERVER, str(matched.selected.server_id)


def _of_server(state: ServerState, any_of: Alternatives, since_ms: int) -> Iterable[Matched]:
    added = added_labels(state)
    if not any(_may_match(added, matchers) for matchers in any_of):
        return
    places: dict[Labels, list[tuple[Layout, int]]] = defaultdict(list)
    named: dict[Labels, Series] = {}
    for layout in state.layouts_since(since_ms, BACK_INTERVALS):
        for position in _positions(any_of, layout):
            series = layout.series[position]
            labels = labels_of(series, added)
            if labels not in places and not _matches(labels, any_of):
                continue
            places[labels].append((layout, position))
            named.setdefault(labels, series)
    for labels, of_series in places.items():
        yield Matched(labels, SelectedSeries(state, named[labels], tuple(of_series)))


def added_labels(state: ServerState) -> Labels:
    """The labels that a server gives its series: none if others than an agent send them, since these have their own."""
    if is_foreign(state.record):
        return ()
    tags = [(TAG + name, text) for name, text in state.record.tags.items()]
    named = (INSTANCE, state.record.agent.name), (SERVER, str(state.record.id))
    return tuple(pair for pair in (*named, *tags) if pair[1])


@lru_cache(262_144)
def labels_of(series: Series, added: Labels) -> Labels:
    """The labels of a series; an ``instance`` of its own stays."""
    by_name = {NAME: series.metric, **dict(series.labels)}
    for name, text in added:
        if name == INSTANCE:
            by_name.setdefault(name, text)
            continue
        if name in by_name:
            by_name[_EXPORTED + name] = by_name[name]
        by_name[name] = text
    return tuple(sorted(by_name.items()))


def _is_added(name: str) -> bool:
    return name in (SERVER, INSTANCE) or name.startswith((TAG, _EXPORTED))


def _may_match(added: Labels, matchers: tuple[Matcher, ...]) -> bool:
    """Whether a series of a server may match, by what the server says of all of them."""
    by_name = dict(added)
    return all(
        matcher.matches(by_name[matcher.name])
        for matcher in matchers
        if matcher.name in by_name and matcher.name != INSTANCE
    )


# The labels of 150 series are compared in 0.2 ms, and dashboards ask the same again and again.
@lru_cache(8_192)
def _positions(any_of: Alternatives, layout: Layout) -> tuple[int, ...]:
    """The series of a layout that may match, by the labels that their server does not change."""
    return tuple(
        position
        for position in layout.named
        if any(
            all(
                matcher.matches(_own(layout.series[position], matcher.name))
                for matcher in matchers
                if not _is_added(matcher.name)
            )
            for matchers in any_of
        )
    )


def _own(series: Series, name: str) -> str:
    if name == NAME:
        return series.metric
    return next((text for label, text in series.labels if label == name), "")


def _matches(labels: Labels, any_of: Alternatives) -> bool:
    by_name = dict(labels)
    return any(all(matcher.matches(by_name.get(matcher.name, "")) for matcher in matchers) for matchers in any_of)
