"""The built-in templates, in YAML: a file for each in ``built_in/``."""

from functools import cache
from importlib.resources import files

import yaml

from bongsu.server.dashboards.document import Dashboard

NAMES = ("linux-host", "web-fleet", "storage", "network", "capacity")


@cache
def built_in_templates() -> dict[str, Dashboard]:
    """Name -> template, in the order in which people are offered them."""
    folder = files("bongsu.server.dashboards") / "built_in"
    return {
        name: Dashboard.model_validate(yaml.safe_load((folder / f"{name}.yml").read_text("utf-8"))) for name in NAMES
    }
