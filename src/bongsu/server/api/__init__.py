"""One file per resource, and the one list of them."""

from fastapi import APIRouter

from bongsu.server.api import (
    account,
    agents,
    api_tokens,
    audit,
    auth,
    health,
    install,
    metrics,
    oidc,
    processes,
    servers,
    setup,
    users,
)

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    setup.router,
    auth.router,
    oidc.router,
    account.router,
    users.router,
    api_tokens.router,
    agents.router,
    audit.router,
    servers.router,
    processes.router,
    metrics.router,
    install.router,
)
