"""Notices are short enough for every bus, and name every server."""

from bongsu.server.live.feed import notices


def test_many_servers_are_told_in_several_notices() -> None:
    server_ids = list(range(2_000_000_000, 2_000_003_000))
    told = notices("a" * 32, map(str, server_ids))
    assert all(len(notice) < 8_000 for notice in told)
    assert len(told) == 5
    named = [int(server_id) for notice in told for server_id in notice.partition(" ")[2].split(",")]
    assert named == server_ids
    assert notices("a", []) == []
