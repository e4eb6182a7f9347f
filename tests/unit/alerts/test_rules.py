"""Rules: what is refused and why, YAML without loss, scopes and label filters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bongsu.alerts.rules import Rule, Scope
from bongsu.alerts.rules_file import dump_rules, parse_rule, parse_rules
from bongsu.core.errors import InvalidInput
from bongsu.core.series import Series

CPU = {"type": "threshold", "metric": "cpu_usage_ratio", "value": 0.9}


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        pytest.param({"name": ""}, "rule.name", "at least 1", id="an empty name"),
        pytest.param({"name": "a\nb"}, "rule.name", "pattern", id="a name with a line break"),
        pytest.param({"severty": "info"}, "rule.severty", "Extra", id="a misspelled key"),
        pytest.param({"for": "5"}, "rule.for", "no unit", id="a duration without a unit"),
        pytest.param({"for": "2d"}, "rule", "longer than a day", id="for of two days"),
        pytest.param({"repeat": "1m"}, "rule", "at least 5m", id="a repeat interval of a minute"),
        pytest.param({"runbook": "javascript:alert(1)"}, "rule.runbook", "pattern", id="a runbook that is not a web page"),
        pytest.param({"condition": CPU | {"window": "7h"}}, "rule.condition.threshold", "1s to 6h", id="a window that is too long"),
        pytest.param({"condition": CPU | {"window": "0s"}}, "rule.condition.threshold", "1s to 6h", id="an empty window"),
        pytest.param({"condition": CPU | {"recovery": 0.95}}, "rule.condition.threshold", "above value", id="a recovery above the value"),
        pytest.param({"condition": CPU | {"operator": "<", "recovery": 0.5}}, "rule.condition.threshold", "below value", id="a recovery below the value, for <"),
        pytest.param({"condition": CPU | {"value": float("nan")}}, "rule.condition.threshold.value", "finite", id="NaN"),
        pytest.param({"condition": CPU | {"metric": "a b"}}, "rule.condition.threshold.metric", "pattern", id="an invalid metric name"),
        pytest.param({"condition": {"type": "change", "metric": "m", "value": 1, "window": "5m", "over": "1m"}}, "rule.condition.change", "overlap", id="windows that overlap"),
        pytest.param({"condition": {"type": "forecast", "metric": "m", "value": 1, "history": "1m"}}, "rule.condition.forecast", "10m to 30d", id="a history that is too short"),
        pytest.param({"condition": {"type": "forecast", "metric": "m", "value": 1, "within": "24h", "recovery_within": "1h"}}, "rule.condition.forecast", "shorter", id="a recovery_within below within"),
        pytest.param({"condition": {"type": "sorcery"}}, "rule.condition", "does not match any", id="an unknown condition"),
        pytest.param({"escalation": [{"after": "30m", "channels": ["a"]}, {"after": "10m", "channels": ["b"]}]}, "rule", "later", id="escalation steps out of order"),
    ],
)  # fmt: skip
def test_invalid_rules_are_refused(change: dict, field: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as error:
        parse_rule({"name": "r", "condition": CPU} | change)
    assert error.value.field == field


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("rules: [", "not YAML", id="not YAML"),
        pytest.param("- a", "one key", id="a list"),
        pytest.param("rules: {}", "one key", id="rules is not a list"),
        pytest.param("rules: []\nother: 1", "one key", id="an unknown key"),
        pytest.param("rules: [1]", r"rules\[0\]", id="a number as a rule"),
        pytest.param("rules:\n- {name: a, condition: {type: server_down}}\n- {name: a, condition: {type: server_down}}", "two rules named", id="two rules with the same name"),
        pytest.param("rules:\n- {name: a, condition: {type: server_down}, for: x}", r"rules\[0\] \(a\)\.for", id="the error names the rule and the key"),
        pytest.param("rules: !!python/object/apply:os.system [ls]", "not YAML", id="a Python object"),
    ],
)  # fmt: skip
def test_an_invalid_file_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parse_rules(text)


@pytest.mark.parametrize("text", ["", "rules:", "rules: []"])
def test_an_empty_file_has_no_rules(text: str) -> None:
    assert parse_rules(text) == []


durations = st.sampled_from(["0s", "30s", "5m", "1.5h", "90m"])
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)
finite = st.floats(allow_nan=False, allow_infinity=False)
labels = st.dictionaries(texts, texts, max_size=2)
of_series = {"metric": st.from_regex(r"[a-z_]{1,9}", fullmatch=True), "labels": labels, "without_labels": labels}
numbers = {"operator": st.sampled_from([">", ">=", "<", "<="]), "value": finite}
functions = st.sampled_from(["avg", "min", "max", "last", "sum", "increase", "rate"])
conditions = st.one_of(
    st.fixed_dictionaries({"type": st.just("threshold"), **of_series, **numbers, "function": functions}),
    st.fixed_dictionaries({"type": st.just("change"), **of_series, **numbers, "relative": st.booleans()}),
    st.fixed_dictionaries(
        {"type": st.just("forecast"), **of_series, **numbers, "fit": st.sampled_from(["robust", "linear"])}
    ),
    st.fixed_dictionaries({"type": st.just("no_data"), **of_series}),
    st.just({"type": "server_down", "grace": "1m"}),
)
documents = st.fixed_dictionaries(
    {"name": texts, "condition": conditions},
    optional={
        "description": texts,
        "enabled": st.booleans(),
        "severity": st.sampled_from(["info", "warning", "critical"]),
        "priority": st.integers(1, 5),
        "scope": st.fixed_dictionaries({"servers": st.lists(st.integers()), "names": st.lists(texts), "tags": labels}),
        "for": durations,
        "recover_for": durations,
        "no_data": st.fixed_dictionaries({"policy": st.sampled_from(["keep", "resolve", "alert"]), "after": durations}),
        "channels": st.lists(texts, max_size=3),
        "repeat": st.sampled_from(["0s", "5m", "4h"]),
        "group_by": st.sampled_from(["rule", "server", "series"]),
        "escalation": st.just([{"after": "10m", "channels": ["a"]}]),
    },
)


@given(st.lists(documents.map(parse_rule), max_size=4, unique_by=lambda rule: rule.name))
def test_an_export_can_be_imported_without_loss(rules: list[Rule]) -> None:
    assert parse_rules(dump_rules(rules)) == rules


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        pytest.param({}, True, id="an empty scope"),
        pytest.param({"servers": [7]}, True, id="the id"),
        pytest.param({"servers": [8]}, False, id="another id"),
        pytest.param({"names": ["db-*", "WEB-*"]}, True, id="one of the patterns, in another case"),
        pytest.param({"names": ["db-*"]}, False, id="none of the patterns"),
        pytest.param({"names": ["*"], "without_names": ["web-1"]}, False, id="excluded"),
        pytest.param({"tags": {"env": "prod*"}}, True, id="a tag pattern"),
        pytest.param({"tags": {"env": "prod", "team": "*"}}, False, id="a tag that the server does not have"),
        pytest.param({"servers": [7], "names": ["db-*"]}, False, id="not all criteria match"),
    ],
)  # fmt: skip
def test_scope(scope: dict, covered: bool) -> None:
    assert Scope(**scope).covers(7, "web-1", {"env": "production"}) is covered


@pytest.mark.parametrize(
    ("filters", "selected"),
    [
        pytest.param({}, True, id="no filter"),
        pytest.param({"labels": {"mountpoint": "/data*"}}, True, id="a pattern"),
        pytest.param({"labels": {"mountpoint": "/"}}, False, id="another value"),
        pytest.param({"labels": {"device": "*"}}, False, id="a label that the series does not have"),
        pytest.param({"without_labels": {"fstype": "tmpfs"}}, True, id="not excluded"),
        pytest.param({"without_labels": {"mountpoint": "*"}}, False, id="excluded"),
    ],
)
def test_label_filters(filters: dict, selected: bool) -> None:
    rule = parse_rule({"name": "r", "condition": {"type": "threshold", "metric": "m", "value": 1} | filters})
    assert rule.selects(Series("m", (("mountpoint", "/data/1"),))) is selected
    assert not rule.selects(Series("other", (("mountpoint", "/data/1"),)))
