"""Endpoints and what they depend on are async: FastAPI calls everything else in a thread of its own pool, of 40."""

from collections.abc import Iterator
from inspect import iscoroutinefunction

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from bongsu.server.api import ROUTERS

ROUTES = {
    f"{min(route.methods)} {route.path}": route
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
}


def called(dependant: Dependant) -> Iterator[object]:
    if dependant.call is not None:
        yield dependant.call
    for each in dependant.dependencies:
        yield from called(each)


@pytest.mark.parametrize("name", sorted(ROUTES))
def test_nothing_that_an_endpoint_calls_takes_a_thread(name: str) -> None:
    found = list(called(ROUTES[name].dependant))
    assert found
    for call in found:
        assert iscoroutinefunction(call) or iscoroutinefunction(getattr(call, "__call__", None)), call  # noqa: B004
