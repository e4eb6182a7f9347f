"""Reads the YAML configuration file.

Only this module imports PyYAML, which costs 1.7 MB, and only an agent with a configuration file imports this module.
"""

import re
from typing import Any, NamedTuple

from bongsu.core.errors import ConfigError

# These keys hold lists of mappings. The key of a value in one has the number of its mapping: ``scrape.0.url``.
_LISTS_OF_MAPPINGS = re.compile(r"scrape(\.\d+\.relabel)?")


class FileValue(NamedTuple):
    """``value`` is None for a key without one. ``source`` is for error messages: ``agent.yml line 3: interval``."""

    value: str | list[str] | None
    source: str


def read_config_file(path: str) -> dict[str, FileValue]:
    """The values of the file by dotted key.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or contains something else than mappings, texts and lists of
            texts, or of mappings where a key holds those.
    """
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            root = yaml.compose(file, Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not a UTF-8 text file.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f" line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: {error.problem or 'not valid YAML'}.") from None
    values: dict[str, FileValue] = {}
    if root is not None:
        _add_values(root, "", path, values)
    return values


def _add_values(node: Any, key: str, path: str, values: dict[str, FileValue]) -> None:
    line = f"{path} line {node.start_mark.line + 1}"
    source = f"{line}: {key}" if key else line
    if node.id == "scalar":
        if not key and node.tag.endswith(":null"):
            return
        if not key:
            raise ConfigError(f"{source}: expected keys such as 'server: http://127.0.0.1:8600'.")
        values[key] = FileValue(None if node.tag.endswith(":null") else node.value, source)
    elif node.id == "sequence" and _LISTS_OF_MAPPINGS.fullmatch(key):
        for number, item in enumerate(node.value):
            if item.id != "mapping":
                line = f"{path} line {item.start_mark.line + 1}"
                raise ConfigError(f"{line}: {key} must be a list of mappings, each with keys of its own.")
            values[f"{key}.{number}"] = FileValue(None, f"{path} line {item.start_mark.line + 1}: {key}.{number}")
            _add_values(item, f"{key}.{number}", path, values)
    elif node.id == "sequence":
        for item in node.value:
            if item.id != "scalar":
                raise ConfigError(f"{path} line {item.start_mark.line + 1}: {key} must be a list of plain texts.")
        values[key] = FileValue([item.value for item in node.value], source)
    else:
        seen: set[str] = set()
        for name_node, value_node in node.value:
            name = str(name_node.value)
            if name in seen:
                raise ConfigError(f"{path} line {name_node.start_mark.line + 1}: the key {name} appears twice.")
            seen.add(name)
            _add_values(value_node, f"{key}.{name}" if key else name, path, values)
