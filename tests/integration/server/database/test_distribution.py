"""``bongsu db distribute``, and the tables of an installation on Citus."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    PrimaryKeyConstraint,
    Table,
    delete,
    func,
    insert,
    select,
    text,
)

from bongsu.core.clock import SystemClock
from bongsu.server.commands.db import main
from bongsu.server.commands.distribute import distribute
from bongsu.server.database import migrations
from bongsu.server.database.database import open_database
from bongsu.server.database.distribution import FIRST, distribute_table, distributed_tables, metric_tables
from bongsu.server.database.leases import API_SERVERS, announce
from bongsu.server.database.migrations import revisions, upgrade
from bongsu.server.database.tables import blocks, frames, metadata
from bongsu.server.storage.frames import insert_frames
from tests.integration.server.commands.test_db import content, fill

NEW_REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9001", "{last}", None, None


def upgrade() -> None:
    op.add_column("frames", sa.Column("origin", sa.Integer(), nullable=False, server_default="7"))
    op.create_table(
        "gpu_lists",
        sa.Column("server_id", sa.Integer(), nullable=False),
        sa.Column("time_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("server_id", "time_ms", name="pk_gpu_lists"),
    )
"""


def test_what_has_many_rows_for_each_server_is_distributed() -> None:
    assert [table.name for table in metric_tables()] == [
        "layouts",
        *(
            "blocks",
            "container_lists",
            "foreign_series",
            "frames",
            "intervals",
            "parts",
            "process_lists",
            "quarantined_frames",
            "rollups",
        ),
    ]


@pytest.fixture
def url(database_url: str, request: pytest.FixtureRequest) -> str:
    """A database on Citus with no tables."""
    if not database_url.startswith("sqlite"):
        pytest.skip("tested once")
    new: Callable[..., str] = request.getfixturevalue("new_citus_database")
    return new(empty=True)


