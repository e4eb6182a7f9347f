"""Alerts of one cycle that belong together come in one message."""

from bongsu.alerts.alert import Draft
from bongsu.alerts.pipeline.base import ChannelInfo, Context, Offer, Routed


def group(routed: list[tuple[ChannelInfo, Offer]], context: Context) -> list[Routed]:
    """One draft for each channel, event and group."""
    found: dict[tuple[int, str, str], Routed] = {}
    for channel, offer in routed:
        key = group_key(offer)
        one = found.setdefault(
            (channel.id, offer.event.value, key), Routed(Draft(channel.id, channel.name, offer.event, key), [])
        )
        one.draft.alerts.append(offer.alert)
        one.offers.append(offer)
    for one in found.values():
        count = len(one.offers)
        for offer in one.offers:
            others = f", with {count - 1} other{'s' if count > 2 else ''} in one message" if count > 1 else ""
            context.decide(offer, "send", "queued", f"{offer.why}; to {one.draft.channel_name}{others}")
    return list(found.values())


def group_key(offer: Offer) -> str:
    """What the alerts of one message share."""
    alert = offer.alert
    match offer.rule.group_by:
        case "rule":
            return f"rule {alert.rule_id}"
        case "server":
            return f"server {alert.server_id}"
        case "series":
            return f"rule {alert.rule_id} server {alert.server_id} {alert.series}"
