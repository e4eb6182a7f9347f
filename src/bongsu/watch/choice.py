"""Which server is meant."""

import re
from collections.abc import Sequence

from bongsu.core.errors import Conflict, NotFound
from bongsu.core.text import visible
from bongsu.watch.site import ServerInfo

# As many as an error lists.
_LISTED = 10


def choose(wanted: str, servers: Sequence[ServerInfo]) -> ServerInfo:
    """The only server with this name, id, pattern with ``*``, or part of a name; the first of these that fits counts.
    Case does not matter.

    Raises:
        NotFound: none fits, or only retired ones.
        Conflict: several fit.
    """
    name = wanted.strip().casefold()
    pattern = re.compile(".*".join(map(re.escape, name.split("*"))), re.DOTALL)
    ways = (
        [server for server in servers if server.name.casefold() == name],
        [server for server in servers if str(server.id) == name],
        [server for server in servers if "*" in name and pattern.fullmatch(server.name.casefold())],
        [server for server in servers if "*" not in name and name in server.name.casefold()],
    )
    fitting = next((way for way in ways if way), [])
    in_service = [server for server in fitting if server.state != "retired"]
    if len(in_service) == 1:
        return in_service[0]
    if in_service:
        raise Conflict(
            f"{len(in_service)} servers fit {shown(wanted)}; name one of them, or its id:\n{_list(in_service)}"
        )
    if fitting:
        raise NotFound(f"{visible(fitting[0].name)} is retired: it sends nothing until somebody restores it.")
    active = [server for server in servers if server.state != "retired"]
    others = f" There are:\n{_list(active)}" if active else " There are no servers yet."
    raise NotFound(f"There is no server {shown(wanted)}.{others}", code="unknown_server", field="SERVER")


def shown(text: str) -> str:
    """What somebody typed, for a message."""
    return repr(visible(text)[:100])


def _list(servers: Sequence[ServerInfo]) -> str:
    width = max(len(str(server.id)) for server in servers[:_LISTED])
    lines = [f"  {server.id:>{width}}  {visible(server.name)} ({server.state})" for server in servers[:_LISTED]]
    if len(servers) > _LISTED:
        lines.append(f"  and {len(servers) - _LISTED} more")
    return "\n".join(lines)
