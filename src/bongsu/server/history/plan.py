"""Plans a query: the coarsest resolution that gives the requested points and is still kept."""

from collections.abc import Mapping
from dataclasses import dataclass

from bongsu.core.buckets import nice_step
from bongsu.core.errors import InvalidInput
from bongsu.core.units import HOUR_MS, MINUTE_MS
from bongsu.server.history.query import HistoryQuery, Resolution
from bongsu.server.storage.archive import RAW, ROW_SPAN_MS


@dataclass(frozen=True, slots=True)
class Plan:
    """``tier``: what is read; ``step_ms``: the length of a point's bucket, None: samples as they are stored."""

    tier: int
    step_ms: int | None


def make_plan(
    query: HistoryQuery,
    earliest_ms: int,
    interval_ms: int,
    at_least_ms: int,
    floors: Mapping[int, int],
    *,
    raw_only: str | None,
) -> Plan:
    """``earliest_ms``: the oldest data; ``interval_ms``: the shortest of the samples; ``at_least_ms``: the shortest
    step that makes sense; ``raw_only``: why rollups cannot answer.

    Raises:
        InvalidInput: the raw samples that the answer needs are no longer kept, or the step does not fit the resolution.
    """
    if query.cursor is not None:
        return Plan(query.cursor.tier, query.cursor.step_ms)
    start_ms = max(query.start_ms, earliest_ms)
    length_ms = max(1, query.end_ms - start_ms)
    if query.resolution is not None:
        plan = _named(query, query.resolution, length_ms, interval_ms, at_least_ms)
    else:
        plan = _chosen(query, start_ms, length_ms, interval_ms, at_least_ms, floors, raw_only=raw_only is not None)
    if raw_only is not None and (plan.tier != RAW or start_ms < floors[RAW]):
        raise InvalidInput(
            f"{raw_only} needs raw samples, which are kept from {max(floors[RAW], earliest_ms)} on.",
            code="samples_given_up",
            field="start" if plan.tier == RAW else "resolution",
            limit=max(floors[RAW], earliest_ms),
        )
    return plan


def _named(query: HistoryQuery, resolution: Resolution, length_ms: int, interval_ms: int, at_least_ms: int) -> Plan:
    tier = resolution.tier
    if tier == RAW:
        if query.step_ms is None and query.grouping is None and length_ms <= query.max_points * interval_ms:
            return Plan(RAW, None)
        return Plan(RAW, _step(query, length_ms, at_least_ms))
    step_ms = _step(query, length_ms, max(tier, at_least_ms))
    if step_ms % tier:
        raise InvalidInput(f"step must be a multiple of {resolution} at this resolution.", field="step", limit=tier)
    return Plan(tier, step_ms)


def _step(query: HistoryQuery, length_ms: int, at_least_ms: int) -> int:
    if query.step_ms is None:
        return nice_step(length_ms, query.max_points, at_least_ms=at_least_ms)
    if query.grouping is None:
        return query.step_ms
    # A shorter step would add up other members at each point: 2, 1, 1, 1, 1, 1, 2.
    return -(-at_least_ms // query.step_ms) * query.step_ms if query.step_ms < at_least_ms else query.step_ms


def _chosen(
    query: HistoryQuery,
    start_ms: int,
    length_ms: int,
    interval_ms: int,
    at_least_ms: int,
    floors: Mapping[int, int],
    *,
    raw_only: bool,
) -> Plan:
    if query.step_ms is None and query.grouping is None:
        fits = length_ms <= query.max_points * interval_ms and start_ms >= floors[RAW]
        if fits:
            return Plan(RAW, None)
    step_ms = _step(query, length_ms, at_least_ms)
    if raw_only:
        return Plan(RAW, step_ms)
    tier = next((rollup_ms for rollup_ms in (HOUR_MS, MINUTE_MS) if step_ms % rollup_ms == 0), RAW)
    for coarser in ROW_SPAN_MS:
        if start_ms < floors[tier] and coarser > tier:
            tier = coarser
            step_ms = -(-step_ms // tier) * tier
    return Plan(tier, step_ms)
