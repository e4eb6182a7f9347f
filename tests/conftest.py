"""Settings of all tests."""

import os

import pytest
from hypothesis import settings

# A deadline would measure the machine: on a busy one, an example takes longer now and then.
settings.register_profile("bongsu", settings(deadline=None))
settings.load_profile("bongsu")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what was left out."""
    if not os.environ.get("BONGSU_TEST_CITUS_URL"):
        terminalreporter.write_line("Tests on Citus were left out: BONGSU_TEST_CITUS_URL is not set.")
