"""The command line of ``bongsu watch``."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence

from bongsu.core.errors import BongsuError, ConfigError, InvalidInput, Unauthenticated, Unavailable
from bongsu.core.liveness import LONGEST_INTERVAL_MS
from bongsu.core.units import format_duration, parse_duration_ms
from bongsu.watch.choice import choose
from bongsu.watch.lines import Lines
from bongsu.watch.output import Output
from bongsu.watch.screen import Screen
from bongsu.watch.site import Site
from bongsu.watch.stream import LiveStream
from bongsu.watch.tokens import FixedToken, LoginTokens, Tokens, ask, given_token
from bongsu.wire.live import Subscribe

# The screen is drawn as often, at most; four times a second is as fast as people read.
_DRAW_SECONDS = 0.25


def main(argv: Sequence[str]) -> int:
    """Returns the exit status: 0 done or Ctrl-C, 1 failure, 2 wrong arguments."""
    options = _parser().parse_args(list(argv))
    try:
        return _watch(options)
    except (ConfigError, InvalidInput) as error:
        print(f"bongsu watch: {error.message}", file=sys.stderr)
        return 2
    except BongsuError as error:
        print(f"bongsu watch: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    except EOFError:  # Ctrl-D instead of a password
        print("bongsu watch: no login, no token.", file=sys.stderr)
        return 1
    except BrokenPipeError:  # | head
        # Or Python would complain at the end that it cannot flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bongsu watch",
        description="Shows what a server does, live: a screen on a terminal, otherwise one line for each frame.",
        epilog="Without a token it asks for email address and password. The exit status is 0 after --once, --for or "
        "Ctrl-C, 1 after a failure, and 2 if an argument is wrong.",
    )
    parser.add_argument("server", metavar="SERVER", help="its name, a part of it, a pattern with *, or its id")
    parser.add_argument("--url", default="http://127.0.0.1:8600", help="of the API server (default: %(default)s)")
    parser.add_argument("--token", default="", help="API token or access token; others on this machine can see it")
    parser.add_argument("--token-file", default="", metavar="FILE", help="a file with the token; or set BONGSU_TOKEN")
    parser.add_argument("--ca-file", default="", metavar="FILE", help="certificates to trust instead of the system's")
    parser.add_argument(
        "--metric", action="append", default=[], metavar="NAME", help="only this metric; may be given several times"
    )
    parser.add_argument("--interval", default="", metavar="TIME", help="at most one frame in this time, such as 1m")
    parser.add_argument("--once", action="store_true", help="show the newest values and exit")
    parser.add_argument("--for", dest="duration", default="", metavar="TIME", help="exit after this time, such as 60s")
    parser.add_argument("--json", action="store_true", help="one JSON object a line for each frame")
    return parser


def _watch(options: argparse.Namespace) -> int:
    interval_ms = _duration("--interval", options.interval, LONGEST_INTERVAL_MS)
    seconds = _duration("--for", options.duration) / 1000 or None
    token = given_token(options.token, options.token_file, os.environ.get("BONGSU_TOKEN", ""))
    site = Site(options.url, options.ca_file)
    tokens: Tokens | None = None
    try:
        if token:
            tokens = FixedToken(token)
        elif sys.stdin.isatty():
            tokens = ask(site, _prompt, say=_note)
        else:
            raise ConfigError("There is no token: use --token-file or BONGSU_TOKEN, or a terminal to log in.")
        try:
            server = choose(options.server, site.servers(tokens.current))
        except Unauthenticated as error:
            raise Unauthenticated(f"The API server refuses the token: {error.message}") from None
        has_screen = _has_screen() and not options.json
        wanted = Subscribe(
            1,
            server_ids=(server.id,),
            metrics=tuple(options.metric),
            min_interval_ms=interval_ms,
            # Somebody looks: the agent samples every second meanwhile. A file needs no more than is stored anyway.
            watch=has_screen and not options.once and not interval_ms,
        )
        if not has_screen:
            output: Output = Lines(server.id, server.name, as_json=options.json)
            asyncio.run(_run(LiveStream(site, tokens, output, wanted), seconds, once=options.once))
        else:
            screen = Screen(server.name, site.url, single=bool(options.metric))
            asyncio.run(_show(LiveStream(site, tokens, screen, wanted), screen, seconds, once=options.once))
        return 0
    finally:
        if isinstance(tokens, LoginTokens):
            with contextlib.suppress(BongsuError):
                site.log_out()
        site.close()


def _duration(flag: str, text: str, longest_ms: int | None = None) -> int:
    """In milliseconds; 0: not given. Raises InvalidInput."""
    if not text:
        return 0
    try:
        duration_ms = parse_duration_ms(text)
    except InvalidInput as error:
        raise InvalidInput(f"{flag}: {error.message}", field=flag) from None
    if duration_ms < 1:
        raise InvalidInput(f"{flag} must be longer than 0.", field=flag, limit=1)
    if longest_ms is not None and duration_ms > longest_ms:
        limit = format_duration(longest_ms / 1000)
        raise InvalidInput(f"{flag} is {text}; the limit is {limit}.", field=flag, limit=longest_ms)
    return duration_ms


def _has_screen() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def _note(line: str) -> None:
    print(line, file=sys.stderr)


def _prompt(text: str) -> str:
    """Asks on standard error: standard output may be a pipe."""
    print(text, end="", file=sys.stderr, flush=True)
    return input()


async def _run(stream: LiveStream, seconds: float | None, *, once: bool) -> None:
    """Returns when it is done, after ``seconds``, or at SIGTERM or Ctrl-C. Raises what the stream raises."""
    task = asyncio.current_task()
    assert task is not None
    with contextlib.suppress(NotImplementedError, AttributeError):  # Windows
        for stop in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(stop, task.cancel)
    try:
        async with asyncio.timeout(seconds):
            await stream.run(once=once)
    except TimeoutError:
        if once:
            raise Unavailable("No frame came in the time of --for.") from None
    except asyncio.CancelledError:
        return


async def _show(stream: LiveStream, screen: Screen, seconds: float | None, *, once: bool) -> None:
    """As ``_run``, on a terminal, which is restored at the end."""
    from rich.console import Console
    from rich.live import Live

    from bongsu.terminal.display import as_text

    console = Console()
    if once:
        await _run(stream, seconds, once=True)
        lines = screen.lines(console.width, console.height)[:-1]  # without "Ctrl-C exits"
        while lines and not lines[-1]:
            lines.pop()
        console.print(as_text(lines))
        return

    with Live(console=console, screen=True, auto_refresh=False) as display:

        async def draw() -> None:
            while True:
                display.update(as_text(screen.lines(console.width, console.height)), refresh=True)
                await asyncio.sleep(_DRAW_SECONDS)

        watching = asyncio.create_task(_run(stream, seconds, once=False))
        drawing = asyncio.create_task(draw())
        try:
            await asyncio.wait((watching, drawing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            watching.cancel()
            drawing.cancel()
        for task in (drawing, watching):
            with contextlib.suppress(asyncio.CancelledError):
                await task
