"""Servers that exist by foreign samples: those that others than agents send, which name them by their labels."""

import re
from collections.abc import Mapping
from functools import lru_cache
from uuid import UUID, uuid5

from bongsu.core.errors import InvalidInput
from bongsu.core.text import has_control
from bongsu.server.fleet.registry import Registry, ServerState
from bongsu.server.fleet.servers import ServerRecord

PREFIX = "foreign-"
# Any constant: it makes the same id of the same name everywhere.
_NAMESPACE = UUID("5a4f5b0c-7d1c-4f43-9a53-1b6f0c3b8e21")
# The labels that name a server, the best first. OpenTelemetry's attributes have dots; Prometheus 2 makes underscores.
_NAMING = ("host.name", "host_name", "k8s.node.name", "k8s_node_name", "instance")
_PORT = re.compile(r":\d{1,5}$")
MAX_NAME_BYTES = 255


@lru_cache(maxsize=65_536)
def agent_id_of(name: str) -> str:
    """What stands for the id of the agent that such a server does not have."""
    return f"{PREFIX}{uuid5(_NAMESPACE, name)}"


def is_foreign(record: ServerRecord) -> bool:
    """Whether a server exists by foreign samples only."""
    return record.agent.agent_id.startswith(PREFIX)


def server_name(labels: Mapping[str, str], otherwise: str) -> str:
    """The name of the server that a series belongs to; of ``instance`` without the port.

    Raises:
        InvalidInput: no server can have this name.
    """
    name = next((text for label in _NAMING if (text := labels.get(label, "").strip())), otherwise)
    if "://" not in name:
        name = _PORT.sub("", name).removeprefix("[").removesuffix("]") or name
    if len(name.encode()) > MAX_NAME_BYTES or has_control(name):
        raise InvalidInput(
            f"The name of a server must have at most {MAX_NAME_BYTES} bytes, none of them control characters.",
            code="invalid_server_name",
            field="instance",
            limit=MAX_NAME_BYTES,
        )
    return name


class ServersByName:
    """Finds servers by name. Made again when the registry has changed: 0.5 ms for 1,000 servers."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._generation = -1
        self._by_name: dict[str, ServerState] = {}

    def find(self, name: str) -> ServerState | None:
        """The server that exists by foreign samples of this name; else the one whose agent reports this name for it or
        its host, unless there are several."""
        known = self._registry.by_agent_id.get(agent_id_of(name))
        if known is not None:
            return known
        if self._generation != self._registry.generation:
            self._generation = self._registry.generation
            found: dict[str, list[ServerState]] = {}
            for state in list(self._registry.by_id.values()):
                for text in {state.record.agent.name, state.record.host.hostname} - {""}:
                    found.setdefault(text, []).append(state)
            self._by_name = {text: states[0] for text, states in found.items() if len(states) == 1}
        return self._by_name.get(name)
