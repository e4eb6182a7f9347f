"""The way of a notification: inhibit -> silence -> dedupe -> route -> group -> prioritise; then it is queued.

Each stage takes offers and gives back those that go on; what it holds back gets a decision with the reason. Offers are
made again at each cycle as long as an alert is owed a notification, so what is held back goes out when the reason
passes, if the alert still fires.
"""

from bongsu.alerts.pipeline.base import ChannelInfo, Context, Offer, Routed
from bongsu.alerts.pipeline.dedupe import dedupe
from bongsu.alerts.pipeline.group import group
from bongsu.alerts.pipeline.inhibit import inhibit
from bongsu.alerts.pipeline.offer import offers
from bongsu.alerts.pipeline.prioritise import prioritise
from bongsu.alerts.pipeline.route import route
from bongsu.alerts.pipeline.silence import silence

__all__ = [
    "ChannelInfo",
    "Context",
    "Offer",
    "Routed",
    "dedupe",
    "group",
    "inhibit",
    "offers",
    "prioritise",
    "route",
    "run",
    "silence",
]


def run(made: list[Offer], context: Context) -> list[Routed]:
    """Drafts of notifications, the most urgent first; ``context`` has the decisions."""
    for stage in (inhibit, silence, dedupe):
        made = stage(made, context)
    return prioritise(group(route(made, context), context))
