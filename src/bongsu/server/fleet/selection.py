"""Which series a query selects: by server, metric, family and label, all of them optional."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from re import DOTALL, IGNORECASE, escape, fullmatch

from bongsu.core.errors import InvalidInput, NotFound
from bongsu.core.series import Layout, Series, family_of
from bongsu.server.fleet.registry import Registry, ServerState


def _like(text: str, pattern: str) -> bool:
    """Whether a text matches a pattern, in which ``*`` stands for anything; case does not matter."""
    return fullmatch(".*".join(map(escape, pattern.split("*"))), text, IGNORECASE | DOTALL) is not None


@dataclass(frozen=True, slots=True)
class LabelFilter:
    """``value`` may contain ``*``, and alternatives separated by ``|``. A missing label or tag counts as empty."""

    name: str
    value: str
    negated: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels pass the filter."""
        text = labels.get(self.name, "")
        return any(_like(text, pattern) for pattern in self.value.split("|")) is not self.negated


@dataclass(frozen=True, slots=True)
class Selection:
    """Any value of a field may match (or); all fields must match (and)."""

    server_ids: tuple[int, ...] = ()
    metrics: frozenset[str] = frozenset()
    families: frozenset[str] = frozenset()
    labels: tuple[LabelFilter, ...] = ()
    names: tuple[str, ...] = ()
    tags: tuple[LabelFilter, ...] = ()
    # Also retired servers. Those that are selected by id are included anyway.
    retired: bool = False

    @property
    def all_servers(self) -> bool:
        """Whether it selects all servers that are in service."""
        return not (self.server_ids or self.names or self.tags)

    def positions(self, layout: Layout) -> tuple[int, ...]:
        """The positions of the selected series in a layout."""
        if not (self.metrics or self.families or self.labels):
            return layout.named
        return _positions(self.metrics, self.families, self.labels, layout)

    def servers(self, registry: Registry) -> Iterator[ServerState]:
        """The selected servers, ordered by id.

        Raises:
            NotFound: a server that was selected by id does not exist.
        """
        for server_id in sorted(set(self.server_ids or registry.by_id)):
            state = registry.by_id.get(server_id)
            if state is None:
                if not self.server_ids:
                    continue  # deleted just now
                raise NotFound(f"There is no server {server_id}.", code="unknown_server", field="server")
            if self.selects(state):
                yield state

    def selects(self, state: ServerState, *, retired: bool = False) -> bool:
        """Whether it selects a server. ``retired``: even if it is retired."""
        if self.server_ids and state.record.id not in self.server_ids:
            return False
        if state.retired and not (retired or self.retired or self.server_ids):
            return False
        if self.names and not any(_like(state.record.agent.name, name) for name in self.names):
            return False
        return all(tag.matches(state.record.tags) for tag in self.tags)


# Matching 150 series takes 0.2 ms, and pages ask the same again and again. Room for 1,000 servers.
@lru_cache(4_096)
def _positions(
    metrics: frozenset[str], families: frozenset[str], labels: tuple[LabelFilter, ...], layout: Layout
) -> tuple[int, ...]:
    def matches(series: Series) -> bool:
        return (
            (not metrics or series.metric in metrics)
            and (not families or family_of(series.metric) in families)
            and all(label.matches(dict(series.labels)) for label in labels)
        )

    return tuple(position for position in layout.named if matches(layout.series[position]))


def parse_filters(texts: Sequence[str], *, field: str) -> tuple[LabelFilter, ...]:
    """Parses ``device=eth0``, ``device!=lo``, ``mountpoint=/srv/*``, ``device=sda|sdb``.

    Raises:
        InvalidInput: a filter has no name or no equals sign.
    """
    filters = []
    for text in texts:
        name, equals, value = text.partition("=")
        negated = name.endswith("!")
        name = name.removesuffix("!")
        if not equals or not name:
            raise InvalidInput(f"{field} must be name=value or name!=value, not {text!r}.", field=field)
        filters.append(LabelFilter(name, value, negated))
    return tuple(filters)
