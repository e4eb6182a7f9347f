"""One file per resource, and the one list of them."""

from fastapi import APIRouter

from bongsu.server.api import health, history, metrics, processes, servers

ROUTERS: tuple[APIRouter, ...] = (health.router, servers.router, processes.router, metrics.router, history.router)
