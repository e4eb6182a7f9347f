"""Services from a given list of units."""

from pathlib import Path

from bongsu.agent.collectors.base import Filter, Options
from bongsu.agent.collectors.systemd import SystemdCollector
from tests.support.agent_fakes import by_series, fake_ps

UNITS = """nginx.service loaded active running A web server
broken.service loaded failed failed Something
old.service loaded inactive dead Old
ghost.service not-found inactive dead ghost.service
"""


def test_a_service_that_has_failed_is_reported_until_it_is_unloaded(tmp_path: Path) -> None:
    listing = tmp_path / "units"
    collector = SystemdCollector(fake_ps(), command=("cat", str(listing)))
    seen = []
    for state in ("active running", "failed failed", "active running", ""):
        listing.write_text(f"job.service loaded {state} A job\n" if state else "")
        seen.append(by_series(collector.collect()).get("systemd_unit_failed[job.service]"))
    assert seen == [None, 1, 0, None]


def test_systemd_units_by_state() -> None:
    options = Options({"units": Filter(("nginx*",))})
    collector = SystemdCollector(fake_ps(), options, command=("printf", "%s", UNITS))
    seen = by_series(collector.collect())
    assert seen["systemd_units[active]"] == 1
    assert seen["systemd_units[failed]"] == 1
    assert seen["systemd_units[inactive]"] == 1
    assert seen["systemd_unit_failed[broken.service]"] == 1
    assert seen["systemd_unit_failed[nginx.service]"] == 0
    assert "systemd_unit_failed[old.service]" not in seen
