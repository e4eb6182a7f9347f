"""Settings of the API server: defaults < configuration file < environment (BONGSU_*) < command line."""

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from bongsu.alerts.fields import Duration
from bongsu.core.errors import ConfigError, InvalidInput
from bongsu.core.units import MINUTE_MS, parse_duration_ms, parse_size_bytes

MIB = 1024 * 1024


def default_data_dir() -> Path:
    """The data directory, by the XDG base directory specification."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "bongsu"


def _size(text: str) -> str:
    try:
        if text and parse_size_bytes(text) < 16 * MIB:
            raise ValueError("at least 16MB are needed")
    except InvalidInput as error:
        raise ValueError(error.message) from None
    return text


# As people write it: 512MB, 20GB.
Size = Annotated[str, AfterValidator(_size)]


def _alert_interval(text: str) -> str:
    # Leases last at least 18 s and twice the interval; with a longer one, shards would move while they are evaluated.
    if not 1_000 <= parse_duration_ms(text) <= MINUTE_MS:
        raise ValueError("must be from 1s to 1m")
    return text


AlertInterval = Annotated[Duration, AfterValidator(_alert_interval)]


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("must be an address or a network such as 10.0.0.0/8") from None
    return text


Network = Annotated[str, AfterValidator(_network)]


def _redis_url(text: str) -> str:
    if text and not text.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must begin with redis://, rediss:// or unix://")
    return text


# What requests of Bongsu itself begin with, which a proxy could then not tell from the path that it adds.
_OWN_PATHS = {"api", "v1", "agent", "docs", "redoc", "help", "_docs", "_nuxt"}


def _public_url(text: str) -> str:
    if not text:
        return text
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be a URL such as https://monitor.example.com or https://example.com/bongsu")
    names = parts.path.rstrip("/").split("/")[1:]
    if not all(re.fullmatch(r"[A-Za-z0-9._~-]+", name) and name.strip(".") for name in names):
        raise ValueError("its path may consist of letters, digits and . _ ~ - between single slashes")
    if names and names[0] in _OWN_PATHS:
        raise ValueError(f"its path must not begin with /{names[0]}, which Bongsu uses itself")
    return text.rstrip("/")


PublicUrl = Annotated[str, AfterValidator(_public_url)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]


class Limits(BaseModel):
    """Limits on what clients send. Beyond a limit, the request gets a clear error, which is counted."""

    model_config = ConfigDict(extra="forbid")

    body_bytes: int = Field(4 * MIB, ge=1024, description="Body of one request, after decompression.")
    frames_per_request: int = Field(1_000, ge=1, description="Frames of one push.")
    layouts_per_request: int = Field(16, ge=1, description="Layouts of one push.")
    process_lists_per_request: int = Field(250, ge=1, description="Process lists of one push.")
    processes_per_list: int = Field(100, ge=1, description="Processes in one list.")
    container_lists_per_request: int = Field(250, ge=1, description="Container lists of one push.")
    containers_per_list: int = Field(1_000, ge=1, description="Containers in one list, and as many events.")
    process_name_bytes: int = Field(
        256, ge=1, description="Names of processes and of their users, and texts of containers, in UTF-8."
    )
    series_per_layout: int = Field(5_000, ge=1, description="Series of one layout of an agent.")
    series_per_server: int = Field(
        20_000,
        ge=1,
        description="Different series of one server within `retention_raw`; more are stored without a name.",
    )
    labels_per_series: int = Field(16, ge=0, description="Labels of a series of an agent.")
    label_bytes: int = Field(256, ge=1, description="A label value in UTF-8.")
    ahead_seconds: int = Field(300, ge=0, description="How far in the future a time stamp may be.")
    queue_bytes: int = Field(
        64 * MIB, ge=MIB, description="Frames that may wait for the disk before agents are asked to wait."
    )
    write_bytes: int = Field(
        32 * MIB, ge=1024, description="Body of one request that writes foreign samples, after decompression."
    )
    foreign_servers: int = Field(5_000, ge=0, description="Servers that exist only by foreign samples.")
    foreign_series_per_server: int = Field(
        200_000, ge=1, description="Different foreign series of one server within an hour; more are refused."
    )
    series_per_writer: int = Field(
        1_000_000, ge=1, description="Different series that one API token writes within an hour; more are refused."
    )
    foreign_labels_per_series: int = Field(64, ge=1, description="Labels of a foreign series, with its name.")
    foreign_label_bytes: int = Field(2_048, ge=1, description="A label value of a foreign series in UTF-8.")
    points_per_query: int = Field(2_000_000, ge=1_000, description="Points in one answer to a history query.")
    live_connections_per_user: int = Field(
        100, ge=1, description="Live connections (WebSocket) that a person or API token may have open."
    )
    samples_per_query: int = Field(
        200_000_000, ge=1_000_000, description="Samples, or buckets of a rollup, that a history query may read."
    )
    samples_per_promql: int = Field(
        20_000_000,
        ge=100_000,
        description="Samples that a PromQL query may read; beyond it rollups answer, which are fewer.",
    )
    query_seconds: float = Field(30.0, gt=0, description="How long a PromQL query may take.")


class PasswordSettings(BaseModel):
    """argon2id: 64 MiB and 4 passes take 100 to 200 ms."""

    model_config = ConfigDict(extra="forbid")

    memory_mib: int = Field(64, ge=1, le=4_096, description="Memory that one hash takes, in MiB.")
    passes: int = Field(4, ge=1, le=100, description="How often the memory is gone through.")
    shortest: int = Field(10, ge=8, le=128, description="Minimum number of characters.")


class SessionSettings(BaseModel):
    """How long people stay logged in."""

    model_config = ConfigDict(extra="forbid")

    access: Duration = Field("15m", description="Lifetime of an access token; pages get the next one by themselves.")
    idle: Duration = Field("14d", description="A session ends when it has not been used for this long.")
    longest: Duration = Field("90d", description="A session ends after this time, however much it is used.")


class Lockouts(BaseModel):
    """Failed logins before a lockout; each further failure doubles its length."""

    model_config = ConfigDict(extra="forbid")

    account_and_address: int = Field(5, ge=1, description="For one account from one address, or on one known device.")
    account: int = Field(30, ge=1, description="For one account from all unknown devices.")
    address: int = Field(30, ge=1, description="For any account from the unknown devices of one address.")
    longest_seconds: int = Field(900, ge=1, description="The longest lockout.")


def _rate(text: str) -> str:
    from limits import parse

    try:
        parse(text)
    except ValueError:
        raise ValueError("must be a rate such as 600/minute") from None
    return text


Rate = Annotated[str, AfterValidator(_rate)]


class RateLimits(BaseModel):
    """Rate limits. Beyond them: 429 and Retry-After."""

    model_config = ConfigDict(extra="forbid")

    address: Rate = Field("1200/minute", description="API requests from one address.")
    user: Rate = Field("1200/minute", description="API requests of one person or API token.")
    login: Rate = Field("20/minute", description="Attempts to log in, set up or enrol from one address.")
    agent_per_second: float = Field(
        20.0, gt=0, description="Average pushes of one agent; bursts may be ten times as large."
    )
    writer_per_second: float = Field(
        200.0, gt=0, description="Average requests of one API token that writes samples; bursts: ten times as many."
    )


class Oidc(BaseModel):
    """Log in with an OpenID provider (Keycloak, Google, Entra ID, Authentik, ...)."""

    model_config = ConfigDict(extra="forbid")

    issuer: str = Field("", description="https://id.example.com/realms/ops; empty: off.")
    client_id: str = Field("", description="As the provider gave it.")
    client_secret: str = Field("", repr=False, description="As the provider gave it.")
    label: str = Field("OpenID", description="The label of the login button.")
    scopes: str = Field("openid email profile", description="What to ask the provider for.")
    create_users: bool = Field(False, description="Whether people without an account get one.")
    link_accounts: bool = Field(
        False,
        description="Whether the provider may log people in to an account that was created here, by its verified email "
        "address. Whoever controls the provider then controls these accounts.",
    )
    role: Literal["viewer", "operator", "admin"] = Field(
        "viewer", description="The role of accounts that are created this way."
    )


# Each of these can also be read from a file: BONGSU_SECRET_KEY_FILE=/run/secrets/bongsu
SECRETS = ("secret_key", "admin_password", "database_url", "redis_url", "oidc.client_secret")


class _Environment(EnvSettingsSource):
    """The settings in the environment. The names of files with secrets are none, also not in a group."""

    def __call__(self) -> dict[str, Any]:
        found = super().__call__()
        for secret in SECRETS:
            outer, _, inner = secret.partition(".")
            if inner and isinstance(group := found.get(outer), dict):
                group.pop(f"{inner}_file", None)
        return found


class Settings(BaseSettings):
    """All settings. Each key is also an environment variable: BONGSU_PORT, BONGSU_LIMITS__BODY_BYTES."""

    model_config = SettingsConfigDict(env_prefix="BONGSU_", env_nested_delimiter="__", extra="ignore")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8600, ge=0, le=65535, description="0: any free port.")
    data_dir: Path = Field(default_factory=default_data_dir, description="Directory of the database and keys.")
    database_url: str = Field("", description="SQLAlchemy URL; empty: SQLite in data_dir.")
    secret_key: str = Field(
        "",
        repr=False,
        description="Base64 of 32 random bytes, with which secrets are encrypted; empty: secret.key in data_dir, made "
        "at the first start.",
    )
    admin_email: str = Field("", description="With admin_password: the first admin, created if there are no users.")
    admin_password: str = Field("", repr=False, description="Their password; it counts only while there are no users.")
    public_url: PublicUrl = Field(
        "",
        description="Where people and agents reach Bongsu, such as https://monitor.example.com, or with a path, "
        "https://example.com/bongsu, behind a proxy; empty: as they ask.",
    )
    tls_certificate: str = Field("", description="PEM file with the certificate and its chain; empty: no TLS.")
    tls_key: str = Field("", description="PEM file with its private key.")
    trusted_proxies: list[str] = Field(
        default_factory=list,
        description="Addresses or networks whose X-Forwarded-For and -Proto are believed, such as 10.0.0.0/8.",
    )
    cors_origins: list[str] = Field(
        default_factory=list,
        description="Other sites whose pages may use the API with a token, such as https://wall.example.com.",
    )
    redis_url: RedisUrl = Field(
        "",
        repr=False,
        description="Shares rate limits between API servers, and tells them what the others take in: redis://host:6379/0",
    )
    password_hashing: PasswordSettings = Field(default_factory=PasswordSettings)
    sessions: SessionSettings = Field(default_factory=SessionSettings)
    lockouts: Lockouts = Field(default_factory=Lockouts)
    rate_limits: RateLimits = Field(default_factory=RateLimits)
    oidc: Oidc = Field(default_factory=Oidc)
    request_seconds: float = Field(30.0, gt=0, description="How long a client may take to send a request.")
    connections: int = Field(
        10_000, ge=1, description="Maximum number of connections; further ones are answered with 503."
    )
    connections_per_address: int = Field(
        2_000,
        ge=1,
        description="Maximum number of connections from one address (IPv6: from one /64 network), except from trusted "
        "proxies.",
    )
    allowed_hosts: list[str] = Field(
        default_factory=list,
        description="Host names that requests may use, such as monitor.example.com. Empty: any name; on a loopback "
        "address only names of this machine, or web pages could reach Bongsu through the browsers of their visitors.",
    )
    retention_raw: Duration = Field("7d", description="How long raw samples are kept.")
    retention_1m: Duration = Field("30d", description="How long 1-minute rollups are kept.")
    retention_1h: Duration = Field("1y", description="How long 1-hour rollups are kept.")
    retention_processes: Duration = Field("7d", description="How long lists of processes and containers are kept.")
    storage_budget: Size = Field(
        "",
        description="Maximum size of the database, such as 20GB; beyond it the oldest data is deleted. Empty: none.",
    )
    retention_audit: Duration = Field("1y", description="How long entries of the audit log are kept.")
    retention_alerts: Duration = Field("1y", description="How long resolved alerts, their history and events are kept.")
    alert_interval: AlertInterval = Field("10s", description="How often rules are evaluated, 1s to 1m.")
    alert_rules_file: str = Field("", description="Rules to import at start; empty: the rules that come with Bongsu.")
    alert_allowed_addresses: list[Network] = Field(
        default_factory=list,
        description="Addresses or networks that channels may reach although they are link-local or belong to a cloud's "
        "metadata service, such as 169.254.10.0/24.",
    )
    alert_heartbeat_url: str = Field(
        "",
        repr=False,
        description="URL to GET while rules are evaluated, for a service that notices when the requests stop.",
    )
    alert_heartbeat_interval: Duration = Field("1m", description="How often to request it.")
    dashboards_dir: str = Field(
        "", description="Folder with dashboards as JSON or YAML files, which everybody may see; empty: none."
    )
    traces_url: str = Field(
        "",
        description="Where traces of requests are sent by OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces; "
        "empty: nowhere. Needs `pip install 'bongsu[traces]'`.",
    )
    traces_ratio: float = Field(0.1, ge=0, le=1, description="The share of requests that are traced.")
    limits: Limits = Field(default_factory=Limits)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment."""
        return init_settings, _Environment(settings_cls)

    @model_validator(mode="after")
    def _coarser_is_kept_longer(self) -> Self:
        raw, minutes, hours = map(parse_duration_ms, (self.retention_raw, self.retention_1m, self.retention_1h))
        if not raw <= minutes <= hours:
            raise ValueError("retention_raw must not be longer than retention_1m, nor that than retention_1h")
        return self

    @property
    def loopback_only(self) -> bool:
        """Whether only this machine can reach the API server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def base_path(self) -> str:
        """The path of ``public_url``, below which a proxy shows Bongsu: ``/bongsu``; usually empty."""
        return urlsplit(self.public_url).path

    @property
    def tls(self) -> bool:
        """Whether this process serves TLS."""
        return bool(self.tls_certificate)

    @property
    def effective_database_url(self) -> str:
        """The database URL, or the default if none is set."""
        return self.database_url or f"sqlite:///{self.data_dir / 'bongsu.db'}"


def named_file(file: Path | None) -> Path | None:
    """The configuration file: this one, or that of ``BONGSU_CONFIG``."""
    return file or (Path(os.environ["BONGSU_CONFIG"]) if os.environ.get("BONGSU_CONFIG") else None)


def load_settings(file: Path | None = None, **overrides: Any) -> Settings:
    """Reads the configuration file (``BONGSU_CONFIG`` if none is named) and the environment; ``overrides`` win.

    Raises:
        ConfigError: names the file or variable, the key and what is wrong with it.
    """
    named = named_file(file)
    values: dict[str, Any] = {}
    if named is not None:
        try:
            values = yaml.safe_load(named.read_text()) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{named}: {error}") from None
        if not isinstance(values, dict):
            raise ConfigError(f"{named}: must contain keys and values.")
        unknown = set(values) - set(Settings.model_fields)
        if unknown:
            raise ConfigError(f"{named}: there is no setting {', '.join(sorted(map(str, unknown)))}.")
    try:
        environment = _laid_over(_secrets_from_files(), _Environment(Settings)())
        given = {key: value for key, value in overrides.items() if value is not None}
        # Arguments take precedence over the environment, so the environment is laid over the file first.
        return Settings(**_laid_over(_laid_over(values, environment), given))
    except SettingsError as error:
        (key,) = re.findall(r'field "(\w+)"', str(error)) or ["BONGSU_*"]
        raise ConfigError(f'BONGSU_{key.upper()}: must be JSON, such as ["a", "b"].', field=key) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"There is no setting {key}.", field=key) from None
        why = first["msg"].removeprefix("Value error, ")
        if not key:  # several keys contradict each other; printing all settings would not help
            raise ConfigError(f"{why}.") from None
        shown = "" if is_secret(key) else f" (it is {first['input']!r})"
        raise ConfigError(f"{key}: {why}{shown}.", field=key) from None


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """``above`` wins, key by key, also in nested settings."""
    merged = below | above
    for key in below.keys() & above.keys():
        if isinstance(below[key], dict) and isinstance(above[key], dict):
            merged[key] = below[key] | above[key]
    return merged


def _secrets_from_files() -> dict[str, Any]:
    """Secrets from files that variables ending in ``_FILE`` name, as is usual in containers."""
    secrets: dict[str, Any] = {}
    for key in SECRETS:
        variable = f"BONGSU_{key.upper().replace('.', '__')}_FILE"
        if not os.environ.get(variable):
            continue
        try:
            text = Path(os.environ[variable]).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{variable}: {error}", field=key) from None
        outer, _, inner = key.partition(".")
        if inner:
            secrets.setdefault(outer, {})[inner] = text
        else:
            secrets[outer] = text
    return secrets


def is_secret(key: str) -> bool:
    """Whether the value of a setting must not be shown."""
    return key in SECRETS or any(word in key for word in ("secret", "password", "token", "heartbeat_url"))


def not_writable(folder: Path, error: OSError) -> ConfigError:
    """What to say when the data directory cannot be used."""
    return ConfigError(
        f"Cannot write to {folder}: {error.strerror}. Choose another directory: --data-dir or BONGSU_DATA_DIR.",
        field="data_dir",
    )


def local_url(settings: Settings) -> str:
    """The URL of the API server on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    if ":" in host:
        host = f"[{host}]"
    return f"{'https' if settings.tls else 'http'}://{host}:{settings.port}"
