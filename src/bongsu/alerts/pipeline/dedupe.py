"""One telling of the same thing within the window."""

from enum import StrEnum

from bongsu.alerts.alert import Event
from bongsu.alerts.pipeline.base import Context, Offer

WINDOW_MS = 300_000


class Why(StrEnum):
    """Why something is told, or not."""

    FIRST = "first"
    WINDOW_PASSED = "window passed"
    TOLD_LATELY = "told lately"
    OTHER_EVENT = "other event"


def reason(offer: Offer, context: Context) -> Why:
    """Only that it fires can be said twice: repeats, escalations and the end have their own times."""
    if offer.event is not Event.FIRED:
        return Why.OTHER_EVENT
    told = context.told.get((offer.alert.rule_id, offer.alert.key))
    if told is None:
        return Why.FIRST
    return Why.TOLD_LATELY if context.now_ms - told < WINDOW_MS else Why.WINDOW_PASSED


def dedupe(offers: list[Offer], context: Context) -> list[Offer]:
    """Holds back that a series fires again within five minutes; it is told if it still fires then."""
    kept = []
    for offer in offers:
        if reason(offer, context) is Why.TOLD_LATELY:
            context.decide(offer, "dedupe", "held back", "the same was told less than 5 minutes ago")
        else:
            kept.append(offer)
    return kept
