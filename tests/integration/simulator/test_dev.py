"""``make dev ARGS="--simulate N"``: what it gives the simulator."""

from pathlib import Path

from scripts.dev import enrolment_token, is_ready

from bongsu.server.config import load_settings
from tests.support.processes import api_server, bongsu, free_port, logged_in, wait_for


def test_simulated_servers_enrol_with_the_token_and_the_previous_one_is_gone(tmp_path: Path) -> None:
    port = free_port()
    url, settings = f"http://127.0.0.1:{port}", load_settings(data_dir=tmp_path / "data", port=port)
    with api_server(settings.data_dir, port) as server, logged_in(url) as client:
        assert is_ready(url, server)  # type: ignore[arg-type]
        enrolment_token(settings)
        token = enrolment_token(settings)
        assert len(client.get("/api/enrolment-tokens").raise_for_status().json()["tokens"]) == 1
        fleet = ("simulate", "--servers", "2", "--url", url, "--data-dir", str(tmp_path / "fleet"))
        with bongsu(*fleet, BONGSU_SIMULATE_ENROLMENT_TOKEN=token) as process:
            wait_for(
                lambda: len(client.get("/api/servers").json()["servers"]) == 2 or process.poll() is not None, "servers"
            )
            assert process.poll() is None
