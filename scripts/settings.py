"""Writes the table of settings in docs/configuration.md: python -m scripts.settings docs/configuration.md"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from bongsu.server.config import Settings
from bongsu.server.variables import setting_names, variable_of

BEGIN, END = "<!-- begin of the table of settings -->\n", "<!-- end of the table of settings -->\n"


def table() -> Iterator[str]:
    """The lines of the table."""
    yield "| setting | variable | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for name in setting_names():
        field = _field(Settings, name)
        default = (
            "~/.local/share/bongsu" if name == "data_dir" else _shown(field.get_default(call_default_factory=True))
        )
        yield f"| `{name}` | `{variable_of(name)}` | {default} | {field.description} |"


def _field(model: type[BaseModel], name: str) -> Any:
    outer, _, inner = name.partition(".")
    field = model.model_fields[outer]
    group = field.annotation
    return _field(group, inner) if inner and isinstance(group, type) and issubclass(group, BaseModel) else field


def _shown(value: Any) -> str:
    if value in ("", [], PydanticUndefined):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def with_table(text: str) -> str:
    """The document with the present table."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n" + "\n".join(table()) + "\n\n" + END + after


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(with_table(file.read_text()))
