"""GET /api/about: versions, what the API server itself takes, and the licences of what it is made of."""

import platform
from functools import cache
from importlib.metadata import Distribution, distributions

import psutil
from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from bongsu import __version__
from bongsu.server.api.access import Viewer
from bongsu.server.api.dependencies import ServicesDep
from bongsu.server.database.space import file_bytes

router = APIRouter(prefix="/api", tags=["health"])

# Some packages have the whole text of their licence where its name should be.
_LONGEST_LICENCE = 60
_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


class Package(BaseModel):
    """A package that the API server is made of."""

    name: str
    version: str
    licence: str = Field(description="As the package names it; empty: it does not.", examples=["MIT"])


class About(BaseModel):
    """The API server that answers."""

    version: str
    python: str = Field(examples=["3.13.1"])
    platform: str = Field(examples=["Linux-6.1.0-x86_64"])
    database: str = Field(examples=["SQLite 3.46.1"])
    database_bytes: int = Field(description="On disk, without its log.")
    started_ms: int
    cpu_seconds: float = Field(description="CPU time since the start.")
    memory_bytes: int = Field(description="Resident memory.")
    packages: list[Package]


@router.get("/about", operation_id="get_about", summary="Get versions and licences")
async def about(services: ServicesDep, user: Viewer) -> About:
    """Versions, and the CPU time and memory of the API server that answers."""
    process = psutil.Process()
    times = process.cpu_times()
    database, size_bytes = await services.database.read(
        lambda connection: (_database_version(connection), file_bytes(connection))
    )
    return About(
        version=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        database=database,
        database_bytes=size_bytes,
        started_ms=services.started_ms,
        cpu_seconds=times.user + times.system,
        memory_bytes=process.memory_info().rss,
        packages=_packages(),
    )


def _database_version(connection: Connection) -> str:
    dialect = connection.dialect
    version = ".".join(map(str, dialect.server_version_info or ()))
    return f"{_NAMES.get(dialect.name, dialect.name)} {version}".strip()


@cache
def _packages() -> list[Package]:
    """By name. Reading the metadata takes a few ms a package, and it does not change."""
    found = {package.name.lower(): package for package in map(_package, distributions()) if package.name != "bongsu"}
    return [package for _, package in sorted(found.items())]


def _package(distribution: Distribution) -> Package:
    fields = distribution.metadata.json
    licences = [text.rpartition(" :: ")[2] for text in fields.get("classifier", []) if text.startswith("License")]
    names = (fields.get("license_expression"), ", ".join(licences), fields.get("license"))
    licence = next((str(name) for name in names if name and len(name) <= _LONGEST_LICENCE), "")
    return Package(name=distribution.name, version=distribution.version, licence=licence)
