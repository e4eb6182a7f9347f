"""Which channels an alert goes to."""

from bongsu.alerts.alert import Event
from bongsu.alerts.pipeline.base import ChannelInfo, Context, Offer


def route(offers: list[Offer], context: Context) -> list[tuple[ChannelInfo, Offer]]:
    """A pair for each channel. A channel that is named but not there, or off, is said."""
    routed = []
    for offer in offers:
        named = offer.channels or sorted(name for name, one in context.channels.items() if one.default)
        found = []
        refused = []
        for name in dict.fromkeys([*named, *offer.also]):
            channel = context.channels.get(name)
            problem = refusal(channel, offer)
            if channel is None or problem:
                refused.append(f"{name}: {problem}")
            else:
                found.append((channel, offer))
        if not found:
            detail = "; ".join(refused) or "no channel is the default, and the rule names none"
            context.decide(offer, "route", "nobody to tell", detail)
            if offer.event is not Event.FIRED:
                context.dropped.append(offer)
        elif refused:
            context.decide(offer, "route", "some left out", "; ".join(refused))
        routed += found
    return routed


def refusal(channel: ChannelInfo | None, offer: Offer) -> str:
    """Why a channel does not take it; empty when it does."""
    if channel is None:
        return "there is no such channel"
    if not channel.enabled:
        return "switched off"
    if offer.alert.severity.rank < channel.min_severity.rank:
        return f"takes {channel.min_severity.value} and worse only"
    if offer.event is Event.RESOLVED and not channel.send_resolved:
        return "is not told what is over"
    return ""
