"""The life of an alert: ok -> pending -> firing -> resolved. Pure: states, readings and the time in, states out.

====================  ==========================================================================================
ok -> pending         the value breaches the threshold; with ``for: 0s`` it fires at once
pending -> firing     it has breached it at each look for ``for``
pending -> ok         it does not any more (withdrawn: nobody was told)
firing -> resolved    the value is on the good side of the recovery threshold for ``recover_for``
firing, flapping      fired FLAP_COUNT times within FLAP_WINDOW_MS: it then ends only after FLAP_CALM_MS of quiet
no data               a value that is missing or old changes nothing until the grace time; then the rule's policy
====================  ==========================================================================================

Old samples decide nothing: a reading that is not fresh is no data, so a backlog that is replayed fires nothing.
"""

from dataclasses import dataclass

import numpy as np

from bongsu.alerts.conditions import Forecast, NoData, Operator, ServerDown
from bongsu.alerts.fields import ms
from bongsu.alerts.rules import Rule
from bongsu.alerts.state import Move, Readings, Reason, SeriesKey, State, Table, Transition
from bongsu.arrays import Flags, Values
from bongsu.core.units import HOUR_MS

# An alert that came the fourth time within the hour will come a fifth time.
FLAP_COUNT = 4
FLAP_WINDOW_MS = HOUR_MS
FLAP_CALM_MS = 900_000


@dataclass(frozen=True, slots=True)
class Policy:
    """What the engine needs of a rule."""

    operator: Operator
    for_ms: int = 0
    recover_ms: int = 0
    no_data: str = "resolve"
    no_data_ms: int = 600_000

    @classmethod
    def of(cls, rule: Rule) -> "Policy":
        """Forecasts compare the time that is left, and silence compares an age: both by their own operator."""
        condition = rule.condition
        if isinstance(condition, Forecast):
            operator = Operator.AT_MOST
        elif isinstance(condition, ServerDown | NoData):
            operator = Operator.OVER
        else:
            operator = condition.operator
        return cls(operator, ms(rule.for_), ms(rule.recover_for), rule.no_data.policy, ms(rule.no_data.after))


def compare(operator: Operator, values: Values, thresholds: Values) -> Flags:
    """Whether each value is past its threshold; never where there is none."""
    match operator:
        case Operator.OVER:
            return values > thresholds
        case Operator.AT_LEAST:
            return values >= thresholds
        case Operator.UNDER:
            return values < thresholds
        case Operator.AT_MOST:
            return values <= thresholds


def advance(policy: Policy, before: Table, readings: Readings, now_ms: int) -> tuple[Table, list[Transition]]:
    """The states at ``now_ms`` and what changed. ``before`` stays as it is."""
    table = before.copy()
    have = ~np.isnan(readings.values) & readings.fresh & readings.known
    breach = have & compare(policy.operator, readings.values, readings.thresholds)
    # On the good side of the recovery threshold; between the two an alert stays what it is.
    clear = have & ~breach & ~compare(policy.operator, readings.values, readings.recoveries)
    table.seen[have | ~readings.known] = now_ms
    missing = ~have & readings.known & (now_ms - table.seen >= policy.no_data_ms)
    moves: list[Transition] = []

    def say(entries: Flags, move: Move, reason: Reason) -> None:
        for index in np.flatnonzero(entries):
            moves.append(
                Transition(
                    table.keys[index],
                    move,
                    reason,
                    float(readings.values[index]),
                    float(readings.thresholds[index]),
                    int(table.since[index]),
                    bool(table.flapping[index]),
                )
            )

    def fire(entries: Flags, reason: Reason) -> None:
        table.state[entries] = State.FIRING
        table.fired[entries] = now_ms
        table.clear[entries] = -1
        table.no_data[entries] = reason is Reason.NO_DATA
        for index in np.flatnonzero(entries):
            table.flapping[index] = _flaps(table, table.keys[index], now_ms)
        say(entries, Move.FIRED, reason)

    def end(entries: Flags, reason: Reason) -> None:
        was_firing = table.state == State.FIRING
        say(entries & was_firing, Move.RESOLVED, reason)
        say(entries & ~was_firing, Move.WITHDRAWN, reason)
        table.state[entries] = State.OK
        for column in (table.since, table.fired, table.clear):
            column[entries] = -1
        table.no_data[entries] = table.flapping[entries] = False

    # In the order of life, so that one look can take an entry from ok to firing, but never further.
    firing = table.state == State.FIRING
    table.clear[firing & clear & (table.clear < 0)] = now_ms
    # Anything else starts the calm anew, the strip between the two thresholds as well.
    table.clear[firing & have & ~clear] = -1
    # Data came back: if it breaches, the alert is about the value from now on.
    table.no_data[firing & breach] = False
    calm = np.where(table.flapping, FLAP_CALM_MS, policy.recover_ms)
    over = firing & (table.clear >= 0) & (now_ms - table.clear >= calm)
    end(over, Reason.RECOVERED)
    if policy.no_data == "resolve":
        end(firing & ~over & missing, Reason.DATA_STOPPED)
    pending = table.state == State.PENDING
    end(pending & have & ~breach, Reason.RECOVERED)
    if policy.no_data == "resolve":
        end(pending & missing, Reason.DATA_STOPPED)
    begins = (before.state == State.OK) & breach
    table.since[begins] = now_ms
    ripe = ((table.state == State.PENDING) | begins) & breach & (now_ms - table.since >= policy.for_ms)
    fresh_pending = begins & ~ripe
    table.state[fresh_pending] = State.PENDING
    say(fresh_pending, Move.PENDING, Reason.BREACH)
    fire(ripe, Reason.BREACH)
    if policy.no_data == "alert":
        silent = missing & (table.state != State.FIRING)
        table.since[silent] = table.seen[silent]
        fire(silent, Reason.NO_DATA)
    return table, moves


def _flaps(table: Table, key: SeriesKey, now_ms: int) -> bool:
    times = [time for time in table.firings.get(key, ()) if time > now_ms - FLAP_WINDOW_MS]
    times.append(now_ms)
    table.firings[key] = times[-FLAP_COUNT:]
    return len(times) >= FLAP_COUNT
