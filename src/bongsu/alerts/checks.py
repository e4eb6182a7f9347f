"""Checks a rule against the servers and channels that exist: refuses what cannot work, warns of likely mistakes."""

from collections.abc import Iterable, Mapping, Sequence

from bongsu.alerts.conditions import (
    COMPUTED,
    Change,
    Comparison,
    Forecast,
    Function,
    NoData,
    SeriesCondition,
    Threshold,
)
from bongsu.alerts.fields import ms
from bongsu.alerts.notes import Code, Note, note
from bongsu.alerts.rules import Rule
from bongsu.alerts.watched import WatchedServer
from bongsu.alerts.watches import by_labels, operand_metrics, operands_of, samples_needed, window_samples
from bongsu.core.errors import InvalidInput
from bongsu.core.series import Kind, Layout, Series

MOST_SERIES = 10_000
# A time and a value of 8 bytes each: 320 MB.
MOST_SAMPLES = 20_000_000


def check_rule(
    rule: Rule,
    servers: Iterable[WatchedServer],
    layouts: dict[int, list[Layout]],
    channels: set[str],
    *,
    before: Rule | None = None,
) -> list[Note]:
    """Returns warnings. ``before``: the stored rule that is being changed; its metric may stay even if nobody sends it.

    Raises:
        InvalidInput: the rule would watch too many series or samples, no server has ever sent its metric, or its
            function does not fit it.
    """
    warnings = []
    covered = [server for server in servers if rule.scope.covers(server.id, server.name, server.tags)]
    if not covered:
        warnings.append(note(Code.SCOPE_EMPTY))
    condition = rule.series_condition
    if condition is not None and condition.metric not in COMPUTED:
        read = {server.id: _series_read(condition, rule, layouts.get(server.id, ())) for server in covered}
        count = sum(map(len, read.values()))
        if count > MOST_SERIES:
            raise InvalidInput(
                f"The rule covers {count:,} series; the limit is {MOST_SERIES:,}. Narrow its scope or labels.",
                code="too_many_series",
                field="condition",
                limit=MOST_SERIES,
            )
        samples = sum(_samples(condition, len(read[server.id]), server.step_ms) for server in covered)
        if samples > MOST_SAMPLES:
            raise InvalidInput(
                f"The window would keep {samples:,} samples in memory; the limit is {MOST_SAMPLES:,}. "
                "Use a shorter window or fewer series.",
                code="window_too_large",
                field="condition.window",
                limit=MOST_SAMPLES,
            )
        _check_metrics(condition, before.series_condition if before else None, layouts)
        if covered and not count:
            warnings.append(note(Code.NO_MATCHING_SERIES))
        comparisons = condition.comparisons if isinstance(condition, Threshold) else [condition]
        of_metric = {series.metric: series.kind for found in read.values() for all_ in found for series in all_}
        for comparison in comparisons:
            if comparison.metric in of_metric:
                warnings += _kind_warnings(comparison, of_metric[comparison.metric])
        longest_step_ms = max((server.step_ms for server in covered), default=0)
        if any(
            isinstance(comparison, Comparison | Change) and ms(comparison.window) < longest_step_ms
            for comparison in comparisons
        ):
            warnings.append(note(Code.WINDOW_SHORT))
    named = [*rule.channels, *(name for step in rule.escalation for name in step.channels)]
    unknown = [name for name in dict.fromkeys(named) if name not in channels]
    warnings += [note(Code.RULE_NAMES_NO_CHANNEL, channel=name) for name in unknown]
    return warnings


def _series_read(condition: SeriesCondition, rule: Rule, layouts: Sequence[Layout]) -> list[tuple[Series, ...]]:
    """Each series that the rule selects on a server, with its operands."""
    candidates = by_labels(operand_metrics(condition), layouts)
    selected = dict.fromkeys(series for layout in layouts for series in layout.series if rule.selects(series))
    pairs = ((series, operands_of(condition, series, candidates)) for series in selected)
    return [(series, *(operand for operand, _ in operands)) for series, operands in pairs if operands is not None]


def _samples(condition: SeriesCondition, count: int, step_ms: int) -> int:
    """How many samples ``count`` series and their operands keep in memory."""
    slots = samples_needed(condition, step_ms)[0]
    if isinstance(condition, Threshold):
        slots += sum(window_samples(ms(operand.window), step_ms)[0] for operand in condition.operands)
    return count * slots


def _check_metrics(
    condition: SeriesCondition, before: SeriesCondition | None, layouts: Mapping[int, Sequence[Layout]]
) -> None:
    known = {
        series.metric for server_layouts in layouts.values() for layout in server_layouts for series in layout.series
    }
    if not known:
        return
    old = {before.metric, *operand_metrics(before)} if before is not None else set()
    named = [(condition.metric, "metric")]
    if isinstance(condition, Threshold):
        named += [(operand.metric, operand.place) for operand in condition.operands]
    for metric, place in named:
        if metric not in known | old:
            raise InvalidInput(
                f"No server has ever sent {metric!r}. Is it misspelled?",
                code="unknown_metric",
                field=f"condition.{place}",
            )


def _kind_warnings(comparison: Comparison | SeriesCondition, kind: Kind) -> list[Note]:
    if isinstance(comparison, NoData):
        return []
    growing = not isinstance(comparison, Forecast) and comparison.function in (Function.RATE, Function.INCREASE)
    if kind is Kind.DELTA and growing:
        raise InvalidInput(
            f"{comparison.metric} holds deltas: what was counted since the sample before. Use the function sum.",
            field="condition.function",
        )
    if kind is Kind.COUNTER and not growing:
        return [note(Code.COUNTER_ONLY_RISES, metric=comparison.metric)]
    if kind is Kind.GAUGE and growing:
        return [note(Code.GAUGE_FALLS, metric=comparison.metric)]
    return []
