"""``bongsu config``: shows the settings that count, and checks whether the API server could start with them."""

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import make_url

from bongsu.alerts.rules_file import read_rules
from bongsu.core.errors import BongsuError, ConfigError
from bongsu.core.text import visible
from bongsu.core.units import format_bytes
from bongsu.server.config import Settings, is_secret, load_settings, named_file
from bongsu.server.dashboards.files import parse_file, read_files
from bongsu.server.database.database import open_database
from bongsu.server.database.migrations import current_revision, reach, revisions
from bongsu.server.edge.tls import Certificate
from bongsu.server.variables import setting_names, unknown_variables, variable_of
from bongsu.server.vault import open_vault

# Less free space than this is a problem before long.
LEAST_FREE_BYTES = 1024**3
MASKED = "********"

# Called with (passed, message).
Report = Callable[[bool, str], None]


def main(argv: Sequence[str]) -> int:
    """Returns the exit status: 0 all is well, 1 a check failed, 2 the settings cannot be read."""
    parser = argparse.ArgumentParser(
        prog="bongsu config",
        description="The settings of the API server and its worker; an agent's: bongsu agent check.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("show", "print all settings and where each comes from; secrets are masked"),
        ("check", "check whether Bongsu can start with these settings; changes nothing"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--config", type=Path, metavar="FILE", help="settings, see config/server.yml")
        command.add_argument("--data-dir", type=Path, metavar="DIR", help="directory of the database and keys")
    options = parser.parse_args(list(argv))
    try:
        settings = load_settings(options.config, data_dir=options.data_dir)
    except ConfigError as error:
        print(f"bongsu config: {error.message}", file=sys.stderr)
        return 2
    if options.command == "show":
        arguments = {"data_dir"} if options.data_dir else set()
        print("\n".join(_shown(settings, named_file(options.config), arguments)))
        return 0
    return _check(settings, named_file(options.config))


def _shown(settings: Settings, file: Path | None, arguments: set[str]) -> Iterator[str]:
    """The lines of a settings file that says the same, each with where its value comes from."""
    in_file = set(_names(yaml.safe_load(file.read_text()) or {})) if file is not None else set()
    group = ""
    for name in setting_names():
        outer, _, inner = name.rpartition(".")
        if outer != group and outer:
            yield f"{outer}:"
        group = outer
        value: Any = settings
        for key in name.split("."):
            value = getattr(value, key)
        source = _source(name, in_file, arguments, str(file))
        text = yaml.safe_dump(_masked(name, value), default_flow_style=True, width=10_000).removesuffix("...\n").strip()
        line = f"{'  ' if outer else ''}{inner}: {text}"
        yield f"{line:<60}  # {source}"


def _names(values: dict[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        yield from (f"{key}.{inner}" for inner in value) if isinstance(value, dict) else (key,)


def _source(name: str, in_file: set[str], arguments: set[str], file: str) -> str:
    if name in arguments:
        return "command line"
    group = variable_of(name.partition(".")[0])
    for variable in (variable_of(name), f"{variable_of(name)}_FILE", group):
        if os.environ.get(variable):
            return variable
    return file if name in in_file else "default"


def _masked(name: str, value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if not value or not isinstance(value, str):
        return value
    if name in ("database_url", "redis_url"):
        try:
            return make_url(value).render_as_string(hide_password=True)
        except Exception:  # no URL at all: who knows what it holds
            return MASKED
    return MASKED if is_secret(name) else value


def _check(settings: Settings, file: Path | None) -> int:
    passed = True

    def report(well: bool, message: str) -> None:
        nonlocal passed
        passed = passed and well
        print(f"{'ok  ' if well else 'FAIL'}  {visible(message)}")

    report(True, f"settings: {file or 'no file, only defaults and environment'}")
    for variable in unknown_variables(os.environ):
        report(False, f"environment: {variable}")
    for what, check in (
        ("data_dir", _data_dir),
        ("secret_key", _secret_key),
        ("database", _database),
        ("tls_certificate", _tls),
        ("redis_url", _redis),
        ("alert_rules_file", _rules),
        ("dashboards_dir", _dashboards),
    ):
        try:
            told = check(settings)
        except BongsuError as error:
            report(False, f"{what}: {error.message.removeprefix(f'{what}: ')}")
        else:
            if told:
                report(True, f"{what}: {told}")
    return 0 if passed else 1


def _data_dir(settings: Settings) -> str:
    folder = settings.data_dir
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not existing.is_dir():
        raise ConfigError(f"{existing} is no directory.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"Cannot write to {existing}. Choose another directory: --data-dir or BONGSU_DATA_DIR.")
    free = shutil.disk_usage(existing).free
    if free < LEAST_FREE_BYTES:
        raise ConfigError(f"{format_bytes(free)} are free on the disk of {folder}; free some space.")
    made = "" if existing == folder else " (it will be made)"
    return f"{folder}{made}, {format_bytes(free)} free"


def _secret_key(settings: Settings) -> str:
    if not settings.secret_key and not (settings.data_dir / "secret.key").exists():
        return "secret.key will be made in data_dir"
    open_vault(settings.data_dir, settings.secret_key)
    return "set" if settings.secret_key else str(settings.data_dir / "secret.key")


def _database(settings: Settings) -> str:
    url = settings.effective_database_url
    shown = make_url(url).render_as_string(hide_password=True)
    if not settings.database_url and not (settings.data_dir / "bongsu.db").exists():
        return f"{shown} will be made"
    found, newest = asyncio.run(_revision(url)), revisions()[-1]
    if found is None:
        return f"{shown} is empty; its tables will be made"
    if found not in revisions():
        raise ConfigError(f"{shown} has revision {found} of a newer version of Bongsu: upgrade Bongsu.")
    return f"{shown}, revision {found}" + ("" if found == newest else f"; it will be upgraded to {newest}")


async def _revision(url: str) -> str | None:
    database = open_database(url)
    try:
        await reach(database.read, url)
        return await database.read(current_revision)
    finally:
        await database.close()


def _tls(settings: Settings) -> str:
    if not settings.tls:
        return ""
    Certificate(settings.tls_certificate, settings.tls_key)
    return settings.tls_certificate


def _redis(settings: Settings) -> str:
    if not settings.redis_url:
        return ""
    asyncio.run(_ping(settings.redis_url))
    return str(_masked("redis_url", settings.redis_url))


async def _ping(url: str) -> None:
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

    client = Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5)
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        raise ConfigError(f"Redis does not answer: {error}") from None
    finally:
        await client.aclose()


def _rules(settings: Settings) -> str:
    if not settings.alert_rules_file:
        return ""
    return f"{settings.alert_rules_file}, {len(read_rules(Path(settings.alert_rules_file)))} rules"


def _dashboards(settings: Settings) -> str:
    if not settings.dashboards_dir:
        return ""
    found = read_files(Path(settings.dashboards_dir))
    for name, content in found.items():
        parse_file(name, content)
    return f"{settings.dashboards_dir}, {len(found)} dashboards"
