"""The codes of errors that people meet in the dashboard have translations there."""

import ast
import json

from tests.support.repository import REPOSITORY

# Where errors arise that answers to people carry. Those of ``ingest`` and ``live`` are for agents and the stream.
PLACES = ("core/errors.py", "alerts", "server/errors.py", *(f"server/{name}" for name in (
    "api", "auth", "dashboards", "history", "fleet", "alerts", "database/database.py",
)))  # fmt: skip

# Shown as the API server says them in English, because ...
ENGLISH_ONLY = {
    # ... the message names the place and what is wrong there; forms check most of it before.
    *("error", "invalid_input", "invalid_channel", "invalid_dashboard", "invalid_silence", "invalid_rule"),
    *("invalid_rules", "unknown_channel_type"),
    *("too_large", "unsupported_encoding", "conflict", "unavailable", "not_found", "samples_given_up"),
    # ... it names the place in the query, and the limit.
    "invalid_promql",
    # ... nobody waits for the answer any more.
    *("cancelled", "client_gone"),
    # ... it names who saved what.
    "dashboard_changed",
    # ... only agents, API tokens, the command line or pages of other sites meet them.
    *("unknown_layout", "invalid_server_name"),
    *("invalid_enrolment_token", "used_enrolment_token", "already_enrolled", "writer_only", "person_needed"),
    *("not_ready", "invalid_token", "expired_token", "cross_site", "invalid_config", "channel_error"),
    # ... pages react to them and do not show them.
    *("unauthenticated", "second_factor_required", "second_factor_exists", "no_second_factor", "password_needed"),
    *("unknown_widget", "not_shared", "no_oidc", "oidc_failed", "oidc_second_factor"),
    # ... the page that a link in a message opens is no part of the dashboard.
    *("invalid_link", "expired_link"),
}


def codes() -> set[str]:
    """The codes that the source gives to errors: ``code="..."`` in a call, ``code = "..."`` in a class."""
    found: set[str] = set()
    for place in PLACES:
        path = REPOSITORY / "src/bongsu" / place
        for file in [path] if path.is_file() else path.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                match node:
                    case ast.keyword(arg="code", value=ast.Constant(value=str(code))):
                        found.add(code)
                    case ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant(value=str(code))):
                        found.add(code)
    return found


def test_every_code_is_translated_or_known_to_be_english() -> None:
    texts = json.loads((REPOSITORY / "frontend/i18n/locales/en.json").read_text("utf-8"))["error"]
    # ``network`` is the dashboard's own; ``internal_error`` is passed by its place.
    assert codes() - texts.keys() - ENGLISH_ONLY == set()
    assert texts.keys() - codes() == {"network", "internal_error"}
    assert ENGLISH_ONLY & texts.keys() == set()
    assert ENGLISH_ONLY - codes() == set()
