"""Which alerts are owed a notification now."""

from collections.abc import Iterable, Mapping

from bongsu.alerts.alert import Alert, Event
from bongsu.alerts.durations import ms
from bongsu.alerts.pipeline.base import Offer
from bongsu.alerts.rules import Rule


def offers(alerts: Iterable[Alert], rules: Mapping[int, Rule], now_ms: int) -> list[Offer]:
    """Told for the first time, again, to more people, or that it is over. At most one an alert and cycle."""
    made = []
    for alert in alerts:
        rule = rules.get(alert.rule_id)
        if rule is None:
            continue
        if alert.state == "resolved":
            if alert.owes:
                told = [name for step in rule.escalation[: alert.escalated] for name in step.channels]
                made.append(Offer(alert, Event.RESOLVED, rule, rule.channels, "it is over", also=told))
            continue
        if alert.state != "firing" or alert.fired_ms is None:
            continue
        if alert.notified_ms is None:
            made.append(Offer(alert, Event.FIRED, rule, rule.channels, "it fires"))
            continue
        if alert.acknowledged_ms is not None:
            continue
        step = alert.escalated
        if step < len(rule.escalation) and now_ms - alert.fired_ms >= ms(rule.escalation[step].after):
            why = f"nobody acknowledged it for {rule.escalation[step].after}"
            made.append(Offer(alert, Event.ESCALATED, rule, rule.escalation[step].channels, why, step + 1))
        elif 0 < ms(rule.repeat) <= now_ms - alert.notified_ms:
            made.append(Offer(alert, Event.REPEATED, rule, rule.channels, f"it still fires after {rule.repeat}"))
    return made
