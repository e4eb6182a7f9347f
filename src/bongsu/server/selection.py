"""Which series a query means: servers, metrics, families and labels, all of them optional."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bongsu.core.errors import InvalidInput, NotFound
from bongsu.core.series import Layout, Series, family_of
from bongsu.server.registry import Registry, ServerState


@dataclass(frozen=True, slots=True)
class Selection:
    """Within one field any value may match (or); all fields must (and)."""

    server_ids: tuple[int, ...] = ()
    metrics: frozenset[str] = frozenset()
    families: frozenset[str] = frozenset()
    labels: tuple[tuple[str, str], ...] = ()

    def matches(self, series: Series) -> bool:
        """Whether a series is meant, whatever its server."""
        return (
            (not self.metrics or series.metric in self.metrics)
            and (not self.families or family_of(series.metric) in self.families)
            and all(label in series.labels for label in self.labels)
        )

    def positions(self, layout: Layout) -> list[int]:
        """Where in a frame of this layout the values of meant series stand."""
        if not (self.metrics or self.families or self.labels):
            return list(range(len(layout.series)))
        return [position for position, series in enumerate(layout.series) if self.matches(series)]

    def servers(self, registry: Registry) -> Iterator[ServerState]:
        """The servers meant, by id.

        Raises:
            NotFound: one that was asked for by id is not there.
        """
        if not self.server_ids:
            yield from (state for _, state in sorted(registry.by_id.items()))
            return
        for server_id in sorted(set(self.server_ids)):
            state = registry.by_id.get(server_id)
            if state is None:
                raise NotFound(f"There is no server {server_id}.", code="unknown_server", field="server")
            yield state


def parse_labels(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """``device=eth0`` to (name, value).

    Raises:
        InvalidInput: without an equals sign.
    """
    labels = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidInput(f"labels must be name=value, not {text!r}.", field="labels")
        labels.append((name, value))
    return tuple(labels)
