"""``bongsu health``: whether the API server of this machine or container answers. Loads no settings, to be quick."""

import argparse
import os
from collections.abc import Sequence

from bongsu.server.probe import ask


def main(argv: Sequence[str]) -> int:
    """0 if it answers, else 1."""
    parser = argparse.ArgumentParser(
        prog="bongsu health", description="Ask an API server whether it runs. Its certificate is not verified."
    )
    scheme = "https" if os.environ.get("BONGSU_TLS_CERTIFICATE") else "http"
    default = f"{scheme}://127.0.0.1:{os.environ.get('BONGSU_PORT') or 8600}"
    parser.add_argument("url", nargs="?", metavar="URL", default=default, help=f"default: {default}")
    url = parser.parse_args(list(argv)).url.rstrip("/")
    answer = ask(url, "/api/health")
    print(f"{url}: {answer.get('status') if answer else 'no answer'}")
    return 0 if answer else 1
