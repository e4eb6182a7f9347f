"""Reads a YAML file into ``dotted.key -> (text, list or mapping, place)``, where a place names the file and line.

PyYAML is imported here only, and this module only when there is a file: it costs 1.7 MB.
"""

from typing import Any, NamedTuple

from bongsu.core.errors import ConfigError


class Value(NamedTuple):
    """``value``: str, list of str, or None for a key without one. ``place`` is for messages: ``agent.yml line 3:
    interval``."""

    value: "str | list[str] | None"
    place: str


def read(path: str) -> dict[str, Value]:
    """The leaves of the file.

    Raises:
        ConfigError: not readable, not YAML, or not a tree of mappings with texts and lists of texts.
    """
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            root = yaml.compose(file, Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not a text file in UTF-8.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f" line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: {error.problem or 'not valid YAML'}.") from None
    leaves: dict[str, Value] = {}
    if root is not None:
        _walk(root, "", path, leaves)
    return leaves


def _walk(node: Any, key: str, path: str, leaves: dict[str, Value]) -> None:
    place = f"{path} line {node.start_mark.line + 1}: {key}" if key else f"{path} line {node.start_mark.line + 1}"
    if node.id == "scalar":
        if not key and node.tag.endswith(":null"):
            return
        if not key:
            raise ConfigError(f"{place}: expected keys such as 'server: http://127.0.0.1:8600'.")
        leaves[key] = Value(None if node.tag.endswith(":null") else node.value, place)
    elif node.id == "sequence":
        for item in node.value:
            if item.id != "scalar":
                raise ConfigError(f"{path} line {item.start_mark.line + 1}: {key} is a list of plain texts.")
        leaves[key] = Value([item.value for item in node.value], place)
    else:
        seen: set[str] = set()
        for name_node, value_node in node.value:
            name = str(name_node.value)
            line = name_node.start_mark.line + 1
            if name in seen:
                raise ConfigError(f"{path} line {line}: {name} is there twice.")
            seen.add(name)
            _walk(value_node, f"{key}.{name}" if key else name, path, leaves)
