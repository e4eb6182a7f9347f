"""A target: what is read, when it is due, and what it costs. The textfiles are one target."""

import time
from collections.abc import Callable
from typing import Protocol

from bongsu.agent.collectors import COLLECTORS
from bongsu.agent.scrape.fetch import Fetcher
from bongsu.agent.scrape.page import Page, PageRules
from bongsu.agent.scrape.table import Table
from bongsu.agent.scrape.text_format import Families
from bongsu.agent.scrape.textfiles import TextfileError, Textfiles
from bongsu.agent.scrape_config import SAMPLE_LIMIT, TargetConfig
from bongsu.agent.stats import TargetStats
from bongsu.core.errors import BongsuError
from bongsu.core.samples import Frame
from bongsu.core.series import Layout

TEXTFILES = "textfiles"


class Source(Protocol):
    """Where the page of a target comes from."""

    def read_into(self, page: Page) -> None:
        """Reads everything once. Raises BongsuError."""

    def abort(self) -> None:
        """Makes a read in another thread fail at once."""

    def close(self) -> None:
        """Releases connections."""


class Target:
    """One thread at a time scrapes it. ``name``, ``runs``, ``cpu_seconds``, ``hanging`` and ``interval_factor`` are
    those of a collector, for the limit on the agent's cost. ``reports``: adds series about the scrape itself."""

    def __init__(
        self,
        name: str,
        source: Source,
        rules: PageRules,
        interval_ms: int,
        *,
        reports: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.interval_ms = interval_ms
        self.stats = TargetStats()
        self.busy = False
        self.runs = 0
        self.cpu_seconds = 0.0
        self.hanging = False
        self.interval_factor = 1
        self._due_ticks = 0
        self._bucket = -1
        self._source = source
        self._rules = rules
        self._reports = reports
        self._monotonic = monotonic
        self._families = Families()
        # The series about the scrape itself need room as well.
        self._table = Table(rules.sample_limit + 10)

    def is_due(self, time_ms: int) -> bool:
        """Whether to scrape at this tick. Call it once for each."""
        bucket = time_ms // self.interval_ms
        if bucket == self._bucket:
            return False
        self._bucket = bucket
        self._due_ticks += 1
        return self._due_ticks % self.interval_factor == 0

    def scrape(self, time_ms: int) -> list[tuple[Frame, Layout]]:
        """Reads the target. Returns its frames, whether it answers or not; ``stats.last_error`` says why not."""
        cpu, began = time.thread_time(), self._monotonic()
        page = Page(self._table, self._families, self._rules)
        error = ""
        is_up = True
        try:
            self._source.read_into(page)
        except TextfileError as problem:  # the other files are on the page
            error = problem.message
        except BongsuError as problem:
            error, is_up = problem.message, False
        except Exception as problem:  # whatever it is, it costs only this target
            error, is_up = f"{type(problem).__name__}: {problem}", False
        seconds = self._monotonic() - began
        stats = self.stats
        samples, unsendable, kept, new = page.samples, page.unsendable, page.kept, page.new_series
        stats.unsendable = page.problem if is_up else ""
        if not is_up:
            page = Page(self._table, self._families, self._rules)
            samples = unsendable = kept = new = 0
        if self._reports:
            labels = self._rules.labels
            page.add("up", labels, float(is_up))
            page.add("scrape_duration_seconds", labels, seconds)
            page.add("scrape_samples_scraped", labels, samples)
            page.add("scrape_samples_post_metric_relabeling", labels, kept)
            page.add("scrape_series_added", labels, new)
        frames = self._table.frames(page.found, time_ms, complete=is_up)
        stats.up, stats.last_error = is_up and not error, error
        stats.scrapes += 1
        stats.failed_scrapes += bool(error)
        stats.dropped_samples += unsendable
        stats.samples, stats.kept, stats.seconds = samples, kept, seconds
        self.runs += 1
        self.cpu_seconds += time.thread_time() - cpu
        return frames

    def abort(self) -> None:
        """Makes a scrape in another thread fail at once."""
        self._source.abort()

    def close(self) -> None:
        """Releases connections. No scrape may be running."""
        self._source.close()


def http_target(config: TargetConfig) -> Target:
    """A target that is scraped over HTTP."""
    # Its own labels last: no other may replace them.
    labels = {**config.labels, "job": config.job, "instance": config.instance}
    rules = PageRules(
        labels,
        config.relabel,
        config.sample_limit,
        config.label_limit,
        config.label_name_length_limit,
        config.label_value_length_limit,
    )
    return Target(config.name, Fetcher(config), rules, config.interval_ms, reports=True)


def textfile_target(folders: tuple[str, ...], interval_ms: int) -> Target:
    """The textfiles in some folders. Their series have no labels but their own, so the agent's names are taken."""
    own = frozenset(metric.name for collector in COLLECTORS for metric in collector.metrics)
    rules = PageRules({}, sample_limit=SAMPLE_LIMIT, takes_times=False, own_metrics=own)
    return Target(TEXTFILES, Textfiles(folders), rules, interval_ms, reports=False)
