"""The HTTP API: one file for each resource, and the list of their routers."""

from fastapi import APIRouter

from bongsu.server.api import (
    about,
    account,
    agents,
    api_tokens,
    audit,
    auth,
    completeness,
    dashboards,
    events,
    health,
    history,
    install,
    metrics,
    oidc,
    processes,
    servers,
    setup,
    shared,
    shares,
    storage,
    users,
)
from bongsu.server.api.alerts import acknowledge, alerts, channels, notifications, rules, silences

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    about.router,
    setup.router,
    auth.router,
    oidc.router,
    account.router,
    users.router,
    api_tokens.router,
    agents.router,
    audit.router,
    storage.router,
    servers.router,
    processes.router,
    metrics.router,
    install.router,
    history.router,
    completeness.router,
    events.router,
    dashboards.router,
    shares.router,
    shared.router,
    rules.router,
    silences.router,
    channels.router,
    notifications.router,
    acknowledge.router,
    # Last: its /api/alerts/{id} would also match the paths of the others.
    alerts.router,
)
