"""The labels of a scraped sample: those of its target added, then the rules of the target.

As in Prometheus: a label of the sample with the name of one of its target gets the prefix ``exported_``, and rules see
all labels. They cannot remove ``job`` and ``instance``, which keep the series of targets apart.
"""

from collections.abc import Iterable, Mapping, Sequence

from bongsu.agent.scrape_config import METRIC_NAME, OWN_LABELS, RelabelRule

_PREFIX = "exported_"


def with_target_labels(labels: Sequence[tuple[str, str]], of_target: Mapping[str, str]) -> dict[str, str]:
    """All labels by name. An empty label is the same as none, and left out."""
    merged = {name: value for name, value in labels if value}
    for name in of_target:
        if name in merged:
            value = merged.pop(name)
            new_name = _PREFIX + name
            while new_name in merged or new_name in of_target:
                new_name = _PREFIX + new_name
            merged[new_name] = value
    return {**merged, **of_target}


def relabelled(metric: str, labels: dict[str, str], rules: Iterable[RelabelRule]) -> dict[str, str] | None:
    """The labels after the rules, in turn; None if a rule drops the sample."""
    for rule in rules:
        if rule.action in ("keep", "drop"):
            values = (metric if name == METRIC_NAME else labels.get(name, "") for name in rule.source_labels)
            matches = rule.regex.fullmatch(rule.separator.join(values)) is not None
            if matches is (rule.action == "drop"):
                return None
        else:
            drops = rule.action == "labeldrop"
            labels = {
                name: value
                for name, value in labels.items()
                if name in OWN_LABELS or (rule.regex.fullmatch(name) is not None) is not drops
            }
    return labels
