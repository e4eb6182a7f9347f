"""Which target is scraped when, and by how many threads."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from bongsu.agent.scrape import scraper
from bongsu.agent.scrape.page import Page, PageRules
from bongsu.agent.scrape.scraper import Scraper
from bongsu.agent.scrape.target import Target
from bongsu.agent.stats import Stats
from bongsu.core.samples import Frame, unpack
from bongsu.core.series import Layout
from tests.support.agent_fakes import FakeLog, wait_for


class Source:
    """Has one page, and can wait before it is read."""

    def __init__(self, text: str = "m 1\n") -> None:
        self.text = text
        self.go_on = threading.Event()
        self.go_on.set()
        self.reads = 0
        self.closed = False

    def read_into(self, page: Page) -> None:
        self.reads += 1
        self.go_on.wait(60)
        page.feed(self.text.encode())
        page.end()

    def abort(self) -> None:
        self.go_on.set()

    def close(self) -> None:
        self.closed = True


class World:
    def __init__(self, *intervals_ms: int) -> None:
        self.sources = [Source() for _ in intervals_ms]
        rules = [PageRules({"job": f"j{number}"}, sample_limit=5) for number in range(len(intervals_ms))]
        self.targets = [
            Target(f"t{number}", self.sources[number], rules[number], interval_ms, reports=True)
            for number, interval_ms in enumerate(intervals_ms)
        ]
        self.sent: list[tuple[str, int, dict[str, float]]] = []
        self.log = FakeLog()
        self.stats = Stats()
        self.scraper = Scraper(self.targets, sink=self._sink, log=self.log, stats=self.stats)

    def _sink(self, frame: Frame, layout: Layout) -> None:
        job = dict(layout.series[0].labels)["job"]
        values = {series.metric: value for series, value in zip(layout.series, unpack(frame.values), strict=True)}
        self.sent.append((job, frame.time_ms, values))

    def tick(self, time_ms: int) -> None:
        self.scraper.tick(time_ms, time_ms + 1)
        wait_for(lambda: not any(target.busy for target in self.targets if target.name != "t0" or self.is_free))

    @property
    def is_free(self) -> bool:
        return self.sources[0].go_on.is_set()


@pytest.fixture
def make() -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def world(*intervals_ms: int) -> World:
        worlds.append(World(*intervals_ms))
        return worlds[-1]

    yield world
    for made in worlds:
        made.scraper.stop(10)


def threads() -> int:
    return sum(thread.name == "bongsu-scrape" for thread in threading.enumerate())


def test_targets_are_scraped_at_multiples_of_their_interval(make) -> None:
    world = make(10_000, 30_000)
    for time_ms in range(60_000, 120_000, 10_000):
        world.tick(time_ms)
    assert [time_ms for job, time_ms, _ in world.sent if job == "j0"] == list(range(60_001, 120_000, 10_000))
    assert [time_ms for job, time_ms, _ in world.sent if job == "j1"] == [60_001, 90_001]
    _, _, values = world.sent[-1]
    assert values["m"] == values["up"] == values["scrape_samples_scraped"] == 1
    assert values["scrape_series_added"] == 0
    assert world.stats.targets["t0"].scrapes == 6


def test_a_target_that_hangs_holds_a_thread_of_its_own(make) -> None:
    world = make(1_000, 1_000, 1_000)
    world.sources[0].go_on.clear()
    for time_ms in range(1_000, 6_000, 1_000):
        world.tick(time_ms)
    assert [source.reads for source in world.sources] == [1, 5, 5]
    assert world.stats.targets["t0"].skipped_scrapes == 4
    assert world.targets[0].hanging
    assert threads() <= 3
    world.sources[0].go_on.set()
    wait_for(lambda: not world.targets[0].busy)
    world.tick(6_000)
    assert [source.reads for source in world.sources] == [2, 6, 6]
    assert not world.targets[0].hanging
    wait_for(lambda: threads() == 1)


def test_threads_are_limited(make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scraper, "MAX_THREADS", 3)
    world = make(*[1_000] * 6)
    for source in world.sources:
        source.go_on.clear()
    world.scraper.tick(1_000, 1_000)
    wait_for(lambda: sum(source.reads for source in world.sources) == 3)
    world.scraper.tick(2_000, 2_000)
    assert threads() == 3
    assert all(target.stats.skipped_scrapes == 1 for target in world.targets)
    for source in world.sources:
        source.go_on.set()
    wait_for(lambda: all(source.reads == 1 for source in world.sources) and not any(t.busy for t in world.targets))


def test_a_machine_without_room_for_threads(make, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make(1_000)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        world.scraper.tick(1_000, 1_000)
    assert world.log.lines == ["No further thread can scrape targets: can't start new thread."]
    world.tick(2_000)
    assert world.sources[0].reads == 1


def test_a_target_that_fails_is_down_and_told_once(make) -> None:
    world = make(1_000, 1_000)
    world.tick(1_000)
    world.sources[0].text = "not a page\n"
    for time_ms in (2_000, 3_000):
        world.tick(time_ms)
    world.sources[0].text = "m 2\n"
    world.tick(4_000)
    ups = [values["up"] for job, _, values in world.sent if job == "j0"]
    assert ups == [1, 0, 0, 1]
    assert {values["up"] for job, _, values in world.sent if job == "j1"} == {1}
    assert world.log.lines == ["Target t0: 'not a page': 'a' is not a number.", "Target t0 can be scraped again."]
    stats = world.stats.targets["t0"]
    assert (stats.scrapes, stats.failed_scrapes, stats.up, stats.last_error) == (4, 2, True, "")


def test_errors_that_nobody_expected_cost_one_target(make, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make(1_000, 1_000)

    def fail(page: Page) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(world.sources[0], "read_into", fail)
    world.tick(1_000)
    assert {job: values["up"] for job, _, values in world.sent} == {"j0": 0, "j1": 1}
    assert world.log.lines == ["Target t0: ZeroDivisionError: oops"]

    def break_down(*_: object, **__: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(world.targets[0], "scrape", break_down)
    world.log.open_problems.clear()
    world.tick(2_000)
    world.tick(3_000)
    assert [job for job, _, _ in world.sent].count("j1") == 3
    assert world.log.lines[1:] == ["Target t0: MemoryError: no room"]


def test_samples_that_cannot_be_sent_are_counted_and_told_once(make) -> None:
    world = make(1_000)
    world.sources[0].text = "m 1\n" + "x" * 200 + " 1\n"
    for time_ms in (1_000, 2_000):
        world.tick(time_ms)
    assert world.stats.targets["t0"].dropped_samples == 2
    world.sources[0].text = "m 1\n"
    world.tick(3_000)
    assert len(world.log.lines) == 2
    assert "samples are left out: the name xxx" in world.log.lines[0]
    assert "no samples are left out any more" in world.log.lines[1]


def test_a_target_that_costs_much_runs_less_often(make) -> None:
    world = make(1_000)
    world.targets[0].interval_factor = 4
    for time_ms in range(1_000, 9_000, 1_000):
        world.tick(time_ms)
    assert world.sources[0].reads == 2
    assert world.targets[0].runs == 2


def test_nothing_is_sent_after_the_scraper_has_stopped(make) -> None:
    world = make(1_000)
    world.sources[0].go_on.clear()
    world.scraper.tick(1_000, 1_000)
    wait_for(lambda: world.sources[0].reads)
    began = time.monotonic()
    world.scraper.stop(10)
    assert time.monotonic() - began < 5
    assert world.sent == []
    assert world.sources[0].closed
    world.scraper.tick(2_000, 2_000)
    assert world.sources[0].reads == 1
    wait_for(lambda: threads() == 0)
