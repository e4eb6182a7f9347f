"""Which server is meant."""

import pytest

from bongsu.core.errors import Conflict, NotFound
from bongsu.watch.choice import choose
from bongsu.watch.site import ServerInfo

SERVERS = [
    ServerInfo(1, "web-1", "up"),
    ServerInfo(2, "web-10", "up"),
    ServerInfo(3, "db-1", "down"),
    ServerInfo(4, "old", "retired"),
    ServerInfo(5, "2", "up"),
    ServerInfo(6, "데이터-1", "up"),
]


@pytest.mark.parametrize(
    ("wanted", "server_id"),
    [
        pytest.param("web-1", 1, id="the whole name, though it is a part of another"),
        pytest.param("WEB-10", 2, id="case does not matter"),
        pytest.param("3", 3, id="an id"),
        pytest.param("2", 5, id="a name before an id"),
        pytest.param("db", 3, id="the only name with this part"),
        pytest.param("d*1", 3, id="a pattern"),
        pytest.param("데이터", 6, id="part of a Korean name"),
        pytest.param(" db-1 ", 3, id="spaces around it do not count"),
    ],
)
def test_the_only_server_that_fits(wanted: str, server_id: int) -> None:
    assert choose(wanted, SERVERS).id == server_id


def test_several_servers_are_listed() -> None:
    with pytest.raises(Conflict) as error:
        choose("web", SERVERS)
    assert error.value.message.splitlines() == [
        "2 servers fit 'web'; name one of them, or its id:",
        "  1  web-1 (up)",
        "  2  web-10 (up)",
    ]


def test_of_many_servers_ten_are_listed() -> None:
    with pytest.raises(Conflict) as error:
        choose("*", [ServerInfo(number, f"web-{number}", "up") for number in range(1, 1_001)])
    assert len(error.value.message.splitlines()) == 12
    assert error.value.message.endswith("  and 990 more")


def test_no_server_fits() -> None:
    with pytest.raises(NotFound, match=r"There is no server 'mail'\. There are:\n  1  web-1 \(up\)"):
        choose("mail", SERVERS)
    with pytest.raises(NotFound, match="There are no servers yet"):
        choose("mail", [])


def test_a_retired_server_sends_nothing() -> None:
    with pytest.raises(NotFound, match="old is retired"):
        choose("old", SERVERS)
    assert choose("web-1", [*SERVERS, ServerInfo(9, "web-1", "retired")]).id == 1, "its successor is meant"


def test_names_cannot_write_on_the_terminal() -> None:
    with pytest.raises(Conflict) as error:
        choose("x", [ServerInfo(1, "x\x1b[2J", "up"), ServerInfo(2, "x2", "up")])
    assert "\x1b" not in error.value.message
