"""The names of environment variables: a misspelt one would change nothing, and nobody would know."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from bongsu.server.config import SECRETS, Settings

PREFIX = "BONGSU_"
# Variables that are no settings of the API server: of its processes, of other commands, of the project's own tools.
_OTHERS = (
    "CHILDREN", "CONFIG", "IMPORT_TOKEN", "LOCAL_ENROLMENT_FILE", "LOG_FORMAT", "LOG_LEVEL", "PASSWORD", "SETUP_TOKEN",
    "SUPERVISED", "TOKEN", "URL",
)  # fmt: skip
_OTHER_PREFIXES = ("AGENT_", "BENCH_", "SIMULATE_", "TEST_")


@dataclass(frozen=True, slots=True)
class UnknownVariable:
    """``resembles``: the variable that may be meant; empty if none is alike."""

    name: str
    resembles: str

    def __str__(self) -> str:
        hint = f"; do you mean {self.resembles}?" if self.resembles else "."
        return f"{self.name} is no setting{hint}"


def setting_names() -> Iterator[str]:
    """All settings, nested ones with a dot."""
    for key, field in Settings.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            yield from (f"{key}.{inner}" for inner in group.model_fields)
        else:
            yield key


def variable_of(setting: str) -> str:
    """The variable of a setting: ``limits.body_bytes`` is BONGSU_LIMITS__BODY_BYTES."""
    return PREFIX + setting.upper().replace(".", "__")


def unknown_variables(environment: Iterable[str]) -> list[UnknownVariable]:
    """The variables that look like settings and are none."""
    known = {variable_of(setting) for setting in setting_names()}
    known |= {variable_of(key) for key in Settings.model_fields}  # a group as JSON
    known |= {f"{variable_of(secret)}_FILE" for secret in SECRETS}
    found = []
    for name in sorted(environment):
        rest = name.removeprefix(PREFIX)
        if rest == name or name in known or rest in _OTHERS or rest.startswith(_OTHER_PREFIXES):
            continue
        alike = difflib.get_close_matches(name, known, 1, 0.8)
        found.append(UnknownVariable(name, alike[0] if alike else ""))
    return found
