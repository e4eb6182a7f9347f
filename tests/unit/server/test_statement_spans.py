"""What a span tells of a statement."""

import pytest

from bongsu.server.edge.statement_spans import kind_of


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELECT id FROM servers WHERE id = ?", ("SELECT", "servers")),
        ("\n  insert into frames (a) values (?)", ("INSERT", "frames")),
        ('UPDATE "users" SET name = ?', ("UPDATE", "users")),
        ("DELETE FROM blocks", ("DELETE", "blocks")),
        ("WITH old AS (SELECT id FROM blocks) DELETE FROM parts", ("DELETE", "parts")),
        ("WITH old AS (SELECT id FROM blocks) SELECT 1", ("SELECT", "blocks")),
        ("SELECT 1", ("SELECT", "")),
        ("BEGIN IMMEDIATE", None),
        ("PRAGMA data_version", None),
        ("SET LOCAL x = 1", None),
    ],
)
def test_the_kind_of_a_statement(statement: str, kind: tuple[str, str] | None) -> None:
    assert kind_of(statement) == kind
