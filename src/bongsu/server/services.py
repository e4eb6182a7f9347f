"""The services that request handlers use, made once when the application starts."""

from collections import Counter
from dataclasses import dataclass

from bongsu.core.clock import Clock
from bongsu.server.alerts.health import AlertsHealth
from bongsu.server.auth.wiring import Auth
from bongsu.server.config import Settings
from bongsu.server.dashboards.recent import RecentAnswers
from bongsu.server.database.database import Database
from bongsu.server.edge.rates import RateLimiter
from bongsu.server.fleet.changes import FleetChanges
from bongsu.server.fleet.registry import Registry
from bongsu.server.history import HistoryReader
from bongsu.server.history.promql.engine import PromQL
from bongsu.server.ingest.endpoint import Ingest
from bongsu.server.ingest.foreign import ForeignIngest
from bongsu.server.live.feed import Feed
from bongsu.server.live.hub import Hub
from bongsu.server.vault import Vault


@dataclass(slots=True)
class Services:
    """One per application, as ``app.state.services``."""

    settings: Settings
    clock: Clock
    database: Database
    registry: Registry
    fleet: FleetChanges
    ingest: Ingest
    foreign: ForeignIngest
    live: Hub
    feed: Feed | None
    history: HistoryReader
    promql: PromQL
    vault: Vault
    started_ms: int
    auth: Auth
    alerts: AlertsHealth
    rate_limiter: RateLimiter
    shared_answers: RecentAnswers
    refused: Counter[str]
