"""The migrations make exactly the tables of the models."""

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, delete, inspect, text

from bongsu.alerts.rules_file import parse_rule
from bongsu.server.alerts.queries.alerts import active_alerts
from bongsu.server.alerts.queries.decisions import load_decisions
from bongsu.server.alerts.queries.rules import add_rule, delete_rule
from bongsu.server.commands.db import main
from bongsu.server.database import migrations
from bongsu.server.database.database import open_database
from bongsu.server.database.migrations import DatabaseTooNew, revisions, upgrade
from bongsu.server.database.tables import alert_rules, metadata

pytestmark = pytest.mark.empty_database


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


async def test_ids_of_alerts_continue_after_all_that_were_ever_used(database_url: str) -> None:
    """Rules 1 to 9 have been deleted before the upgrade, but alert 1 still mentions rule 9."""
    database = open_database(database_url)

    def old(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "0007")
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT setval('alert_rules_id_seq', 9)"))
        connection.execute(
            text(
                "INSERT INTO alerts (id, rule_id, rule_name, severity, priority, server_id, server_name, series, state, "
                "reason, since_ms, fired_ms, no_data, flapping, acknowledged_by, acknowledged_comment, escalated, owes, "
                "decided) VALUES (1, 9, 'CPU', 'warning', 3, 1, 'web-1', 'cpu', 'firing', 'breach', 5, 7, :no, :no, '', "
                "'', 0, :no, '')"
            ),
            {"no": False},
        )

    await database.write(old)
    await database.write(upgrade)
    rule = parse_rule({"name": "new", "condition": {"type": "server_down"}})
    assert await database.write(lambda connection: add_rule(connection, rule, 1)) == 10
    await database.write(lambda connection: delete_rule(connection, 10, 2))
    await database.write(lambda connection: connection.execute(delete(alert_rules)))
    assert await database.write(lambda connection: add_rule(connection, rule, 3)) == 11
    (alert,) = await database.read(active_alerts)
    assert (alert.rule_id, alert.escalates_from_ms) == (9, 7)
    await database.close()


async def test_decisions_of_earlier_versions_keep_their_sentence(database_url: str) -> None:
    database = open_database(database_url)

    def old(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "0014")
        connection.execute(
            text(
                "INSERT INTO alert_decisions (alert_id, time_ms, event, stage, outcome, detail)"
                " VALUES (7, 1, 'fired', 'send', 'queued', 'it fires; to mail')"
            )
        )

    await database.write(old)
    await database.write(upgrade)
    (decision,) = await database.read(lambda connection: load_decisions(connection, 7))
    assert (decision.detail, decision.notes) == ("it fires; to mail", [])
    await database.close()


async def test_upgraded_tables_on_sqlite_equal_new_ones(database_url: str) -> None:
    """What Alembic does not compare: AUTOINCREMENT and the conditions of indices."""
    database = open_database(database_url)

    def parts(connection: Connection) -> set[tuple[str, bool, str]]:
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")).all()
        return {(row.name, "AUTOINCREMENT" in row.sql, row.sql.partition(" WHERE ")[2]) for row in rows}

    await database.write(upgrade)
    if database_url.startswith("sqlite"):
        upgraded = await database.read(parts)
        engine = create_engine("sqlite://")
        with engine.connect() as connection:
            metadata.create_all(connection)
            assert {part for part in upgraded if part[0] != "alembic_version"} == parts(connection)
        engine.dispose()
    await database.close()


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
