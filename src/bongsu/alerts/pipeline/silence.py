"""Silences and maintenance windows."""

import datetime as dt

from bongsu.alerts.alert import Event
from bongsu.alerts.pipeline.base import Context, Offer


def silence(offers: list[Offer], context: Context) -> list[Offer]:
    """Holds back what a silence covers. That something is over is not told later: it would be stale."""
    active = [(number, one, until) for number, one in context.silences.items() if (until := one.until(context.now_ms))]
    kept = []
    for offer in offers:
        tags = context.tags.get(offer.alert.server_id, {})
        cause = next((found for found in active if found[1].matches(offer.alert, tags)), None)
        if cause is None:
            kept.append(offer)
            continue
        number, one, until = cause
        end = dt.datetime.fromtimestamp(until / 1000, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        comment = f": {one.comment}" if one.comment else ""
        context.decide(offer, "silence", "held back", f"{one.kind} {number} until {end}{comment}")
        if offer.event is Event.RESOLVED:
            context.dropped.append(offer)
    return kept
