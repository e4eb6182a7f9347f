"""The states of an alert: ok -> pending -> firing -> resolved. Pure: states, readings and time in, states out.

====================  ==========================================================================================
ok -> pending         the value breaches the threshold; with ``for: 0s`` the alert fires at once
pending -> firing     the value has breached the threshold at every evaluation during ``for``, without a gap that is
                      longer than a value is evidence
pending -> ok         the breach has ended (withdrawn: nobody was notified)
firing -> resolved    the value has been past the recovery threshold for ``recover_for``
firing, flapping      fired FLAP_COUNT times within FLAP_WINDOW_MS: resolves only after FLAP_CALM_MS without a breach
no data               a missing or old value changes nothing within the grace time; then the rule's policy applies
====================  ==========================================================================================

A reading that is not fresh counts as no data, so a backlog that an agent replays never fires an alert.
"""

from dataclasses import dataclass

import numpy as np

from bongsu.alerts.conditions import Forecast, NoData, Operator, ServerDown
from bongsu.alerts.fields import ms
from bongsu.alerts.rules import Rule
from bongsu.alerts.state import Move, Readings, Reason, SeriesKey, State, Table, Transition
from bongsu.arrays import Flags, Values
from bongsu.core.units import HOUR_MS

# An alert that has fired four times within an hour will fire a fifth time.
FLAP_COUNT = 4
FLAP_WINDOW_MS = HOUR_MS
FLAP_CALM_MS = 900_000


@dataclass(frozen=True, slots=True)
class Policy:
    """What the engine needs to know of a rule."""

    operator: Operator
    for_ms: int = 0
    recover_ms: int = 0
    no_data: str = "resolve"
    no_data_ms: int = 600_000

    @classmethod
    def of(cls, rule: Rule) -> "Policy":
        """Forecasts compare the time left, and server_down and no_data compare an age: each with a fixed operator."""
        condition = rule.condition
        if isinstance(condition, Forecast):
            operator = Operator.AT_MOST
        elif isinstance(condition, ServerDown | NoData):
            operator = Operator.OVER
        else:
            operator = condition.operator
        return cls(operator, ms(rule.for_), ms(rule.recover_for), rule.no_data.policy, ms(rule.no_data.after))


def compare(operator: Operator, values: Values, thresholds: Values | float) -> Flags:
    """Whether each value is past its threshold; False where either is NaN."""
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
    """The states at ``now_ms``, and the transitions that led to them. ``before`` does not change."""
    table = before.copy()
    have = ~np.isnan(readings.values) & readings.fresh & readings.known
    breach = compare(policy.operator, readings.values, readings.thresholds)
    past = ~compare(policy.operator, readings.values, readings.recoveries)
    for further in readings.further:
        have &= ~np.isnan(further.values)
        breach &= compare(further.operator, further.values, further.threshold)
        past |= ~compare(further.operator, further.values, further.recovery)
    breach &= have
    # Past a recovery threshold. Between the two thresholds an alert keeps its state.
    clear = have & ~breach & past
    table.seen[have | ~readings.known] = now_ms
    missing = ~have & readings.known & (now_ms - table.seen >= policy.no_data_ms)
    transitions: list[Transition] = []

    def add(entries: Flags, move: Move, reason: Reason) -> None:
        for index in np.flatnonzero(entries):
            transitions.append(
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
        add(entries, Move.FIRED, reason)

    def end(entries: Flags, reason: Reason) -> None:
        was_firing = table.state == State.FIRING
        add(entries & was_firing, Move.RESOLVED, reason)
        add(entries & ~was_firing, Move.WITHDRAWN, reason)
        table.state[entries] = State.OK
        for column in (table.since, table.fired, table.clear):
            column[entries] = -1
        table.no_data[entries] = table.flapping[entries] = False

    # Firing entries first, then pending, then ok: one call takes an entry from ok to firing, but never further.
    firing = table.state == State.FIRING
    table.clear[firing & clear & (table.clear < 0)] = now_ms
    # A value that is not past the recovery threshold starts recover_for again.
    table.clear[firing & have & ~clear] = -1
    # Data is back and breaches: from now on the alert is about the value.
    table.no_data[firing & breach] = False
    calm = np.where(table.flapping, FLAP_CALM_MS, policy.recover_ms)
    recovered = firing & (table.clear >= 0) & (now_ms - table.clear >= calm)
    end(recovered, Reason.RECOVERED)
    if policy.no_data == "resolve":
        end(firing & ~recovered & missing, Reason.DATA_STOPPED)
    pending = table.state == State.PENDING
    end(pending & have & ~breach, Reason.RECOVERED)
    if policy.no_data == "resolve":
        end(pending & missing, Reason.DATA_STOPPED)
    # Nobody knows what the value was in a long gap: `for` starts again.
    interrupted = pending & breach & (table.breached >= 0) & (now_ms - table.breached > readings.lasts)
    begins = ((before.state == State.OK) & breach) | interrupted
    table.since[begins] = now_ms
    table.breached[breach] = now_ms
    due = ((table.state == State.PENDING) | begins) & breach & (now_ms - table.since >= policy.for_ms)
    new_pending = begins & ~due
    table.state[new_pending] = State.PENDING
    add(new_pending, Move.PENDING, Reason.BREACH)
    fire(due, Reason.BREACH)
    if policy.no_data == "alert":
        newly_missing = missing & (table.state != State.FIRING)
        table.since[newly_missing] = table.seen[newly_missing]
        fire(newly_missing, Reason.NO_DATA)
    return table, transitions


def _flaps(table: Table, key: SeriesKey, now_ms: int) -> bool:
    """Records a firing, and tells whether it is one too many."""
    times = [time for time in table.firings.get(key, ()) if time > now_ms - FLAP_WINDOW_MS]
    times.append(now_ms)
    table.firings[key] = times[-FLAP_COUNT:]
    return len(times) >= FLAP_COUNT
