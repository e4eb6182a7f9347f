"""Dependencies that handlers share: the services, the client's address, ids and cursors, the selection of series."""

from typing import Annotated

from fastapi import Depends, Path, Query, Request
from pydantic import Field, WithJsonSchema

from bongsu.server.fleet.selection import Selection, parse_filters
from bongsu.server.services import Services


def services_of(request: Request) -> Services:
    """The services of the application."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


def address_of(request: Request) -> str:
    """The address of the client; behind a trusted proxy, the one that the proxy reports."""
    return request.client.host if request.client else ""


async def _services(request: Request) -> Services:
    return services_of(request)


# Dependencies are async: FastAPI calls others in a thread, which takes 0.1 ms.
ServicesDep = Annotated[Services, Depends(_services)]
# The width of the columns.
ServerId = Annotated[int, Field(ge=1, le=2**31 - 1)]
RowId = Annotated[int, Path(ge=1, le=2**31 - 1)]
# Answers give it as text; what is in it is not for clients.
PageCursor = Annotated[
    int | None,
    Query(ge=0, le=2**31 - 1, description="`next` of the previous page."),
    WithJsonSchema({"type": ["string", "null"]}),
]


Retired = Annotated[bool, Query(description="Also retired servers; those named by their id are included anyway.")]


async def make_selection(
    server: Annotated[list[int], Query(description="Server ids; all servers if omitted.")] = [],
    name: Annotated[list[str], Query(description="Server names; `*` stands for anything.")] = [],
    retired: Retired = False,
    tag: Annotated[
        list[str],
        Query(description="Server tags: `role=web`, `role!=web`, `site=seoul-*`, `role=web|db`; all must match."),
    ] = [],
    metric: Annotated[list[str], Query(description="Metric names, such as `cpu_usage_ratio`.")] = [],
    type: Annotated[list[str], Query(description="Families: cpu, memory, disk, network, ...")] = [],
    labels: Annotated[
        list[str],
        Query(description="`device=eth0`, `device!=lo`, `mountpoint=/srv/*`, `device=sda|sdb`; all must match."),
    ] = [],
) -> Selection:
    """A selection from what a request says. Raises InvalidInput for a filter that is none."""
    return Selection(
        tuple(server),
        frozenset(metric),
        frozenset(type),
        parse_filters(labels, field="labels"),
        tuple(name),
        parse_filters(tag, field="tag"),
        retired,
    )


SelectionDep = Annotated[Selection, Depends(make_selection)]
