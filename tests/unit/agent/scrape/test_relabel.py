"""Labels of targets, and rules."""

import re

import pytest

from bongsu.agent.scrape.relabel import relabelled, with_target_labels
from bongsu.agent.scrape_config import RelabelRule


def rule(action: str, regex: str, *source_labels: str) -> RelabelRule:
    return RelabelRule(action, re.compile(regex), source_labels or ("__name__",))


def test_labels_of_the_target_are_added_and_win() -> None:
    labels = [("job", "theirs"), ("a", "1"), ("empty", ""), ("exported_job", "older"), ("instance", "")]
    assert with_target_labels(labels, {"job": "node", "instance": "h:1"}) == {
        "a": "1",
        "exported_job": "older",
        "exported_exported_job": "theirs",
        "job": "node",
        "instance": "h:1",
    }


LABELS = {"job": "node", "instance": "h:1", "fstype": "tmpfs", "device": "sda"}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param([rule("drop", "go_.*")], LABELS, id="another metric is not dropped"),
        pytest.param([rule("drop", "node_.*")], None, id="drop by name"),
        pytest.param([rule("drop", "node")], LABELS, id="a regex must match all of the text"),
        pytest.param([rule("keep", "node_.*")], LABELS, id="keep by name"),
        pytest.param([rule("keep", "go_.*")], None, id="what is not kept is dropped"),
        pytest.param([rule("drop", "tmpfs|overlay", "fstype")], None, id="drop by label"),
        pytest.param([rule("drop", "tmpfs;sda", "fstype", "device")], None, id="several labels are joined"),
        pytest.param([rule("keep", ".+", "absent")], None, id="an absent label is empty"),
        pytest.param(
            [rule("labeldrop", "fs.*|job|instance")],
            {"job": "node", "instance": "h:1", "device": "sda"},
            id="job and instance stay",
        ),
        pytest.param(
            [rule("labelkeep", "device")],
            {"job": "node", "instance": "h:1", "device": "sda"},
            id="labelkeep keeps only these",
        ),
        pytest.param(
            [rule("labeldrop", "fstype"), rule("drop", "tmpfs", "fstype")],
            {"job": "node", "instance": "h:1", "device": "sda"},
            id="rules apply in turn",
        ),
    ],
)
def test_rules(rules: list[RelabelRule], expected: dict[str, str] | None) -> None:
    assert relabelled("node_filesystem_files", dict(LABELS), rules) == expected
