"""Who is told when: what each stage holds back, and why."""

import pytest

from bongsu.alerts.alert import Alert, Event
from bongsu.alerts.pipeline import GROUP_WAIT_MS, ChannelRoute, Context, offers_for, run
from bongsu.alerts.rules import Rule, Severity
from bongsu.alerts.rules_file import parse_rule
from bongsu.alerts.silences import Silence

NOW = 1_750_000_000_000
MINUTE = 60_000
HOOK, BOSS, DEFAULT = ChannelRoute(1, "hook"), ChannelRoute(2, "boss"), ChannelRoute(3, "mail", default=True)


def a_rule(**changes: object) -> Rule:
    document = {
        "name": "CPU",
        "condition": {"type": "threshold", "metric": "m", "value": 1},
        "channels": ["hook"],
        "escalation": [{"after": "15m", "channels": ["boss"]}, {"after": "1h", "channels": ["boss"]}],
    }
    return parse_rule(document | changes)


def an_alert(**changes: object) -> Alert:
    alert = Alert(7, 1, "CPU", Severity.WARNING, 3, 1, "web-1", "m", "firing", "breach", NOW, NOW)
    alert.escalates_from_ms = NOW
    for name, value in changes.items():
        setattr(alert, name, value)
    return alert


def told(alert: Alert, rule: Rule, now_ms: int, *channels: ChannelRoute, **more: object) -> list[str]:
    """The messages, each as ``event channel``, and the outcomes of the stages that held something back."""
    context = Context(now_ms, {channel.name: channel for channel in channels}, **more)  # type: ignore[arg-type]
    messages = run(offers_for([alert], {1: rule}, now_ms), context)
    return [f"{message.draft.event} {message.draft.channel_name}" for message in messages] + [
        f"{decision.stage} {decision.outcome}" for decision in context.decisions if decision.stage != "send"
    ]


@pytest.mark.parametrize(
    ("minute", "changes", "expected"),
    [
        pytest.param(0, {}, ["fired hook"], id="it fires"),
        pytest.param(14, {"notified_ms": NOW}, [], id="before the first step"),
        pytest.param(15, {"notified_ms": NOW}, ["escalated boss"], id="the first step"),
        pytest.param(59, {"notified_ms": NOW, "escalated": 1}, [], id="before the second step"),
        pytest.param(60, {"notified_ms": NOW, "escalated": 1}, ["escalated boss"], id="the second step"),
        pytest.param(60, {"notified_ms": NOW, "escalated": 2}, [], id="no more steps"),
        pytest.param(60, {"notified_ms": NOW, "acknowledged_ms": NOW}, [], id="somebody acknowledged it"),
        pytest.param(60, {"notified_ms": NOW, "escalates_from_ms": NOW + 50 * MINUTE}, [], id="it was held back for 50 m"),
        pytest.param(240, {"notified_ms": NOW, "escalated": 2}, ["repeated hook"], id="the repeat interval"),
    ],
)  # fmt: skip
def test_when_a_firing_alert_is_told(minute: int, changes: dict, expected: list[str]) -> None:
    assert told(an_alert(**changes), a_rule(), NOW + minute * MINUTE, HOOK, BOSS) == expected


@pytest.mark.parametrize(
    ("channels", "rule", "expected"),
    [
        pytest.param([HOOK, DEFAULT], {}, ["fired hook"], id="the channel that the rule names"),
        pytest.param([DEFAULT], {}, ["fired mail", "route some left out"], id="it is gone: the default channels"),
        pytest.param([HOOK, DEFAULT], {"channels": ["gone", "hook"]}, ["fired hook", "route some left out"], id="one of two is left"),
        pytest.param([ChannelRoute(1, "hook", enabled=False), DEFAULT], {}, ["route nobody to tell"], id="disabled is a decision of a person"),
        pytest.param([BOSS], {}, ["route nobody to tell"], id="no default channel"),
    ],
)  # fmt: skip
def test_whom_it_is_told_to(channels: list[ChannelRoute], rule: dict, expected: list[str]) -> None:
    assert told(an_alert(), a_rule(**rule), NOW, *channels) == expected


def test_an_escalation_does_not_wait_for_a_first_notification_that_nobody_takes() -> None:
    assert told(an_alert(), a_rule(), NOW + 15 * MINUTE, BOSS) == ["escalated boss", "route nobody to tell"]


def test_a_silence_holds_back_all_but_the_end() -> None:
    silences = {5: Silence(ends_ms=NOW + MINUTE)}
    assert told(an_alert(), a_rule(), NOW, HOOK, silences=silences) == ["silence held back"]
    ended = an_alert(state="resolved", notified_ms=NOW, owes=True)
    assert told(ended, a_rule(), NOW, HOOK, silences=silences) == ["resolved hook"]


@pytest.mark.parametrize(
    ("event", "ago", "changes", "expected"),
    [
        pytest.param(Event.FIRED, 10_000, {}, ["wait held back"], id="its group was told 10 s ago"),
        pytest.param(Event.FIRED, GROUP_WAIT_MS, {}, ["fired hook"], id="its group has waited"),
        pytest.param(Event.RESOLVED, 10_000, {}, ["fired hook"], id="that was another event"),
        pytest.param(Event.RESOLVED, 10_000, {"state": "resolved", "notified_ms": NOW, "owes": True}, ["wait held back"], id="ends wait for each other as well"),
    ],
)  # fmt: skip
def test_alerts_of_a_group_wait_for_each_other(event: Event, ago: int, changes: dict, expected: list[str]) -> None:
    assert told(an_alert(**changes), a_rule(), NOW, HOOK, told={(event, "rule 1"): NOW - ago}) == expected
