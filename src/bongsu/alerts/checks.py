"""Checks a rule against the servers and channels that exist: refuses what cannot work, warns of likely mistakes."""

from collections.abc import Iterable

from bongsu.alerts.conditions import CLOCK_SKEW, Change, Forecast, Function, Threshold
from bongsu.alerts.fields import ms
from bongsu.alerts.rules import Rule
from bongsu.alerts.watched import WatchedServer
from bongsu.alerts.watches import samples_needed
from bongsu.core.errors import InvalidInput
from bongsu.core.series import Kind, Layout

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
) -> list[str]:
    """Returns warnings. ``before``: the stored rule that is being changed; its metric may stay even if nobody sends it.

    Raises:
        InvalidInput: the rule would watch too many series or samples, or no server has ever sent its metric.
    """
    warnings = []
    covered = [server for server in servers if rule.scope.covers(server.id, server.name, server.tags)]
    if not covered:
        warnings.append("The scope covers no server at the moment.")
    condition = rule.series_condition
    if condition is not None and condition.metric != CLOCK_SKEW:
        selected = {
            server.id: {
                series for layout in layouts.get(server.id, ()) for series in layout.series if rule.selects(series)
            }
            for server in covered
        }
        count = sum(map(len, selected.values()))
        if count > MOST_SERIES:
            raise InvalidInput(
                f"The rule covers {count:,} series; the limit is {MOST_SERIES:,}. Narrow its scope or labels.",
                code="too_many_series",
                field="condition",
                limit=MOST_SERIES,
            )
        samples = sum(len(selected[server.id]) * samples_needed(rule, server.step_ms)[0] for server in covered)
        if samples > MOST_SAMPLES:
            raise InvalidInput(
                f"The window would keep {samples:,} samples in memory; the limit is {MOST_SAMPLES:,}. "
                "Use a shorter window or fewer series.",
                code="window_too_large",
                field="condition.window",
                limit=MOST_SAMPLES,
            )
        known = {
            series.metric
            for server_layouts in layouts.values()
            for layout in server_layouts
            for series in layout.series
        }
        old = before.series_condition.metric if before is not None and before.series_condition is not None else None
        if known and condition.metric not in known and condition.metric != old:
            raise InvalidInput(
                f"No server has ever sent {condition.metric!r}. Is it misspelled?",
                code="unknown_metric",
                field="condition.metric",
            )
        if covered and not count:
            warnings.append("No server in the scope sends a matching series.")
        kinds = {series.kind for server_series in selected.values() for series in server_series}
        warnings += _kind_warnings(condition, kinds)
        if isinstance(condition, Threshold | Change):
            longest_step_ms = max((server.step_ms for server in covered), default=0)
            if ms(condition.window) < longest_step_ms:
                warnings.append(
                    "The window is shorter than the interval of a server in the scope, so it will often be empty."
                )
    named = [*rule.channels, *(name for step in rule.escalation for name in step.channels)]
    warnings += [f"There is no channel {name!r}." for name in dict.fromkeys(named) if name not in channels]
    return warnings


def _kind_warnings(condition: object, kinds: set[Kind]) -> list[str]:
    if Kind.COUNTER in kinds and (
        isinstance(condition, Forecast)
        or (isinstance(condition, Threshold | Change) and condition.function not in (Function.RATE, Function.INCREASE))
    ):
        return ["The metric is a counter, which only rises; use rate or increase."]
    if (
        Kind.GAUGE in kinds
        and isinstance(condition, Threshold | Change)
        and condition.function in (Function.RATE, Function.INCREASE)
    ):
        return ["The metric is a gauge; rate and increase treat every fall as a counter reset."]
    return []
