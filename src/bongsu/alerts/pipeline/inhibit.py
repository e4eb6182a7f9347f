"""A server that is down silences its other alerts: one message says it all."""

from bongsu.alerts.alert import Event
from bongsu.alerts.conditions import ServerDown
from bongsu.alerts.pipeline.base import Context, Offer


def inhibit(offers: list[Offer], context: Context) -> list[Offer]:
    """Holds back what belongs to a server that is down. That something is over is always told."""
    kept = []
    for offer in offers:
        cause = context.down.get(offer.alert.server_id)
        if cause is None or offer.event is Event.RESOLVED or isinstance(offer.rule.condition, ServerDown):
            kept.append(offer)
        else:
            context.decide(offer, "inhibit", "held back", f"the server is down: alert {cause.id} ({cause.rule_name})")
    return kept
