"""/api/v1/rules and /api/v1/alerts: Bongsu's rules and alerts, as Prometheus tells its own. Grafana lists them."""

import datetime as dt
import json
from collections import defaultdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from sqlalchemy import Connection

from bongsu.alerts.alert import Alert
from bongsu.alerts.conditions import Comparison, Function, PromQLCondition, Threshold
from bongsu.alerts.fields import ms
from bongsu.alerts.rules import Rule
from bongsu.alerts.watched import BONGSU
from bongsu.server.alerts.queries.alerts import active_alerts
from bongsu.server.alerts.queries.evaluations import load_evaluations
from bongsu.server.alerts.queries.rules import StoredRule, load_rules
from bongsu.server.api.access import Viewer
from bongsu.server.api.answers import json_response
from bongsu.server.api.dependencies import ServicesDep
from bongsu.server.auth.principal import Principal
from bongsu.server.history.promql.selection import INSTANCE, SERVER
from bongsu.server.services import Services

router = APIRouter(prefix="/api/v1", tags=["PromQL"])

_CONTENT: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"schema": {"type": "object"}}}}}
# Rules are evaluated together.
_GROUP = "bongsu"


@router.get(
    "/alerts",
    operation_id="promql_alerts",
    summary="List active alerts as Prometheus does",
    response_class=Response,
    responses=_CONTENT,
)
async def alerts(services: ServicesDep, user: Viewer) -> Response:
    """The pending and firing alerts. `GET /api/alerts/active` tells more."""
    listed, _, _ = await _read(services, user)
    return json_response({"status": "success", "data": {"alerts": [_alert(alert) for alert in listed]}})


@router.get(
    "/rules",
    operation_id="promql_rules",
    summary="List alert rules as Prometheus does",
    response_class=Response,
    responses=_CONTENT,
)
async def rules(
    services: ServicesDep,
    user: Viewer,
    type: Annotated[Literal["alert", "record"] | None, Query(description="`record`: there are none in Bongsu.")] = None,
) -> Response:
    """The enabled rules, as one group, with their active alerts. `query` describes a condition that is no PromQL."""
    listed, stored, evaluated_ms = await _read(services, user)
    by_rule: dict[int, list[Alert]] = defaultdict(list)
    for alert in listed:
        by_rule[alert.rule_id].append(alert)
    shown = [_rule(each, by_rule[each.id], evaluated_ms) for each in stored if each.rule.enabled]
    groups: list[dict[str, Any]] = []
    if shown and type != "record":
        groups = [
            {
                "name": _GROUP,
                "file": "",
                "interval": 10,
                "limit": 0,
                "rules": shown,
                "evaluationTime": 0,
                "lastEvaluation": _rfc_3339(evaluated_ms),
            }
        ]
    return json_response({"status": "success", "data": {"groups": groups}})


async def _read(services: Services, user: Principal) -> tuple[list[Alert], list[StoredRule], int]:
    def read(connection: Connection) -> tuple[list[Alert], list[StoredRule], int]:
        evaluated_ms = min((each.evaluated_ms for each in load_evaluations(connection)), default=0)
        return active_alerts(connection), load_rules(connection), evaluated_ms

    found, stored, evaluated_ms = await services.database.read(read)
    visible = set(user.view(services.registry).by_id) | (set() if user.restricted else {BONGSU})
    return [alert for alert in found if alert.server_id in visible], stored, evaluated_ms


def _rfc_3339(time_ms: int) -> str:
    return dt.datetime.fromtimestamp(time_ms / 1000, dt.UTC).isoformat().replace("+00:00", "Z")


def _alert(alert: Alert) -> dict[str, Any]:
    labels = {
        "alertname": alert.rule_name,
        "severity": alert.severity.value,
        INSTANCE: alert.server_name,
        SERVER: str(alert.server_id),
        "series": alert.series,
    }
    return {
        "labels": {name: text for name, text in labels.items() if text},
        "annotations": {},
        "state": alert.state,
        "activeAt": _rfc_3339(alert.since_ms),
        "value": "" if alert.value is None else f"{alert.value:g}",
    }


def _rule(stored: StoredRule, active: list[Alert], evaluated_ms: int) -> dict[str, Any]:
    rule = stored.rule
    states = {alert.state for alert in active}
    return {
        "type": "alerting",
        "name": rule.name,
        "query": condition_text(rule),
        "duration": ms(rule.for_) / 1000,
        "keepFiringFor": ms(rule.recover_for) / 1000,
        "labels": {"severity": rule.severity.value},
        "annotations": {
            name: text for name, text in (("description", rule.description), ("runbook_url", rule.runbook)) if text
        },
        "alerts": [_alert(alert) for alert in active],
        "health": "ok",
        "lastError": "",
        "state": next((state for state in ("firing", "pending") if state in states), "inactive"),
        "evaluationTime": 0,
        "lastEvaluation": _rfc_3339(evaluated_ms),
    }


_OVER_TIME = {
    Function.AVG: "avg_over_time",
    Function.MIN: "min_over_time",
    Function.MAX: "max_over_time",
    Function.SUM: "sum_over_time",
    Function.LAST: "last_over_time",
    Function.INCREASE: "increase",
    Function.RATE: "rate",
}


def condition_text(rule: Rule) -> str:
    """The condition in the manner of PromQL; as JSON if it is nothing that PromQL has."""
    condition = rule.condition
    if isinstance(condition, Threshold):
        return " and ".join(
            _comparison(comparison, condition if comparison is condition else None)
            for comparison in condition.comparisons
        )
    if isinstance(condition, PromQLCondition):
        if condition.value is None:
            return condition.query
        return f"({condition.query}) {condition.operator.value} {condition.value:g}"
    return json.dumps(rule.document()["condition"], ensure_ascii=False)


def _comparison(comparison: Comparison, selecting: Threshold | None) -> str:
    matchers = [] if selecting is None else [f'{name}=~"{_pattern(text)}"' for name, text in selecting.labels.items()]
    if selecting is not None:
        matchers += [f'{name}!~"{_pattern(text)}"' for name, text in selecting.without_labels.items()]
    labels = f"{{{', '.join(matchers)}}}" if matchers else ""
    function, window = _OVER_TIME[comparison.function], comparison.window
    text = f"{function}({comparison.metric}{labels}[{window}])"
    if comparison.per is not None:
        text += f" / {function}({comparison.per}[{window}])"
    return f"{text} {comparison.operator.value} {comparison.value:g}"


def _pattern(shell: str) -> str:
    """A shell pattern as a regular expression."""
    return "".join({"*": ".*", "?": "."}.get(character, _escaped(character)) for character in shell)


def _escaped(character: str) -> str:
    return f"\\\\{character}" if character in ".+()|^$\\{}" else character
