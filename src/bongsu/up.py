"""``bongsu up``: the API server, the worker and an agent for this machine, in one command."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bongsu.core.errors import BongsuError
from bongsu.server.config import Settings, load_settings, local_url, not_writable
from bongsu.server.launch import check_port, free_port, run, server_children
from bongsu.server.main import PROGRAMS
from bongsu.server.supervisor import Child

# Often enough to feel live, at a cost that nobody notices.
AGENT_INTERVAL = "5s"


def _enrolment_file(settings: Settings) -> str:
    """Where the API server writes an enrolment token for the agent of this machine."""
    return str(settings.data_dir / "agent" / "enrolment-token")


def _agent_child(settings: Settings, interval: str | None) -> Child:
    environment = {
        "BONGSU_AGENT_SERVER": local_url(settings),
        "BONGSU_AGENT_DATA_DIR": str(settings.data_dir / "agent"),
        "BONGSU_AGENT_ENROLMENT_TOKEN_FILE": _enrolment_file(settings),
        "BONGSU_AGENT_INTERVAL": interval or os.environ.get("BONGSU_AGENT_INTERVAL", AGENT_INTERVAL),
    }
    if settings.tls:
        # It connects to the loopback address and trusts exactly this certificate.
        environment["BONGSU_AGENT_TLS_CA_FILE"] = settings.tls_certificate
        environment["BONGSU_AGENT_TLS_SERVER_NAME"] = certificate_name(settings.tls_certificate)
    return Child("agent", ["agent", "run"], environment)


def certificate_name(file: str) -> str:
    """A host name of the certificate; empty if there is none."""
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificates(Path(file).read_bytes())[0]
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return next(iter(names.get_values_for_type(x509.DNSName)), "").replace("*", "bongsu")
    except (OSError, ValueError, IndexError, x509.ExtensionNotFound):
        return ""  # the API server reports the problem


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bongsu up", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings, see config/server.yml")
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default 8600; 0: any free one)")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="directory of the database and keys")
    parser.add_argument(
        "--interval", metavar="TIME", help=f"how often this machine is sampled (default {AGENT_INTERVAL})"
    )
    parser.add_argument("--no-agent", action="store_true", help="do not monitor this machine")
    return parser


def main(argv: Sequence[str]) -> int:
    """Runs until Ctrl-C or SIGTERM."""
    options = _parser().parse_args(list(argv))
    try:
        settings = load_settings(options.config, host=options.host, port=options.port, data_dir=options.data_dir)
        if settings.port == 0:
            settings = settings.model_copy(update={"port": free_port(settings.host)})
        check_port(settings.host, settings.port)
        try:
            settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise not_writable(settings.data_dir, error) from None
    except BongsuError as error:
        print(f"bongsu up: {error.message}", file=sys.stderr)
        return 2
    if options.config:
        os.environ["BONGSU_CONFIG"] = str(options.config)
    children = server_children(settings)
    if not options.no_agent:
        children[0].environment["BONGSU_LOCAL_ENROLMENT_FILE"] = _enrolment_file(settings)
        children.append(_agent_child(settings, options.interval))
    return run(settings, children, PROGRAMS)
