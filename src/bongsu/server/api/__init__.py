"""One file per resource, and the one list of them."""

from fastapi import APIRouter

from bongsu.server.api import (
    account,
    agents,
    alert_acknowledge,
    alert_channels,
    alert_rules,
    alert_silences,
    alerts,
    api_tokens,
    audit,
    auth,
    completeness,
    health,
    history,
    metrics,
    processes,
    servers,
    setup,
    users,
)

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    setup.router,
    auth.router,
    account.router,
    users.router,
    api_tokens.router,
    agents.router,
    audit.router,
    servers.router,
    processes.router,
    metrics.router,
    history.router,
    completeness.router,
    alert_rules.router,
    alert_silences.router,
    alert_channels.router,
    alert_acknowledge.router,
    # Last: its /api/alerts/{id} would take the others' paths.
    alerts.router,
)
