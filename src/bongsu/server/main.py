"""``bongsu server``: the API server, the worker, or both.

``--role all`` (the default) runs both as child processes; ``api`` and ``worker`` run one of them in this process.
"""

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bongsu.core.errors import BongsuError
from bongsu.server.config import Settings, load_settings
from bongsu.server.launch import Programs, check_port, run, server_children
from bongsu.server.logs import configure_logging
from bongsu.server.supervisor import name_process

logger = logging.getLogger(__name__)

# The writer thread releases and takes the interpreter lock at each statement. With Python's default of 5 ms it waits
# that long behind a busy event loop each time. Measured: 1 ms gives 25 % more ingest than 5 ms; 0.2 ms gives less
# again.
SWITCH_INTERVAL_SECONDS = 0.001
# A request makes some hundred objects and no cycles. With Python's default of 700 the collector walks them again and
# again, which takes 15 % of the time; with 5,000, still 10 %.
GC_THRESHOLD = (50_000, 20, 100)
# What clients say on a WebSocket is short.
WEBSOCKET_MESSAGE_BYTES = 64 * 1024


def load_common() -> None:
    """Loads what the API server and the worker both need, and starts no thread."""
    gc.disable()
    # Else a pool of threads, and memory for each of them, for the matrix products that Bongsu does not compute.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import bongsu.server.worker  # noqa: F401


def tune_interpreter() -> None:
    """Settings of Python that suit the API server."""
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    gc.set_threshold(*GC_THRESHOLD)


async def settle(build_routes: Callable[[], None]) -> None:
    """Does what the first requests would have to do. Then it hides what was loaded from the garbage collector: 1,000
    servers would take it 0.3 s."""
    from starlette.concurrency import run_in_threadpool

    # In FastAPI's own threads, which are loaded with that.
    await run_in_threadpool(build_routes)
    gc.collect()
    gc.freeze()
    gc.enable()


def serve(settings: Settings) -> None:
    """Runs the API server in this process until SIGTERM or SIGINT."""
    load_common()
    # Imported only by this role: the worker does not need FastAPI.
    import uvicorn

    from bongsu.server.app import Application
    from bongsu.server.edge.addresses import Forwarded
    from bongsu.server.edge.connections import Connections, possible_connections
    from bongsu.server.edge.program import Server
    from bongsu.server.edge.protocol import protocol_with
    from bongsu.server.edge.tls import Certificate
    from bongsu.server.edge.traces import with_traces
    from bongsu.server.edge.websocket import WritingProtocol
    from bongsu.server.variables import unknown_variables

    tune_interpreter()
    for variable in unknown_variables(os.environ):
        logger.warning("environment: %s", variable)
    application = Application(settings)
    application.background.append(partial(settle, application.build_routes))
    certificate = Certificate(settings.tls_certificate, settings.tls_key) if settings.tls else None
    if certificate is not None:
        application.background.append(certificate.watch)
    connections = Connections(
        possible_connections(settings.connections),
        settings.connections_per_address,
        Forwarded(settings.trusted_proxies).trusts,
    )
    served, lifespan = with_traces(application, application.lifespan(), settings)
    config = uvicorn.Config(
        served,
        host=settings.host,
        port=settings.port,
        loop="uvloop" if os.name == "posix" else "asyncio",
        ws=WritingProtocol,
        ws_max_size=WEBSOCKET_MESSAGE_BYTES,
        # A peer that is gone is noticed within 30 s.
        ws_ping_interval=15,
        ws_ping_timeout=15,
        # Compressing what is sent to 1,000 clients would take more than everything else, and 40 KB of memory for each.
        ws_per_message_deflate=False,
        http=protocol_with(settings.request_seconds, connections, application.refused),
        access_log=False,
        log_config=None,
        server_header=False,
        # The gate reads the headers of trusted proxies, and pushes need none; here it would cost 5 us for each request.
        proxy_headers=False,
        date_header=False,
        # Longer than the usual intervals of agents, so that their connections stay open.
        timeout_keep_alive=120,
        timeout_graceful_shutdown=10,
        lifespan="off",
        ssl_context_factory=(lambda _config, _default: certificate.context) if certificate else None,
    )
    Server(config, lifespan).run()


def work(settings: Settings) -> None:
    """Runs the worker in this process until SIGTERM or SIGINT."""
    load_common()
    from bongsu.server.worker import Worker

    gc.collect()
    gc.freeze()
    gc.enable()

    async def run() -> None:
        worker = Worker(settings)
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signal_number, worker.stop)
        await worker.run()

    asyncio.run(run())


def upgrade_database(_argv: Sequence[str]) -> int:
    """Brings the database of the settings up to date. Returns the exit status."""
    from bongsu.server.database.database import open_database
    from bongsu.server.database.in_use import using_database
    from bongsu.server.database.migrations import open_and_upgrade

    async def run(url: str) -> None:
        database = open_database(url)
        with using_database(database):
            await open_and_upgrade(database, url)
            await database.close()

    try:
        configure_logging()
        asyncio.run(run(load_settings().effective_database_url))
    except BongsuError as error:
        print(f"bongsu server: {error.message}", file=sys.stderr)
        return 2
    return 0


def end_with_parent() -> None:
    """Ends this process with its parent. Under ``bongsu up`` standard input is a pipe that closes when the parent
    ends."""
    if os.environ.get("BONGSU_SUPERVISED") != "1":
        return

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def main(argv: Sequence[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="bongsu server",
        description="Run the API server and its worker.",
        epilog="To manage the monitored servers: bongsu server list | retire | restore | delete.",
    )
    parser.add_argument("--role", choices=("all", "api", "worker"), default="all")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings, see config/server.yml")
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default 8600)")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="directory of the database and keys")
    options = parser.parse_args(list(argv))
    name_process("bongsu" if options.role == "all" else f"bongsu {options.role}")
    try:
        configure_logging()
        settings = load_settings(options.config, host=options.host, port=options.port, data_dir=options.data_dir)
        end_with_parent()
        if options.config:
            os.environ["BONGSU_CONFIG"] = str(options.config)
        if options.role == "api":
            check_port(settings.host, settings.port)
            serve(settings)
        elif options.role == "worker":
            work(settings)
        else:
            check_port(settings.host, settings.port)
            return run(settings, server_children(settings), PROGRAMS)
    except BongsuError as error:
        print(f"bongsu server: {error.message}", file=sys.stderr)
        return 2
    return 0


PROGRAMS = Programs(load_common, upgrade_database, main)
