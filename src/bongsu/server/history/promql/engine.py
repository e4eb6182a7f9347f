"""Answers PromQL queries: parses, plans, reads and computes, within limits of samples and time."""

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection

from bongsu.core.errors import InvalidInput, Unavailable
from bongsu.core.exposition import Durations
from bongsu.core.units import HOUR_MS, MINUTE_MS
from bongsu.server.config import Limits
from bongsu.server.database.database import Database
from bongsu.server.fleet.registry import Registry
from bongsu.server.history.decoded import DecodedRows
from bongsu.server.history.promql.evaluator import Evaluator, Read, Value, is_range
from bongsu.server.history.promql.labels import Labels
from bongsu.server.history.promql.plan import Need, deepest_steps, needs
from bongsu.server.history.promql.reading import Stored, decode, range_at, read_rows, tier_for
from bongsu.server.history.promql.selection import Matched, select
from bongsu.server.history.promql.syntax import Matcher, Node, Selector, invalid, parse
from bongsu.server.history.promql.values import Steps, Windows, check_numbers
from bongsu.server.history.query import Missing
from bongsu.server.storage.archive import RAW
from bongsu.server.storage.floors import floors

# Steps of one query, as Prometheus: more than a screen has pixels.
MOST_STEPS = 11_000
# Queries computed at a time; others wait.
AT_A_TIME = 2
_TIER_NAMES = {MINUTE_MS: "minutes", HOUR_MS: "hours"}


@dataclass(frozen=True, slots=True)
class PromQuery:
    """At the steps of a range, or at one moment (``step_ms`` 0)."""

    text: str
    start_ms: int
    end_ms: int
    step_ms: int = 0

    def steps(self) -> Steps:
        """Raises InvalidInput: too many steps, or an end before the start."""
        if self.end_ms < self.start_ms:
            raise InvalidInput("end must not be before start.", field="end")
        if not self.step_ms:
            return Steps(self.start_ms, 1, 1, self.start_ms)
        count = (self.end_ms - self.start_ms) // self.step_ms + 1
        if count > MOST_STEPS:
            raise InvalidInput(
                f"The query has {count:,} steps; the limit is {MOST_STEPS:,}. Use a longer step or a shorter range.",
                code="too_many_points",
                field="step",
                limit=MOST_STEPS,
            )
        return Steps(self.start_ms, self.step_ms, count, self.end_ms)


@dataclass(slots=True)
class Answer:
    """``value`` is windows if an instant query asks for a range. ``warnings``: what is not exact, and why."""

    value: Value | Windows
    steps: Steps
    warnings: list[str] = field(default_factory=list)


class _Budget:
    """Ends a query that takes too long, or that nobody waits for any more."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._seconds = seconds
        self.is_cancelled = threading.Event()

    def check(self, numbers: int) -> None:
        """Raises Unavailable or InvalidInput."""
        if self.is_cancelled.is_set():
            raise Unavailable("The query was cancelled.", code="cancelled")
        if time.monotonic() > self._until:
            raise Unavailable(f"The query took longer than {self._seconds:g} s.", code="query_timeout")
        check_numbers(numbers)


class PromQL:
    """Answers PromQL queries. One per process."""

    def __init__(self, database: Database, limits: Limits, decoded: DecodedRows) -> None:
        self._database = database
        self._decoded = decoded
        self._limits = limits
        self._turns = asyncio.Semaphore(AT_A_TIME)
        self.durations = Durations()

    async def run(self, query: PromQuery, registry: Registry) -> Answer:
        """The answer to a query about the servers of a registry.

        Raises:
            InvalidInput: it is no query, cannot be evaluated, or needs more than the limits allow.
            Unavailable: it took too long.
        """
        began = time.perf_counter()
        tree, steps = parse(query.text), query.steps()
        budget = _Budget(self._limits.query_seconds)
        budget.check(deepest_steps(tree, steps, steps))
        try:
            async with asyncio.timeout(self._limits.query_seconds), self._turns:
                return await self._answer(tree, steps, registry, budget)
        except TimeoutError:
            raise Unavailable(
                f"The query took longer than {self._limits.query_seconds:g} s.", code="query_timeout"
            ) from None
        finally:
            budget.is_cancelled.set()
            self.durations.add(time.perf_counter() - began)

    async def _answer(self, tree: Node, steps: Steps, registry: Registry, budget: _Budget) -> Answer:
        wanted = list(dict.fromkeys(needs(tree, steps, steps)))
        matched = await asyncio.to_thread(self._select, wanted, registry, budget)
        warnings: list[str] = []
        stored: list[Stored] = []
        left = self._limits.samples_per_promql
        for need, series in zip(wanted, matched, strict=True):
            budget.check(0)
            stored.append(await self._stored(need, series, left, warnings))
            left -= stored[-1].samples
        missing: list[Missing] = []
        value = await asyncio.to_thread(_compute, tree, steps, stored, budget, missing)
        if missing:
            warnings.append(f"{len(missing)} parts of the archive are damaged and missing from the answer.")
        return Answer(value, steps, list(dict.fromkeys(warnings)))

    def _select(self, wanted: Sequence[Need], registry: Registry, budget: _Budget) -> list[list[Matched]]:
        result = []
        for need in wanted:
            budget.check(0)
            result.append(select(registry, need.any_of, need.after_ms + 1))
        return result

    async def _stored(self, need: Need, series: Sequence[Matched], most: int, warnings: list[str]) -> Stored:
        """``most``: samples that the query may still read."""
        known_floors = await self._database.read(floors)
        tier = tier_for(need, series, known_floors, most)
        if tier != RAW:
            warnings.append(
                f"Part of the answer is made from {_TIER_NAMES[tier]}: its samples are no longer kept, or too many. "
                f"Ranges are at least {range_at(tier, 0) // MINUTE_MS} minutes there."
            )

        def read(connection: Connection) -> Stored:
            return read_rows(connection, need, series, tier, known_floors[RAW], most, self._decoded)

        return await self._database.read(read)

    async def series(self, selectors: Sequence[Node], since_ms: int, registry: Registry) -> list[Labels]:
        """The labels of the series that match any of these selectors, or of all, and have a sample since then.

        Raises:
            InvalidInput: not a selector.
        """
        any_of: list[tuple[Matcher, ...]] = []
        for tree in selectors:
            if not isinstance(tree, Selector) or tree.range_ms is not None:
                raise InvalidInput("match[] must be a selector.", code="invalid_promql", field="match[]")
            any_of.extend(tree.any_of)
        found = await asyncio.to_thread(select, registry, tuple(any_of) or ((),), since_ms)
        return [matched.labels for matched in found]


def _compute(
    tree: Node, steps: Steps, stored: Sequence[Stored], budget: _Budget, missing: list[Missing]
) -> Value | Windows:
    read: dict[Need, Read] = {each.need: decode(each, budget.check, missing) for each in stored}
    evaluator = Evaluator(steps, read, budget.check)
    try:
        if is_range(tree):
            if steps.count > 1:
                raise invalid("a query of several steps cannot answer ranges")
            return evaluator.windows(tree)
        with np.errstate(all="ignore"):
            return evaluator.value(tree)
    except RecursionError:
        raise invalid("the query is nested too deeply") from None
