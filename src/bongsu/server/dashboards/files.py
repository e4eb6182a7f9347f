"""The worker's job for dashboards that come as files: what is in ``dashboards_dir`` is shown, and nothing else of it.

A file that cannot be read or is no dashboard keeps what it last held, and is told in health.
"""

import asyncio
import hashlib
import logging
from functools import partial
from pathlib import Path

import yaml
from sqlalchemy import Connection

from bongsu.core.clock import Clock
from bongsu.core.errors import ConfigError, InvalidInput
from bongsu.server.auth.audit import Actor, record
from bongsu.server.auth.principal import Role
from bongsu.server.config import Settings
from bongsu.server.dashboards.access import Grant
from bongsu.server.dashboards.document import Dashboard, parse_document
from bongsu.server.dashboards.queries import add_dashboard, change_dashboard, delete_dashboard, load_from_files
from bongsu.server.database.database import Database
from bongsu.server.database.leases import claim, release, worker_name
from bongsu.server.job import Job

logger = logging.getLogger(__name__)

ENDINGS = (".json", ".yml", ".yaml")
# YAML of a dashboard may be longer than its JSON.
MOST_FILE_BYTES = 1024 * 1024
MOST_FILES = 500
EVERYBODY = [Grant(role=Role.viewer, right="see")]
LEASE, LEASE_MS = ["dashboard-files"], 60_000
ACTOR = Actor("system", "dashboard files")


def read_files(folder: Path) -> dict[str, bytes]:
    """Name -> content of the files in a folder.

    Raises:
        ConfigError: the folder cannot be read, or holds more than MOST_FILES. Nothing is taken for deleted then.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix in ENDINGS and path.is_file())
    except OSError as error:
        raise ConfigError(f"dashboards_dir cannot be read: {error}", field="dashboards_dir") from None
    if len(paths) > MOST_FILES:
        raise ConfigError(f"dashboards_dir holds more than {MOST_FILES} dashboards.", field="dashboards_dir")
    contents = {}
    for path in paths:
        try:
            with path.open("rb") as file:
                contents[path.name] = file.read(MOST_FILE_BYTES + 1)
        except OSError as error:
            # Told like a file that holds no dashboard.
            logger.debug("%s: %s", path, error)
            contents[path.name] = b""
    return contents


def parse_file(name: str, content: bytes) -> Dashboard:
    """Raises InvalidInput if it holds no dashboard; the message names the file and the field."""
    if len(content) > MOST_FILE_BYTES:
        raise InvalidInput(f"{name}: larger than {MOST_FILE_BYTES // 1024} KiB.", code="invalid_dashboard")
    try:
        # JSON is YAML, too.
        document = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"{name}: neither JSON nor YAML: {error}", code="invalid_dashboard") from None
    return parse_document(document, name)


class DashboardFiles(Job):
    """Compares the files with what is stored, every half minute."""

    name = "dashboard-files"
    every_seconds = 30

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        super().__init__(settings, database, clock)
        self._owner = worker_name()
        # File name -> digest of what it last held.
        self._digests: dict[str, bytes] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        now_ms = self.clock.now_ms()
        # Of several workers, one does it: two would add each file twice.
        if not await self.database.write(
            lambda connection: claim(connection, LEASE, self._owner, now_ms, now_ms + LEASE_MS)
        ):
            return
        folder = self.settings.dashboards_dir
        contents = await asyncio.to_thread(read_files, Path(folder)) if folder else {}
        known = await self.database.read(load_from_files)
        for name, content in contents.items():
            if stopping.is_set():
                return
            digest = hashlib.sha256(content).digest()
            if self._digests.get(name) != digest:
                # A file that was mended is not made to wait.
                self._digests[name] = digest
                self.failures.forget(name)
            if self.failures.waits(name):
                continue
            with self.failures.isolated(name, f"the dashboard {name}"):
                dashboard = await asyncio.to_thread(parse_file, name, content)
                await self.database.write(partial(self._store, name, dashboard))
        for name in known.keys() - contents.keys():
            await self.database.write(partial(self._delete, known[name].id, name))
        for name in self._digests.keys() - contents.keys():
            del self._digests[name]
            self.failures.forget(name)

    async def close(self) -> None:
        await self.database.write(lambda connection: release(connection, LEASE, self._owner))

    def _store(self, name: str, dashboard: Dashboard, connection: Connection) -> None:
        now_ms = self.clock.now_ms()
        stored = load_from_files(connection).get(name)
        if stored is None:
            added = add_dashboard(
                connection, dashboard, owner_id=0, by=name, grants=EVERYBODY, now_ms=now_ms, file=name
            )
            record(connection, now_ms, ACTOR, "dashboard.create", f"dashboard {added.id}", after={"file": name})
        elif stored.document != dashboard.to_json():
            change_dashboard(connection, stored.id, dashboard, revision=stored.revision, by=name, now_ms=now_ms)
            record(connection, now_ms, ACTOR, "dashboard.update", f"dashboard {stored.id}", after={"file": name})

    def _delete(self, dashboard_id: int, name: str, connection: Connection) -> None:
        delete_dashboard(connection, dashboard_id)
        record(
            connection,
            self.clock.now_ms(),
            ACTOR,
            "dashboard.delete",
            f"dashboard {dashboard_id}",
            before={"file": name},
        )
