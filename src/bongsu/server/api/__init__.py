"""One file per resource, and the one list of them."""

from fastapi import APIRouter

from bongsu.server.api import (
    alert_acknowledge,
    alert_channels,
    alert_rules,
    alert_silences,
    alerts,
    health,
    metrics,
    processes,
    servers,
)

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    servers.router,
    processes.router,
    metrics.router,
    alert_rules.router,
    alert_silences.router,
    alert_channels.router,
    alert_acknowledge.router,
    # Last: its /api/alerts/{id} would take the others' paths.
    alerts.router,
)
