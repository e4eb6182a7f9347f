"""The migrations make exactly the tables of the models."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from bongsu.server.commands.db import main
from bongsu.server.database import migrations
from bongsu.server.database.database import open_database
from bongsu.server.database.migrations import DatabaseTooNew, revisions, upgrade
from bongsu.server.database.tables import metadata


async def test_migrations_equal_the_models(database_url: str) -> None:
    database = open_database(database_url)

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, metadata))

    assert (await database.write(upgrade))[0] is None
    assert await database.read(differences) == []
    before, after = await database.write(upgrade)
    assert before == after
    await database.close()


def test_files_are_named_by_their_revision_in_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())
    assert revisions() == [script.revision for script in reversed(scripts)]


async def test_a_database_of_a_newer_version_is_left_alone(database_url: str) -> None:
    database = open_database(database_url)
    await database.write(upgrade)
    await database.write(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(DatabaseTooNew, match="9999"):
        await database.write(upgrade)
    await database.close()


async def test_a_failed_migration_leaves_nothing_behind(database_url: str) -> None:
    database = open_database(database_url)

    def interrupted(connection: Connection) -> None:
        upgrade(connection)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        await database.write(interrupted)
    assert await database.read(lambda connection: inspect(connection).get_table_names()) == []
    await database.close()


def test_db_upgrade_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade", "--data-dir", str(tmp_path)]) == 0
    assert main(["upgrade", "--data-dir", str(tmp_path)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("The database was upgraded from empty to revision ")
    assert second.startswith("The database is up to date (revision ")
