"""One query for many layouts gives what a query for each would."""

from pathlib import Path

from bongsu.server.storage.frames import frame_columns
from bongsu.server.storage.layouts import LayoutKey
from tests.support.app import running_app
from tests.support.clock import FakeClock
from tests.support.jobs import database_of
from tests.support.pushes import LAYOUT, a_push, a_ramp

NOW = 1_750_000_000_000


async def test_the_rows_of_each_key_in_the_order_of_the_keys(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        for number, count in enumerate((5, 1, 30)):
            sent = a_ramp(NOW - 10_000 * count, count)
            assert (await app.push(a_push(sent, name=f"web-{number}"))).status_code == 200
        ids = [record.id for record in app.services.registry.records()]
        wanted: dict[LayoutKey, list[int]] = {
            (ids[2], LAYOUT.id): [1],
            (99, LAYOUT.id): [0],
            (ids[0], LAYOUT.id): [0, 2],
            (ids[0], 12345): [0],
            (ids[1], LAYOUT.id): [2],
        }
        read = database_of(app).read
        found = await read(lambda connection: frame_columns(connection, wanted, NOW - 200_000, NOW - 10_000))
        assert list(found) == [(ids[2], LAYOUT.id), (ids[0], LAYOUT.id)], "of web-1 there is nothing in the range"
        assert found[ids[2], LAYOUT.id].times.tolist() == [NOW - 10_000 * back for back in range(20, 1, -1)]
        assert found[ids[2], LAYOUT.id].column(1).tolist() == [1024.0 * index for index in range(10, 29)]
        first = found[ids[0], LAYOUT.id]
        assert first.times.tolist() == [NOW - 10_000 * back for back in (5, 4, 3, 2)]
        assert first.column(2).tolist() == [10_000.0 * index for index in range(4)]
        assert first.column(0)[0] == 0.5
        assert await read(lambda connection: frame_columns(connection, {}, 0, NOW)) == {}
        assert await read(lambda connection: frame_columns(connection, wanted, 0, 1)) == {}
