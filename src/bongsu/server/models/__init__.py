"""The tables. One MetaData for all engines; migrations must equal it (a test compares them)."""

from bongsu.server.models.base import metadata
from bongsu.server.models.blocks import blocks, rollups, tiers
from bongsu.server.models.frames import frames, layouts
from bongsu.server.models.processes import process_lists
from bongsu.server.models.servers import intervals, servers

__all__ = [
    "blocks",
    "frames",
    "intervals",
    "layouts",
    "metadata",
    "process_lists",
    "rollups",
    "servers",
    "tiers",
]
