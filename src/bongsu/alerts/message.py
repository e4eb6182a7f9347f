"""Builds the content of a notification in the language of its channel; channels format it."""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bongsu.alerts.alert import Alert, Event
from bongsu.alerts.conditions import (
    Change,
    Comparison,
    Forecast,
    Function,
    NoData,
    Operator,
    PromQLCondition,
    ServerDown,
    Threshold,
)
from bongsu.alerts.fields import zone_of
from bongsu.alerts.rules import Rule, Severity
from bongsu.alerts.texts import TEXTS, Language
from bongsu.alerts.texts.numbers import localised
from bongsu.alerts.watched import BONGSU
from bongsu.core.samples import Container, Process
from bongsu.core.text import visible
from bongsu.core.units import format_bytes, format_duration, unit_of_metric

MOST_PROCESSES = 5
MOST_CONTAINERS = 5
# Alerts after the first that a message lists.
MOST_OTHERS = 10


@dataclass(frozen=True, slots=True)
class Explanation:
    """What helps to understand an alert. ``trend``: change of the metric per hour; None: unknown."""

    unit: str = ""
    trend: float | None = None
    processes: Sequence[Process] = ()
    processes_ms: int | None = None
    chart: bytes | None = None
    containers: Sequence[Container] = ()
    containers_ms: int | None = None


@dataclass(slots=True)
class Message:
    """The content of a notification. ``facts``: labels and texts. ``chart``: a PNG.

    ``time_ms``: when it was queued. ``sent_ms``: when this attempt to send it began. ``delivered``: the recipients that
    have it already; channels that send to each recipient leave them out, and add those that accept it.
    """

    id: str
    event: Event
    language: Language
    severity: Severity
    title: str
    summary: str
    time_ms: int
    facts: list[tuple[str, str]] = field(default_factory=list)
    processes: list[tuple[str, str, str]] = field(default_factory=list)
    processes_title: str = ""
    others: list[str] = field(default_factory=list)
    description: str = ""
    url: str = ""
    acknowledge_url: str = ""
    runbook: str = ""
    chart: bytes | None = None
    repeated: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    sent_ms: int = 0
    delivered: list[str] = field(default_factory=list)
    containers: list[tuple[str, str, str]] = field(default_factory=list)
    containers_title: str = ""

    def text(self, key: str) -> str:
        """A fixed text in the message's language."""
        return TEXTS[self.language][key]

    @property
    def links(self) -> list[tuple[str, str]]:
        """(key of the text, URL) of each link that the message has."""
        links = (("open", self.url), ("acknowledge", self.acknowledge_url), ("runbook", self.runbook))
        return [(name, url) for name, url in links if url]

    @property
    def culprits(self) -> list[tuple[str, list[tuple[str, str, str]]]]:
        """Title and rows (name, CPU, memory) of each list of what may be the cause."""
        lists = [(self.containers_title, self.containers), (self.processes_title, self.processes)]
        return [(title, rows) for title, rows in lists if rows]

    @property
    def plain(self) -> str:
        """The whole message as plain text."""
        lines = [self.title, "", self.summary]
        if self.repeated:
            lines.append(self.text("repeated"))
        lines += ["", *(f"{label}: {value}" for label, value in self.facts)]
        for title, rows in self.culprits:
            lines += ["", title, *(f"  {name}  CPU {cpu}  {memory}" for name, cpu, memory in rows)]
        if self.others:
            lines += ["", self.text("others"), *(f"  {other}" for other in self.others)]
        if self.description:
            lines += ["", self.description]
        lines += ["", *(f"{self.text(name)}: {url}" for name, url in self.links)]
        return "\n".join(lines).rstrip() + "\n"


def format_value(value: float | None, unit: str) -> str:
    """The value with its unit: percent, binary units, durations."""
    if value is None:
        return "-"
    if unit == "ratio":
        return f"{value * 100:.3g} %" if abs(value) < 0.1 else f"{value * 100:.1f} %"
    if unit == "bytes":
        return format_bytes(value)
    if unit == "seconds":
        return f"{value:.3g} s" if abs(value) < 10 else ("-" if value < 0 else "") + format_duration(abs(value))
    return f"{value:,.4g}" if abs(value) < 1e6 else f"{value:,.0f}"


def format_time(time_ms: int, zone: str) -> str:
    """``2026-07-31 03:12:04 KST``."""
    moment = dt.datetime.fromtimestamp(time_ms / 1000, zone_of(zone))
    return moment.strftime("%Y-%m-%d %H:%M:%S ") + (moment.tzname() or zone)


