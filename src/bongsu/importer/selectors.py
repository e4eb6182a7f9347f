"""Series selectors of PromQL, as far as they are put together here."""

import re
from collections.abc import Sequence

from bongsu.core.errors import InvalidInput

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
# Characters that mean something in RE2. Others are not escaped: RE2 refuses an escape that means nothing.
_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")


def matchers_of(selector: str) -> str:
    """``up{job="a"}`` -> ``__name__="up",job="a"``. Raises InvalidInput for what is no series selector."""
    text = selector.strip()
    name, brace, rest = text.partition("{")
    name = name.strip()
    if (brace and not rest.endswith("}")) or (name and not _NAME.fullmatch(name)) or not text:
        raise InvalidInput(
            f"--match {selector[:80]!r} is no selector: write it like up or '{{job=\"node\"}}'.",
            field="--match",
        )
    inside = rest[:-1].strip().rstrip(",").strip() if brace else ""
    return ",".join(part for part in (f'__name__="{name}"' if name else "", inside) if part)


def with_names(matchers: str, names: Sequence[str]) -> str:
    """A selector of the series with one of these names among those that match."""
    pattern = "|".join(_SPECIAL.sub(r"\\\1", name) for name in names)
    quoted = pattern.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    named = f'__name__=~"{quoted}"'
    return "{" + (f"{matchers},{named}" if matchers else named) + "}"
