"""``bongsu up``: API server, worker and an agent for this machine, in one command."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bongsu.core.errors import BongsuError
from bongsu.server.config import Settings, load_settings
from bongsu.server.supervisor import Child, check_port, free_port, local_url, run, server_children

# One machine, one agent: often enough to feel live, at a cost that nobody notices.
AGENT_INTERVAL = "5s"


def _agent_child(settings: Settings, interval: str | None) -> Child:
    environment = {
        "BONGSU_AGENT_SERVER": local_url(settings),
        "BONGSU_AGENT_DATA_DIR": str(settings.data_dir / "agent"),
        "BONGSU_AGENT_INTERVAL": interval or os.environ.get("BONGSU_AGENT_INTERVAL", AGENT_INTERVAL),
    }
    return Child("agent", ["agent", "run"], environment)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bongsu up", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings, see config/server.yml")
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default 8600; 0: any free one)")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where everything is kept")
    parser.add_argument(
        "--interval", metavar="TIME", help=f"how often this machine is sampled (default {AGENT_INTERVAL})"
    )
    parser.add_argument("--no-agent", action="store_true", help="do not watch this machine")
    return parser


def main(argv: Sequence[str]) -> int:
    """Runs until Ctrl-C or SIGTERM."""
    options = _parser().parse_args(list(argv))
    try:
        settings = load_settings(options.config, host=options.host, port=options.port, data_dir=options.data_dir)
        if settings.port == 0:
            settings = settings.model_copy(update={"port": free_port(settings.host)})
        check_port(settings.host, settings.port)
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except BongsuError as error:
        print(f"bongsu up: {error.message}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"bongsu up: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    if options.config:
        os.environ["BONGSU_CONFIG"] = str(options.config)
    children = server_children(settings)
    if not options.no_agent:
        children.append(_agent_child(settings, options.interval))
    return run(settings, children)
