"""The dashboard's client is made from the API server's own document."""

from pathlib import Path

from scripts.openapi import document

COMMITTED = Path(__file__).resolve().parents[3] / "frontend" / "openapi.json"


def test_the_committed_openapi_document_is_up_to_date() -> None:
    assert document() == COMMITTED.read_text(), "run `make api`"
