"""``bongsu import``: reads a source, writes its samples to an API server, and keeps the state file."""

import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import httpx

from bongsu.core.clock import SystemClock
from bongsu.core.errors import BongsuError, ConfigError, InvalidInput
from bongsu.importer.client import client
from bongsu.importer.files import FileSource, Parser, fingerprint
from bongsu.importer.influx import InfluxParser
from bongsu.importer.openmetrics import OpenMetricsParser
from bongsu.importer.options import Options, parse_options, parse_time_ms
from bongsu.importer.progress import Progress
from bongsu.importer.prometheus import PrometheusSource, prolonged, range_of
from bongsu.importer.retry import Retrier
from bongsu.importer.source import Source
from bongsu.importer.state import StateFile
from bongsu.importer.text_lines import TextLines
from bongsu.importer.uplink import Uplink


def main(argv: Sequence[str]) -> int:
    """Returns the exit status: 0 everything is stored, 1 not everything, 2 wrong usage, 130 Ctrl-C."""
    try:
        with contextlib.ExitStack() as stack:
            return _import(parse_options(argv), stack)
    except BongsuError as error:
        print(f"bongsu import: {error.message}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError | InvalidInput) else 1
    except KeyboardInterrupt:
        return 130


def _import(options: Options, stack: contextlib.ExitStack) -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    bongsu = stack.enter_context(client(options.url, "--url", token=options.token, ca_file=options.ca_file))
    state = StateFile(options.state, _identity(options), restart=options.restart)
    progress = Progress(state.totals)
    stack.callback(progress.close)
    retrier = Retrier(progress.say)
    uplink = Uplink(bongsu, state.totals, retrier, progress.say)
    if options.format == "prometheus":
        source: Source = _prometheus(options, state, uplink, retrier, stack)
    else:
        lines = TextLines(Path(options.source), options.compression)
        stack.callback(lines.close)
        parser: Parser = InfluxParser(options.precision) if options.format == "influx" else OpenMetricsParser()
        source = FileSource(lines, parser, state.totals, options.batch_samples, progress.say)
    uplink.check()
    if state.position is not None:
        progress.say(f"continues where {state.path} says; --restart begins anew")
    try:
        run(source, uplink, state, progress)
    except KeyboardInterrupt:
        progress.close()
        print(f"Interrupted at {source.place}. The same command continues from there ({state.path}).", file=sys.stderr)
        return 130
    except BongsuError as error:
        progress.close()
        print(f"bongsu import: {error.message}", file=sys.stderr)
        print(f"The same command continues at {source.place} ({state.path}).", file=sys.stderr)
        return 1
    progress.close()
    print(progress.summary(), flush=True)
    return 0 if state.totals.is_complete else 1


def run(source: Source, uplink: Uplink, state: StateFile, progress: Progress) -> None:
    """Writes everything that the source has after the position of the state.

    Raises:
        BongsuError: why the import cannot go on.
    """
    progress.start(source)
    for batch in source.batches(state.position):
        uplink.write(batch.samples)
        if batch.position is not None:
            state.save(batch.position)
        progress.update(source)
    state.save(state.position, done=True)


def _prometheus(
    options: Options, state: StateFile, uplink: Uplink, retrier: Retrier, stack: contextlib.ExitStack
) -> PrometheusSource:
    http: httpx.Client = stack.enter_context(
        client(
            options.source,
            "URL",
            token=options.source_token,
            basic=options.source_basic,
            ca_file=options.source_ca_file,
            ca_flag="--source-ca-file",
        )
    )
    now_ms = SystemClock().now_ms()
    end_ms = parse_time_ms(options.end, "--end", now_ms) if options.end else now_ms
    begun = range_of(state.position)
    if begun is None:
        start_ms = parse_time_ms(options.start, "--start", now_ms)
        if start_ms > end_ms:
            raise InvalidInput("--start must not be after --end.", field="--start")
    elif state.done and not options.end:
        state.position = prolonged(state.position, end_ms)
        start_ms = begun[0]
    else:
        start_ms, end_ms = begun
    return PrometheusSource(
        http, options.matchers, (start_ms, end_ms), state.totals, uplink, retrier, options.batch_samples
    )


def _identity(options: Options) -> dict[str, Any]:
    """What makes two imports the same, for the state file."""
    identity: dict[str, Any] = {"format": options.format, "from": options.source, "to": options.url}
    if options.format == "prometheus":
        return identity | {"match": list(options.matches), "start": options.start, "end": options.end}
    identity["fingerprint"] = fingerprint(Path(options.source))
    if options.format == "influx":
        identity["precision"] = options.precision
    return identity


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
