"""The command line of ``bongsu import``."""

import argparse
import datetime as dt
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bongsu.core.errors import BongsuError, InvalidInput
from bongsu.core.units import parse_duration_ms
from bongsu.importer.client import checked_url, secret
from bongsu.importer.influx import PRECISIONS
from bongsu.importer.selectors import matchers_of
from bongsu.wire.enrolment import is_token

TOKEN_VARIABLE = "BONGSU_IMPORT_TOKEN"  # noqa: S105 -- the name, not a token
STATE_SUFFIX = ".bongsu-import.json"
# An hour less than Bongsu keeps raw samples by default.
DEFAULT_START = "167h"
MAX_BATCH = 100_000
_DESCRIPTION = """\
Brings samples from elsewhere into Bongsu, with their own times."""
_EPILOG = f"""\
The API token needs the permission Writer: --token-file names its file, or set {TOKEN_VARIABLE}.

An import that was interrupted continues with the same command: the state file knows how far it has come. What is sent
again is stored once. Samples older than Bongsu's retention_raw are refused; raise it first to keep them.

The exit status is 0 if everything is stored, 1 if something was refused, left out as malformed or failed, 2 for wrong
usage, and 130 after Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Options:
    """``start``, ``end``: as they were given; ``matchers``: of each selector. What a format does not have is empty."""

    format: str
    source: str
    url: str
    token: str = field(repr=False)
    ca_file: str
    state: Path
    restart: bool
    batch_samples: int
    compression: str = "auto"
    precision: str = "ns"
    matches: tuple[str, ...] = ()
    matchers: tuple[str, ...] = ()
    start: str = ""
    end: str = ""
    source_token: str = field(default="", repr=False)
    source_basic: str = field(default="", repr=False)
    source_ca_file: str = ""


def parse_options(argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> Options:
    """Exits for ``--help`` and unknown flags, as argparse does.

    Raises:
        BongsuError: a value is wrong; the message names the flag.
    """
    given = _parser().parse_args(list(argv))
    if not 1 <= given.batch <= MAX_BATCH:
        raise InvalidInput(f"--batch must be from 1 to {MAX_BATCH:,}.", field="--batch")
    is_file = given.format != "prometheus"
    source = str(Path(given.source).expanduser().absolute()) if is_file else checked_url(given.source, "URL")
    matches = () if is_file else tuple(given.match)
    return Options(
        format=given.format,
        source=source,
        url=checked_url(given.url, "--url"),
        token=_token(given.token_file, environment),
        ca_file=given.ca_file,
        state=Path(given.state).expanduser() if given.state else _state(source, is_file=is_file),
        restart=given.restart,
        batch_samples=given.batch,
        compression=given.gzip if is_file else "",
        precision=given.precision if given.format == "influx" else "",
        matches=matches,
        matchers=() if is_file else tuple(map(matchers_of, matches)) or ("",),
        start="" if is_file else given.start,
        end="" if is_file else given.end,
        source_token=""
        if is_file or not given.source_token_file
        else secret(given.source_token_file, "--source-token-file"),
        source_basic=""
        if is_file or not given.source_basic_auth
        else secret(given.source_basic_auth, "--source-basic-auth"),
        source_ca_file="" if is_file else given.source_ca_file,
    )


def parse_time_ms(text: str, flag: str, now_ms: int) -> int:
    """``2026-11-01``, ``2026-11-01T12:00:00Z``, Unix seconds, or how long ago: ``7d``. Raises InvalidInput."""
    text = text.strip()
    try:
        if re.fullmatch(r"\d{9,11}(\.\d+)?", text):
            return round(float(text) * 1000)
        if re.match(r"\d{4}-", text):
            time = dt.datetime.fromisoformat(text)
            return round((time if time.tzinfo else time.replace(tzinfo=dt.UTC)).timestamp() * 1000)
        return max(0, now_ms - parse_duration_ms(text))
    except (ValueError, OverflowError, BongsuError):
        raise InvalidInput(
            f"{flag}: {text[:40]!r} is no time: write it like 2026-11-01T12:00:00Z, as Unix seconds, or as a duration "
            "before now, such as 7d.",
            field=flag,
        ) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bongsu import",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    formats = parser.add_subparsers(dest="format", metavar="FORMAT", required=True)

    def add(name: str, text: str, metavar: str, source: str) -> argparse.ArgumentParser:
        added = formats.add_parser(
            name,
            help=text,
            description=f"Imports {text}.",
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.add_argument("source", metavar=metavar, help=source)
        return added

    prometheus = add(
        "prometheus",
        "the raw samples of a running Prometheus or VictoriaMetrics",
        "URL",
        "such as http://prometheus:9090",
    )
    prometheus.add_argument(
        "--match", action="append", default=[], metavar="SELECTOR",
        help="only these series, such as up or '{job=\"node\"}'; may be given several times",
    )  # fmt: skip
    prometheus.add_argument(
        "--start", default=DEFAULT_START, metavar="TIME",
        help="from then on: 2026-11-01, 2026-11-01T12:00:00Z, Unix seconds, or how long ago (default: %(default)s)",
    )  # fmt: skip
    prometheus.add_argument("--end", default="", metavar="TIME", help="until then (default: now)")
    prometheus.add_argument("--source-token-file", default="", metavar="FILE", help="a bearer token for URL")
    prometheus.add_argument("--source-basic-auth", default="", metavar="FILE", help="a file with user:password for URL")
    prometheus.add_argument("--source-ca-file", default="", metavar="FILE", help="certificates to trust for URL")
    openmetrics = add(
        "openmetrics", "a dump in OpenMetrics or Prometheus text format, with time stamps", "FILE",
        "such as of promtool tsdb dump",
    )  # fmt: skip
    influx = add("influx", "a file of InfluxDB's line protocol", "FILE", "such as of influxd inspect export-lp")
    influx.add_argument(
        "--precision", choices=list(PRECISIONS), default="ns", help="unit of the time stamps (default: %(default)s)"
    )
    for added in (openmetrics, influx):
        added.add_argument(
            "--gzip", choices=("auto", "yes", "no"), default="auto",
            help="whether FILE is compressed (default: its first bytes tell)",
        )  # fmt: skip
    for added in (prometheus, openmetrics, influx):
        group = added.add_argument_group("Bongsu")
        group.add_argument("--url", default="http://127.0.0.1:8600", help="the API server (default: %(default)s)")
        group.add_argument(
            "--token-file", default="", metavar="FILE", help=f"a file with the token; or {TOKEN_VARIABLE}"
        )
        group.add_argument(
            "--ca-file", default="", metavar="FILE", help="certificates to trust instead of the system's"
        )
        group.add_argument(
            "--batch", type=int, default=5_000, metavar="N", help="samples in one request (default: %(default)s)"
        )
        beside = "in this folder" if added is prometheus else f"FILE{STATE_SUFFIX}"
        group.add_argument("--state", default="", metavar="FILE", help=f"the state file (default: {beside})")
        group.add_argument("--restart", action="store_true", help="begin anew, whatever the state file says")
    return parser


def _token(file: str, environment: Mapping[str, str]) -> str:
    flag = "--token-file" if file else TOKEN_VARIABLE
    token = secret(file, flag) if file else environment.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise InvalidInput(
            f"There is no token: use --token-file or {TOKEN_VARIABLE}. Create it in the dashboard, with the permission "
            "Writer.",
            field="--token-file",
        )
    if not is_token(token):
        raise InvalidInput(f"{flag}: a token consists of printable ASCII characters without spaces.", field=flag)
    return token


def _state(source: str, *, is_file: bool) -> Path:
    if is_file:
        return Path(source + STATE_SUFFIX)
    authority = re.sub(r"[^A-Za-z0-9.-]", "_", urlsplit(source).netloc)
    return Path(authority + STATE_SUFFIX)
