"""Sets of labels, with the metric as the label ``__name__``."""

import re
from collections.abc import Collection, Iterable

# (name, value) pairs sorted by name; none of them empty.
Labels = tuple[tuple[str, str], ...]

NAME = "__name__"
# A label that a query may make: as those of samples (dots come from OpenTelemetry), not what is likely a typing error.
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]*")


def is_label_name(text: str) -> bool:
    """Whether a query may make a label of this name."""
    return _LABEL.fullmatch(text) is not None


def without_name(labels: Labels) -> Labels:
    """All labels but the metric."""
    return tuple(pair for pair in labels if pair[0] != NAME)


def only(labels: Labels, names: Collection[str]) -> Labels:
    """The labels with these names."""
    return tuple(pair for pair in labels if pair[0] in names)


def without(labels: Labels, names: Collection[str]) -> Labels:
    """All labels but those with these names."""
    return tuple(pair for pair in labels if pair[0] not in names)


def with_labels(labels: Labels, changes: Iterable[tuple[str, str]]) -> Labels:
    """The labels with some of them set, or removed where the value is empty."""
    by_name = dict(labels) | dict(changes)
    return tuple(sorted((name, text) for name, text in by_name.items() if text))


def shown(labels: Labels) -> str:
    """As people write them: ``up{job="node"}``."""
    metric = dict(labels).get(NAME, "")
    rest = ", ".join(f'{name}="{text}"' for name, text in labels if name != NAME)
    return f"{metric}{{{rest}}}" if rest or not metric else metric
