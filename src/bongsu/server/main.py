"""``bongsu server``: runs the API server, or the worker, or both."""

import gc
import logging
import sys

import uvicorn

from bongsu.server.app import Application
from bongsu.server.config import Settings

logger = logging.getLogger(__name__)

# The writer thread gives the lock back and takes it again at each statement; with Python's 5 ms it waits that long behind a busy
# event loop each time. Measured: 1 ms gives 25 % more ingest than 5 ms; 0.2 ms less again.
SWITCH_INTERVAL_SECONDS = 0.001
# A request makes some hundred objects and no cycles. Python's default of 700 walks them again and again: 15 % of the time.
GC_THRESHOLD = (50_000, 20, 100)


def serve(settings: Settings) -> None:
    """Runs the API server in this process until SIGTERM or SIGINT."""
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    gc.set_threshold(*GC_THRESHOLD)
    config = uvicorn.Config(
        Application(settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_keep_alive=120,
        timeout_graceful_shutdown=10,
        lifespan="on",
    )
    uvicorn.Server(config).run()
