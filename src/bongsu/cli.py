"""``bongsu``: one command, its parts loaded only when they are asked for (the agent must stay small)."""

import sys

if __name__ == "__main__":
    import logging
    from pathlib import Path

    from bongsu.server.config import load_settings
    from bongsu.server.main import serve

    logging.basicConfig(level=logging.WARNING)
    serve(load_settings())