@pytest.fixture
def at(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same, as the database of the settings."""
    monkeypatch.setenv("BONGSU_DATABASE_URL", url)
    return url


def test_only_citus_can_be_distributed(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    if "citus" in request.node.name:
        pytest.skip("this is Citus")
    remedy = "bongsu db copy --to postgresql://" if database_url.startswith("sqlite") else "CREATE EXTENSION citus;"
    assert main(["distribute", "--data-dir", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert remedy in line


@pytest.mark.parametrize("shards", ["0", "1025", "many"])
def test_the_number_of_shards_has_bounds(capsys: pytest.CaptureFixture[str], shards: str) -> None:
    with pytest.raises(SystemExit):
        main(["distribute", "--shards", shards])
    assert "a number from 1 to 1024" in capsys.readouterr().err


def test_distributing_says_what_it_does_and_can_be_called_again(
    at: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["distribute", "--data-dir", str(tmp_path)]) == 2
    assert "run bongsu db upgrade first" in capsys.readouterr().err
    assert main(["upgrade", "--data-dir", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["distribute", "--shards", "3", "--data-dir", str(tmp_path)]) == 0
    first, *tables, last = capsys.readouterr().out.splitlines()
    assert first.startswith("Distributing by server_id: 3 shards on ")
    assert tables == [f"{table.name}: distributed" for table in metric_tables()]
    assert last == f"The other {len(metadata.tables) - len(tables)} tables stay on the coordinator."
    assert main(["distribute", "--data-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("is distributed already, 3 shards") == len(tables)
    assert main(["distribute", "--shards", "4", "--data-dir", str(tmp_path)]) == 2
    assert "The tables have 3 shards" in capsys.readouterr().err


async def test_what_is_stored_moves_to_the_nodes_and_nothing_is_left(at: str, tmp_path: Path) -> None:
    await fill(tmp_path)
    before = await content(at)
    assert await asyncio.to_thread(main, ["distribute", "--shards", "3", "--data-dir", str(tmp_path)]) == 0
    assert await content(at) == before
    database = open_database(at)

    def left(connection: Connection) -> int:
        connection.execute(text("SET LOCAL citus.enable_ddl_propagation TO off"))
        sizes = (f"pg_relation_size('{table.name}')" for table in metric_tables())
        return int(connection.scalar(text(f"SELECT {'+'.join(sizes)}")) or 0)

    assert await database.write(left) == 0
    await database.close()


async def test_nothing_is_distributed_under_a_running_bongsu(
    at: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = open_database(at)
    now_ms = SystemClock().now_ms()

    def start(connection: Connection) -> None:
        upgrade(connection)
        announce(connection, API_SERVERS, "host-1:77:abc", now_ms, now_ms + 60_000)

    await database.write(start)
    assert await asyncio.to_thread(main, ["distribute", "--data-dir", str(tmp_path)]) == 2
    assert "Bongsu is running on this database (host-1:77): stop it first." in capsys.readouterr().err
    assert await database.read(distributed_tables) == {}
    await database.close()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        pytest.param(
            "SELECT create_distributed_table('blocks', 'layout_id')",
            "blocks is distributed by layout_id. Undo that first: SELECT undistribute_table('blocks');",
            id="by another column",
        ),
        pytest.param(
            "SELECT create_reference_table('rollups')",
            "rollups is distributed to all nodes. Undo that first: SELECT undistribute_table('rollups');",
            id="to all nodes",
        ),
        pytest.param(
            "SELECT create_distributed_table('layouts', 'server_id', shard_count := 2, colocate_with := 'none'), "
            "create_distributed_table('frames', 'server_id', shard_count := 3, colocate_with := 'none')",
            "frames is distributed by server_id, not beside layouts. Undo that first: "
            "SELECT undistribute_table('frames');",
            id="not beside the others",
        ),
    ],
)
async def test_what_is_distributed_otherwise_is_left_alone(
    at: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], statement: str, said: str
) -> None:
    database = open_database(at)
    await database.write(upgrade)
    await database.write(lambda connection: connection.execute(text(statement)))
    await database.close()
    assert await asyncio.to_thread(main, ["distribute", "--data-dir", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err


async def test_a_snapshot_shows_one_state_of_all_nodes(url: str) -> None:
    """Its first look at the metric tables comes after they have changed."""
    database = open_database(url)
    await database.write(upgrade)
    async for _ in distribute(database, SystemClock(), 4):
        pass
    rows = [(server_id, 1, time_ms, b"") for server_id in range(1, 9) for time_ms in (1, 2)]
    await database.write(lambda connection: insert_frames(connection, rows))

    def change(connection: Connection) -> None:
        connection.execute(delete(frames))
        values = {"layout_id": 1, "start_ms": 1, "end_ms": 2, "frames": 2, "rolled": 0, "checksum": 0}
        for server_id in range(1, 9):
            connection.execute(insert(blocks).values(server_id=server_id, head=b"", data=b"", **values))

    def seen(connection: Connection) -> tuple[int, int]:
        counts = [connection.scalar(select(func.count()).select_from(table)) or 0 for table in (blocks, frames)]
        return counts[0], counts[1]

    async with database.snapshot() as snapshot:
        await database.write(change)
        assert await snapshot.read(seen) == (0, 16)
    assert await database.read(seen) == (8, 0)
    await database.close()


@pytest.fixture
def newer_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A version of Bongsu with a column more in ``frames``, and one more table of metrics."""
    folder = tmp_path / "migrations"
    last = revisions()[-1]
    shutil.copytree(Path(migrations.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "9001_gpu_lists.py").write_text(NEW_REVISION.format(last=last))
    table = Table(
        "gpu_lists",
        metadata,
        Column("server_id", Integer, nullable=False),
        Column("time_ms", BigInteger, nullable=False),
        PrimaryKeyConstraint("server_id", "time_ms"),
    )
    monkeypatch.setattr(migrations, "__file__", str(folder / "__init__.py"))
    yield
    metadata.remove(table)


async def test_an_upgrade_changes_tables_on_all_nodes_and_distributes_new_ones(
    url: str, newer_migrations: None
) -> None:
    database = open_database(url)

    def of_today(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "0015")

    await database.write(of_today)
    for name in ("layouts", "frames"):
        shards = 3 if name == FIRST.name else None
        await database.write(lambda connection, name=name, shards=shards: distribute_table(connection, name, shards))
    stored = (
        "INSERT INTO frames (server_id, layout_id, time_ms, values) SELECT id, 1, 1, '' FROM generate_series(1, 9) id"
    )
    await database.write(lambda connection: connection.execute(text(stored)))
    assert await database.write(upgrade, patient=True) == ("0015", "9001")
    assert await database.read(lambda connection: connection.scalar(text("SELECT sum(origin) FROM frames"))) == 63
    done = await database.read(distributed_tables)
    assert done.pop("gpu_lists") == 3
    assert set(done.values()) == {3}
    await database.close()


async def test_an_upgrade_from_the_version_before(url: str) -> None:
    database = open_database(url)

    def before(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, revisions()[-2])
        for table in metric_tables():
            distribute_table(connection, table.name, 3 if table is FIRST else None)

    await database.write(before, patient=True)
    assert await database.write(upgrade, patient=True) == (revisions()[-2], revisions()[-1])
    lines = [line async for line in distribute(database, SystemClock(), None)]
    assert all("already" in line for line in lines[:-1])
    await database.close()
