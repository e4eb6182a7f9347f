"""Scraped targets as collectors, for commands that show readings."""

from collections.abc import Iterable

from bongsu.agent.collectors.base import Collector, Counter, Gauge, Ps, Reading
from bongsu.agent.scrape.target import Target
from bongsu.core.samples import unpack
from bongsu.core.series import Kind


class ScrapeError(Exception):
    """A target cannot be scraped."""


class TargetCollector(Collector):
    """Scrapes a target at each ``collect``. Raises ScrapeError after the readings if the scrape failed."""

    # not in the list of collectors: each target has a name of its own
    name = "target"

    def __init__(self, ps: Ps, target: Target) -> None:
        super().__init__(ps)
        self.name = f"target {target.name}"  # type: ignore[misc]
        self._target = target

    def collect(self) -> Iterable[Reading]:
        for frame, layout in self._target.scrape(0):
            for series, value in zip(layout.series, unpack(frame.values), strict=True):
                if value != value:
                    continue
                if series.metric not in self.discovered:
                    kind = Counter if series.kind is Kind.COUNTER else Gauge
                    self.discovered[series.metric] = kind(series.metric, "Scraped.")
                yield Reading(series.metric, value, series.labels)
        if self._target.stats.last_error:
            raise ScrapeError(self._target.stats.last_error)

    def close(self) -> None:
        self._target.close()
