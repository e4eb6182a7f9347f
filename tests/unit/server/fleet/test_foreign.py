"""Which server a foreign series belongs to."""

import pytest

from bongsu.core.errors import InvalidInput
from bongsu.core.samples import AgentIdentity, HostFacts
from bongsu.server.fleet.foreign import ServersByName, agent_id_of, server_name
from bongsu.server.fleet.names import check_agent_id
from bongsu.server.fleet.registry import Registry
from bongsu.server.fleet.servers import ServerRecord


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        pytest.param({"instance": "web-1:9100"}, "web-1", id="the port is left out"),
        pytest.param({"instance": "web-1"}, "web-1", id="no port"),
        pytest.param({"instance": "[::1]:9100"}, "::1", id="an IPv6 address"),
        pytest.param(
            {"instance": "https://example.com:8443/x"}, "https://example.com:8443/x", id="an address of a page"
        ),
        pytest.param({"instance": ":9100"}, ":9100", id="nothing but a port"),
        pytest.param({"host.name": "db", "instance": "10.0.0.1:9100"}, "db", id="the host's name is better"),
        pytest.param({"k8s_node_name": "node-3", "instance": "10.0.0.1:9100"}, "node-3", id="so is that of the node"),
        pytest.param({"instance": " "}, "the token", id="nobody names it"),
    ],
)
def test_labels_name_the_server(labels: dict[str, str], name: str) -> None:
    assert server_name(labels, "the token") == name


@pytest.mark.parametrize("name", ["x" * 256, "a\nb"], ids=["too long", "a line break"])
def test_some_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        server_name({"instance": name}, "the token")


def test_what_stands_for_the_agent_is_a_valid_id() -> None:
    check_agent_id(agent_id_of("web-1"))
    assert agent_id_of("web-1") != agent_id_of("web-2")


def record(server_id: int, agent_id: str, name: str, hostname: str = "") -> ServerRecord:
    return ServerRecord(
        id=server_id,
        agent=AgentIdentity(agent_id, name),
        host=HostFacts(hostname=hostname),
        first_seen_ms=0,
        last_seen_ms=0,
        own_tags={},
    )


def test_a_server_with_an_agent_is_found_by_its_name_or_that_of_its_host_unless_there_are_several() -> None:
    registry = Registry()
    servers = ServersByName(registry)
    assert servers.find("web-1") is None
    agent = registry.add(record(1, "agent-0001", "Web", "web-1"))
    assert servers.find("web-1") is agent
    assert servers.find("Web") is agent
    registry.add(record(2, "agent-0002", "Web 2", "web-1"))
    assert servers.find("web-1") is None
    foreign = registry.add(record(3, agent_id_of("web-1"), "web-1", "web-1"))
    assert servers.find("web-1") is foreign
