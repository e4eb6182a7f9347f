"""The dashboard's client is made from the API server's own document."""

from scripts.openapi import document

from tests.support.repository import REPOSITORY

COMMITTED = REPOSITORY / "frontend" / "openapi.json"


def test_the_committed_openapi_document_is_up_to_date() -> None:
    assert document() == COMMITTED.read_text(), "run `make api`"
