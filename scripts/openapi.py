"""Writes the API server's OpenAPI document: ``python -m scripts.openapi FILE``. A test compares it with the file."""

import json
import sys
from pathlib import Path

from bongsu.server.app import Application
from bongsu.server.config import Settings


def document() -> str:
    return json.dumps(Application(Settings()).api.openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document())