def value_unit(rule: Rule, unit: str) -> str:
    """The unit of the values that a rule compares, for a metric with ``unit``."""
    condition = rule.condition
    if isinstance(condition, Forecast | ServerDown | NoData):
        return "seconds"
    if isinstance(condition, Change) and condition.relative:
        return "ratio"
    return _compared_unit(condition, unit) if isinstance(condition, Threshold) else unit


def _compared_unit(comparison: Comparison, unit: str) -> str:
    """A quotient of one unit is a ratio. One of two counts, such as the load per core, stays a number."""
    return "ratio" if comparison.per is not None and unit and unit_of_metric(comparison.per) == unit else unit


def _compared(comparison: Comparison, value: float | None, unit: str) -> str:
    text = format_value(value, _compared_unit(comparison, unit))
    # Of two rates, the quotient is none.
    rate = comparison.function is Function.RATE and not (comparison.per or "").endswith("_total")
    return f"{text}/s" if rate and value is not None else text


def _value(rule: Rule, value: float | None, unit: str, language: Language) -> str:
    if isinstance(rule.condition, Threshold):
        return localised(_compared(rule.condition, value, unit), language)
    return localised(format_value(value, value_unit(rule, unit)), language)


def _conditions(condition: Threshold) -> list[str]:
    """What must hold as well, as text: written as in rules, the same in every language."""
    lines = []
    for comparison in condition.and_:
        parts = [comparison.metric]
        if comparison.per is not None:
            parts.append(f"/ {comparison.per}")
        if comparison.function is not Function.LAST:
            parts.append(f"({comparison.function.value} {comparison.window})")
        value = _compared(comparison, comparison.value, unit_of_metric(comparison.metric))
        lines.append(" ".join([*parts, comparison.operator.value, value]))
    return lines


def _problem(alert: Alert) -> str:
    """The code of the problem that an alert about Bongsu itself is about."""
    found = re.search(r'code="(\w+)"', alert.series)
    return found[1] if found else alert.series


def _other(alert: Alert, first: Alert, rule: Rule, unit: str, language: Language) -> str:
    """A line about a further alert, without what it shares with the first."""
    if alert.server_id == BONGSU:
        return summarise(alert, rule, unit, Event.FIRED, language)
    if alert.rule_id != first.rule_id:
        return f"{alert.rule_name}: {alert.server_name} {alert.series}".rstrip()
    labels = alert.series.removeprefix(first.series.partition("{")[0]) if alert.series != first.series else ""
    return f"{alert.server_name} {labels}".rstrip() + f": {_value(rule, alert.value, unit, language)}"


def summarise(alert: Alert, rule: Rule, unit: str, event: Event, language: Language) -> str:
    """One sentence: the value and the threshold, or why the alert resolved."""
    texts = TEXTS[language]
    if event is Event.RESOLVED:
        return texts[f"resolved_{alert.reason}"] if f"resolved_{alert.reason}" in texts else texts["resolved_recovered"]
    condition = rule.condition
    if alert.server_id == BONGSU:
        code = _problem(alert)
        return texts.get(f"problem_{code}", texts["problem"].format(code=code))
    value = _value(rule, alert.value, unit, language)
    threshold = _value(rule, alert.threshold, unit, language)
    if alert.no_data:
        return texts["no_data"].format(after=localised(rule.no_data.after, language))
    if isinstance(condition, ServerDown):
        return texts["server_down"].format(value=value, threshold=threshold)
    if isinstance(condition, NoData):
        return texts["silent_series"].format(value=value, threshold=threshold)
    if isinstance(condition, Forecast):
        target = localised(format_value(condition.value, unit), language)
        return texts["forecast"].format(left=value, target=target, within=localised(condition.within, language))
    if isinstance(condition, PromQLCondition):
        key = "promql" if condition.value is None else "promql_threshold"
        return texts[key].format(value=value, threshold=threshold)
    key = "over" if condition.operator in (Operator.OVER, Operator.AT_LEAST) else "under"
    if isinstance(condition, Change):
        return texts[f"change_{key}"].format(value=value, threshold=threshold, over=localised(condition.over, language))
    function = texts[condition.function.value].format(window=localised(condition.window, language))
    return texts[key].format(function=function, value=value, threshold=threshold)


