"""The most urgent first: within a message, and among messages."""

from bongsu.alerts.alert import Alert
from bongsu.alerts.pipeline.base import Routed


def urgency(alert: Alert) -> tuple[int, int, int, int]:
    """Sorts the most urgent first: priority, severity, and what began first."""
    return alert.priority, -alert.severity.rank, alert.since_ms, alert.id


def prioritise(drafts: list[Routed]) -> list[Routed]:
    """Sorted."""
    for one in drafts:
        one.draft.alerts.sort(key=urgency)
    return sorted(drafts, key=lambda one: urgency(one.draft.alerts[0]))
