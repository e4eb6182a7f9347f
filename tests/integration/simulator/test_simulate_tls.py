"""``bongsu simulate`` over TLS."""

import contextlib
import signal
import ssl
from pathlib import Path

import httpx

from tests.support.processes import ADMIN, PASSWORD, PATIENCE_SECONDS, bongsu, free_port, wait_for
from tests.support.smtp import certificate


def test_a_certificate_that_only_the_ca_file_vouches_for(tmp_path: Path) -> None:
    port, pem = free_port(), certificate(tmp_path)
    url, context = f"https://127.0.0.1:{port}", ssl.create_default_context(cafile=str(pem))
    server = ("server", "--role", "api", "--port", str(port), "--data-dir", str(tmp_path / "server"))
    with (
        bongsu(*server, BONGSU_TLS_CERTIFICATE=str(pem), BONGSU_TLS_KEY=str(pem)) as process,
        httpx.Client(base_url=url, verify=context, timeout=30) as client,
    ):

        def log_in() -> httpx.Response | None:
            with contextlib.suppress(httpx.TransportError):
                return client.post("/api/auth/login", json={"email": ADMIN, "password": PASSWORD})
            assert process.poll() is None
            return None

        answer = wait_for(log_in, "the API server").raise_for_status()
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        token = (
            client.post("/api/enrolment-tokens", json={"name": "fleet", "uses": 2}).raise_for_status().json()["token"]
        )
        fleet = ("simulate", "--servers", "2", "--url", url, "--data-dir", str(tmp_path / "fleet"))
        with bongsu(*fleet, BONGSU_SIMULATE_ENROLMENT_TOKEN=token) as simulator:
            output = simulator.communicate(timeout=PATIENCE_SECONDS)[0]
        assert simulator.returncode == 1
        assert "cannot be reached: its certificate is not trusted" in output
        with bongsu(*fleet, "--ca-file", str(pem), BONGSU_SIMULATE_ENROLMENT_TOKEN=token) as simulator:
            wait_for(
                lambda: len(client.get("/api/servers").json()["servers"]) == 2 or simulator.poll() is not None,
                "servers",
            )
            simulator.send_signal(signal.SIGINT)
            output = simulator.communicate(timeout=PATIENCE_SECONDS)[0]
        assert simulator.returncode == 0, output