def build(
    alerts: Sequence[Alert],
    rule: Rule,
    explanation: Explanation,
    *,
    notification_id: int,
    event: Event,
    language: Language,
    zone: str,
    now_ms: int,
    public_url: str,
    acknowledge_url: str = "",
    repeated: bool = False,
    sent_ms: int | None = None,
) -> Message:
    """The message of a notification: details of the first alert, and a line for each of the others. ``now_ms``: when it
    was queued. ``sent_ms``: when it is sent, if that is later.

    Its link opens the page of the first alert's server.
    """
    texts = TEXTS[language]
    # Stored texts may be older than the rule that no name has a line break.
    alerts = [replace(alert, server_name=visible(alert.server_name), series=visible(alert.series)) for alert in alerts]
    first = alerts[0]
    more = len(alerts) - 1
    label = texts["repeated_event" if event is Event.REPEATED else event.value]
    title = f"[{label}] {first.rule_name}: {first.server_name}"
    if more:
        title += texts["and_more"].format(count=more)
    unit = explanation.unit
    facts = [(texts["server"], first.server_name)]
    condition = rule.condition
    own = first.server_id == BONGSU
    if first.series and not own:
        per = condition.per if isinstance(condition, Threshold) else None
        facts.append((texts["metric"], f"{first.series} / {per}" if per else first.series))
    if not own:
        facts.append((texts["value"], _value(rule, first.value, unit, language)))
        if not isinstance(condition, PromQLCondition) or condition.value is not None:
            facts.append((texts["threshold"], _value(rule, first.threshold, unit, language)))
    if isinstance(condition, PromQLCondition):
        facts.append((texts["query"], visible(condition.query)))
    if isinstance(condition, Threshold):
        facts += [(texts["and"], text) for text in _conditions(condition)]
    facts += [
        (texts["severity"], texts[first.severity.value]),
        (texts["since"], format_time(first.since_ms, zone)),
    ]
    end_ms = first.resolved_ms if event is Event.RESOLVED and first.resolved_ms else now_ms
    facts.append((texts["lasted"], localised(format_duration((end_ms - first.since_ms) / 1000), language)))
    if explanation.trend is not None:
        sign = "+" if explanation.trend >= 0 else "-"
        change = localised(format_value(abs(explanation.trend), unit), language)
        facts.append((texts["trend"], f"{sign}{change} {texts['an_hour']}"))
    if first.flapping:
        facts.append((texts["flapping"], texts["flapping_means"]))
    if event is Event.ESCALATED:
        facts.append((texts["escalation"], texts["escalation_step"].format(step=first.escalated)))

    def row(name: str, culprit: Process | Container) -> tuple[str, str, str]:
        memory = localised(format_bytes(culprit.memory_bytes), language)
        return visible(name), f"{culprit.cpu_ratio * 100:.0f} %", memory

    processes = [row(process.name, process) for process in list(explanation.processes)[:MOST_PROCESSES]]
    containers = [row(_with_state(one), one) for one in list(explanation.containers)[:MOST_CONTAINERS]]
    others = [_other(alert, first, rule, unit, language) for alert in alerts[1 : MOST_OTHERS + 1]]
    if more > MOST_OTHERS:
        others.append(texts["more"].format(count=more - MOST_OTHERS))
    page = "health" if own else f"servers/{first.server_id}"
    url = f"{public_url.rstrip('/')}/{page}" if public_url else ""
    return Message(
        f"bongsu-{notification_id}",
        event,
        language,
        first.severity,
        title,
        summarise(first, rule, unit, event, language),
        now_ms,
        facts,
        processes,
        texts["processes"].format(time=format_time(explanation.processes_ms, zone)) if explanation.processes_ms else "",
        others,
        rule.description,
        url,
        acknowledge_url if event is not Event.RESOLVED else "",
        rule.runbook,
        explanation.chart,
        repeated,
        {"rule": first.rule_name, "server": first.server_name, "series": first.series},
        now_ms if sent_ms is None else sent_ms,
        containers=containers,
        containers_title=(
            texts["containers"].format(time=format_time(explanation.containers_ms, zone))
            if explanation.containers_ms
            else ""
        ),
    )


def _with_state(container: Container) -> str:
    """The name, and what is not as it should be, in the words of Docker, which are the same in every language."""
    state = f"{container.state} ({container.exit_code})" if container.state == "exited" else container.state
    words = [
        state if state != "running" else "",
        container.health if container.health != "healthy" else "",
        f"OOM x{container.oom_kills}" if container.oom_kills else "",
        f"restarts x{container.restarts}" if container.restarts else "",
    ]
    told = ", ".join(filter(None, words))
    return f"{container.name} [{told}]" if told else container.name


def build_test(channel: str, language: Language, zone: str, now_ms: int, public_url: str) -> Message:
    """The message that the test of a channel sends."""
    texts = TEXTS[language]
    return Message(
        f"bongsu-test-{now_ms}",
        Event.TEST,
        language,
        Severity.INFO,
        f"[{texts['test']}] {channel}",
        texts["test_summary"],
        now_ms,
        [(texts["channel"], channel), (texts["time"], format_time(now_ms, zone))],
        url=public_url,
        sent_ms=now_ms,
    )
