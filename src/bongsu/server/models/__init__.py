"""The tables. One MetaData for all engines; migrations must equal it (a test compares them)."""

from bongsu.server.models.base import metadata
from bongsu.server.models.blocks import blocks
from bongsu.server.models.frames import frames, layouts
from bongsu.server.models.processes import process_lists
from bongsu.server.models.servers import servers

__all__ = ["blocks", "frames", "layouts", "metadata", "process_lists", "servers"]
