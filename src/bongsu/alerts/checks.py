"""Whether a rule can work with what is there: refused where it never can, warned where it may not be meant so."""

from collections.abc import Iterable

from bongsu.alerts.conditions import CLOCK_SKEW, Change, Forecast, Function, Threshold
from bongsu.alerts.fields import ms
from bongsu.alerts.fleet import WatchedServer, samples_needed
from bongsu.alerts.rules import Rule
from bongsu.core.errors import InvalidInput
from bongsu.core.series import Kind, Layout

MOST_SERIES = 10_000
# Times and values of 8 bytes each: 320 MB.
MOST_SAMPLES = 20_000_000


def check_rule(
    rule: Rule,
    servers: Iterable[WatchedServer],
    layouts: dict[int, list[Layout]],
    channels: set[str],
    *,
    before: Rule | None = None,
) -> list[str]:
    """Warnings. ``before``: the rule that is changed; a metric that it had may be kept.

    Raises:
        InvalidInput: it would watch too much, or a counter or gauge in a way that has no meaning.
    """
    warnings = []
    covered = [one for one in servers if rule.scope.covers(one.id, one.name, one.tags)]
    if not covered:
        warnings.append("No server is in its scope now.")
    condition = rule.series_condition
    if condition is not None and condition.metric != CLOCK_SKEW:
        found = {
            server.id: {
                series for layout in layouts.get(server.id, ()) for series in layout.series if rule.selects(series)
            }
            for server in covered
        }
        count = sum(map(len, found.values()))
        if count > MOST_SERIES:
            raise InvalidInput(
                f"The rule covers {count:,} series; the limit is {MOST_SERIES:,}. Narrow its scope or labels.",
                code="too_many_series",
                field="condition",
                limit=MOST_SERIES,
            )
        samples = sum(len(found[one.id]) * samples_needed(rule, one.step_ms)[0] for one in covered)
        if samples > MOST_SAMPLES:
            raise InvalidInput(
                f"The window would keep {samples:,} samples in memory; the limit is {MOST_SAMPLES:,}. "
                "Take a shorter window or fewer series.",
                code="window_too_large",
                field="condition.window",
                limit=MOST_SAMPLES,
            )
        known = {series.metric for one in layouts.values() for layout in one for series in layout.series}
        old = before.series_condition.metric if before is not None and before.series_condition is not None else None
        if known and condition.metric not in known and condition.metric != old:
            raise InvalidInput(
                f"No server has ever sent {condition.metric!r}. Is it misspelt?",
                code="unknown_metric",
                field="condition.metric",
            )
        if covered and not count:
            warnings.append("No server in its scope sends such a series.")
        kinds = {series.kind for several in found.values() for series in several}
        warnings += _about_kind(condition, kinds)
        if isinstance(condition, Threshold | Change):
            shortest = max((one.step_ms for one in covered), default=0)
            if ms(condition.window) < shortest:
                warnings.append("The window is shorter than the interval of a server in its scope: often it is empty.")
    named = [*rule.channels, *(name for step in rule.escalation for name in step.channels)]
    warnings += [f"There is no channel {name!r}." for name in dict.fromkeys(named) if name not in channels]
    return warnings


def _about_kind(condition: object, kinds: set[Kind]) -> list[str]:
    if Kind.COUNTER in kinds and (
        isinstance(condition, Forecast)
        or (isinstance(condition, Threshold | Change) and condition.function not in (Function.RATE, Function.INCREASE))
    ):
        return ["The metric is a counter, which only rises: use rate or increase."]
    if (
        Kind.GAUGE in kinds
        and isinstance(condition, Threshold | Change)
        and condition.function in (Function.RATE, Function.INCREASE)
    ):
        return ["The metric is a gauge: rate and increase take each fall for a reset."]
    return []
