"""The collector of containers beside trees of files, with clocks that the test sets."""

from typing import Any

from bongsu.agent.collectors.base import Filter, Options
from bongsu.agent.collectors.containers.collector import ContainersCollector
from bongsu.agent.sampling.assembly import Assembler
from bongsu.core.samples import ContainerList
from tests.support.agent_fakes import by_series, fake_ps
from tests.support.cgroup_trees import Tree

HOUR = 3600.0


class Driven:
    """Starts at a multiple of an hour. ``layouts``: ids of those that the frames have had."""

    def __init__(
        self, tree: Tree, sockets: tuple[str, ...] = (), settings: dict[str, Any] | None = None, **filters: Filter
    ) -> None:
        # Before the groups of the test are made: they are young.
        self.now = 400_000 * HOUR
        self.problems: dict[str, str] = {}
        options = Options(
            filters,
            {"sockets": sockets, **(settings or {})},
            proc=str(tree.proc),
            sys=str(tree.sys),
            report_problem=self._report,
        )
        self.collector = ContainersCollector(fake_ps(), options, monotonic=lambda: self.now, wall=lambda: self.now)
        self.lists: list[ContainerList] = []
        self.assembler = Assembler(self._report)
        self.assembler.declare(self.collector)
        self.layouts: list[int] = []

    def _report(self, topic: str, problem: str) -> None:
        self.problems[topic] = problem

    def tick(self, seconds: float = 10.0) -> dict[str, float]:
        self.now += seconds
        readings = list(self.collector.collect())
        if self.collector.containers is not None:
            self.lists.append(self.collector.containers)
        self.assembler.frame(int(self.now * 1000), readings)
        layout = self.assembler.layout
        if layout is not None and layout.id not in self.layouts[-1:]:
            self.layouts.append(layout.id)
        return by_series(readings)

    def age(self) -> None:
        """As if all control groups had been made long ago."""
        for tracked in self.collector._tracked.values():
            tracked.group_created_ms = int((self.now - HOUR) * 1000)
