"""``bongsu simulate``: runs a simulated fleet until its time is up, Ctrl-C or SIGTERM."""

import asyncio
import signal
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

from bongsu.core.clock import SystemClock
from bongsu.core.errors import BongsuError, ConfigError
from bongsu.simulator.api import Api
from bongsu.simulator.fleet import Fleet
from bongsu.simulator.options import Options, parse_options
from bongsu.simulator.progress import Progress
from bongsu.simulator.token_file import TokenFile
from bongsu.simulator.totals import Totals


def main(argv: Sequence[str]) -> int:
    """Returns the exit status: 0 if everything was stored, 1 if something was lost or rejected, 2 for wrong usage."""
    try:
        options = parse_options(argv)
        return _run_loop(run(options))
    except BongsuError as error:
        print(f"bongsu simulate: {error.message}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:  # where signals cannot be handled in the event loop
        return 130


def _run_loop(main: Coroutine[Any, Any, int]) -> int:
    try:
        import uvloop
    except ImportError:  # Windows
        return asyncio.run(main)
    return uvloop.run(main)


async def run(options: Options) -> int:
    """Returns the exit status.

    Raises:
        BongsuError: why the fleet cannot run.
    """
    fleet_name = f"{options.url} seed={options.seed} prefix={options.name_prefix}"
    tokens = TokenFile(options.data_dir, fleet_name)
    api = None
    try:
        api = Api(options)
        fleet = Fleet(options, api, tokens, Totals(), SystemClock())
        stop = _stop_on_signals()
        await api.check()
        return await _run_fleet(fleet, stop)
    finally:
        if api is not None:
            api.close()
        tokens.close()


async def _run_fleet(fleet: Fleet, stop: asyncio.Event) -> int:
    progress = Progress(fleet)
    shown = asyncio.create_task(progress.run())
    work = asyncio.create_task(_work(fleet))
    stopped = asyncio.create_task(stop.wait())
    seconds = fleet.options.run_ms / 1000 or None
    await asyncio.wait((work, stopped), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in (stopped, work):
        task.cancel()
    outcome, *_ = await asyncio.gather(work, return_exceptions=True)
    await fleet.stop()
    shown.cancel()
    progress.close()
    if isinstance(outcome, Exception):
        raise outcome
    print(progress.summary(), flush=True)
    return 0 if fleet.totals.is_complete else 1


async def _work(fleet: Fleet) -> None:
    await fleet.start()
    await fleet.finished()


def _stop_on_signals() -> asyncio.Event:
    event = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            asyncio.get_running_loop().add_signal_handler(number, event.set)
        except NotImplementedError:  # Windows
            break
    return event
