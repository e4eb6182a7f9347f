"""Settings of the API server: defaults < configuration file < environment (BONGSU_*) < command line."""

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from bongsu.core.errors import ConfigError, InvalidInput
from bongsu.core.units import parse_duration_ms

MIB = 1024 * 1024


def default_data_dir() -> Path:
    """Where programs keep their data, by the XDG base directory specification."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "bongsu"


def _duration(text: str) -> str:
    try:
        parse_duration_ms(text)
    except InvalidInput as error:
        raise ValueError(error.message) from None
    return text


# As people write it: 10s, 5m, 7d.
Duration = Annotated[str, AfterValidator(_duration)]


def _alert_interval(text: str) -> str:
    # Leases last 18 s at least and twice the interval; a longer one would hand shards over while they are looked at.
    if not 1_000 <= parse_duration_ms(text) <= 60_000:
        raise ValueError("must be from 1s to 1m")
    return text


AlertInterval = Annotated[Duration, AfterValidator(_alert_interval)]


class Limits(BaseModel):
    """Limits on what comes in. Over one of them: a clear error, counted, nothing else harmed."""

    model_config = ConfigDict(extra="forbid")

    body_bytes: int = Field(4 * MIB, ge=1024, description="Body of one request, after decompression.")
    frames_per_request: int = Field(1_000, ge=1)
    layouts_per_request: int = Field(16, ge=1)
    process_lists_per_request: int = Field(250, ge=1)
    processes_per_list: int = Field(100, ge=1)
    process_name_bytes: int = Field(256, ge=1, description="A process's name, and its user's, in UTF-8.")
    series_per_layout: int = Field(5_000, ge=1)
    labels_per_series: int = Field(16, ge=0)
    label_bytes: int = Field(256, ge=1, description="A label's value in UTF-8.")
    ahead_seconds: int = Field(300, ge=0, description="How far in the future a time stamp may be.")
    queue_bytes: int = Field(
        64 * MIB, ge=MIB, description="Frames waiting for the disk before agents are told to wait."
    )
    points_per_query: int = Field(2_000_000, ge=1_000, description="Points in one answer to a history query.")


class Settings(BaseSettings):
    """Everything that can be set. Each key is also an environment variable: BONGSU_PORT, BONGSU_LIMITS__BODY_BYTES."""

    model_config = SettingsConfigDict(env_prefix="BONGSU_", env_nested_delimiter="__", extra="ignore")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8600, ge=0, le=65535, description="0: any free port.")
    data_dir: Path = Field(default_factory=default_data_dir, description="Where everything is kept.")
    database_url: str = Field("", description="SQLAlchemy URL; empty: SQLite in data_dir.")
    secret_key: str = Field(
        "",
        repr=False,
        description="Base64 of 32 random bytes that everything secret is encrypted with; empty: secret.key in "
        "data_dir, made at the first start.",
    )
    allowed_hosts: list[str] = Field(
        default_factory=list,
        description="Host names that requests may be for, such as monitor.example.com. Empty: any name; on a loopback "
        "address only the names of this machine itself, or a page on the web could reach Bongsu through its visitors.",
    )
    retention_raw: Duration = Field("7d", description="How long frames are kept as they came.")
    retention_alerts: Duration = Field("1y", description="How long alerts that are over, and their record, are kept.")
    public_url: str = Field(
        "", pattern=r"^(https?://[^\s/]\S*)?$", description="How people reach Bongsu; for the links in notifications."
    )
    alert_interval: AlertInterval = Field("10s", description="How often rules are evaluated, 1s to 1m.")
    alert_rules_file: str = Field("", description="Rules imported at start; empty: those that come with Bongsu.")
    alert_heartbeat_url: str = Field(
        "", repr=False, description="Asked (GET) while rules are evaluated; somebody should miss it when it stays away."
    )
    alert_heartbeat_interval: Duration = Field("1m", description="How often it is.")
    limits: Limits = Field(default_factory=Limits)

    @property
    def loopback_only(self) -> bool:
        """Whether only this machine reaches the API server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def effective_database_url(self) -> str:
        """The URL of the database, also when none was set."""
        return self.database_url or f"sqlite:///{self.data_dir / 'bongsu.db'}"


def load_settings(file: Path | None = None, **overrides: Any) -> Settings:
    """Reads the configuration file (``BONGSU_CONFIG`` when none is named), then the environment; ``overrides`` win.

    Raises:
        ConfigError: names the file or variable, the key and what is wrong with it.
    """
    named = file or (Path(os.environ["BONGSU_CONFIG"]) if os.environ.get("BONGSU_CONFIG") else None)
    values: dict[str, Any] = {}
    if named is not None:
        try:
            values = yaml.safe_load(named.read_text()) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{named}: {error}") from None
        if not isinstance(values, dict):
            raise ConfigError(f"{named}: must hold keys and values.")
        unknown = set(values) - set(Settings.model_fields)
        if unknown:
            raise ConfigError(f"{named}: there is no setting {', '.join(sorted(map(str, unknown)))}.")
    try:
        environment = EnvSettingsSource(Settings)()
        given = {key: value for key, value in overrides.items() if value is not None}
        # What is passed here beats the environment, so the environment is laid over the file first.
        return Settings(**_laid_over(_laid_over(values, environment), given))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{key}: {first['msg']} (it is {first['input']!r}).", field=key) from None


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """``above`` wins, key by key, also within ``limits``."""
    merged = below | above
    for key in below.keys() & above.keys():
        if isinstance(below[key], dict) and isinstance(above[key], dict):
            merged[key] = below[key] | above[key]
    return merged
