"""/api/alerts/rules: alert rules, their export and preview."""

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, Field
from sqlalchemy import Connection
from starlette.responses import PlainTextResponse

from bongsu.alerts.checks import check_rule
from bongsu.alerts.conditions import PromQLCondition
from bongsu.alerts.notes import Note
from bongsu.alerts.rules import Rule
from bongsu.alerts.rules_file import dump_rules
from bongsu.alerts.watched import WatchedServer
from bongsu.core.errors import InvalidInput
from bongsu.server.alerts.preview import Preview, run_preview
from bongsu.server.alerts.promql_rules import check_named, covered, keys_and_values, names_in
from bongsu.server.alerts.queries.channels import load_channels
from bongsu.server.alerts.queries.rules import (
    StoredRule,
    add_rule,
    change_rule,
    delete_rule,
    find_rule,
    load_rules,
    rule_document,
)
from bongsu.server.api.access import Operator, Viewer
from bongsu.server.api.dependencies import RowId, ServicesDep
from bongsu.server.api.timerange import parse_range
from bongsu.server.auth.audit import record
from bongsu.server.history.promql.engine import PromQuery
from bongsu.server.services import Services

router = APIRouter(prefix="/api/alerts/rules", tags=["alerts"])


class RuleInfo(BaseModel):
    """A stored rule."""

    id: int
    rule: Rule
    from_file: bool = Field(description="It was imported from a rules file.")
    edited: bool = Field(description="It was imported and then changed by a person; imports no longer change it.")
    created_ms: int
    updated_ms: int
    warnings: list[str] = Field(description="Likely mistakes in the rule.")
    notes: list[Note] = Field(description="The warnings, for translation.")


class Rules(BaseModel):
    """All rules."""

    rules: list[RuleInfo]


class PreviewRequest(BaseModel):
    """A rule, which need not be stored, and the range to run it over."""

    rule: Rule
    start: str = Field("-24h", description="Unix ms, ISO 8601, or relative: -6h, -7d.")
    end: str = Field("now", description="As `start`; not included in the range.")


async def _warnings(services: Services, rule: Rule, before: Rule | None = None) -> list[Note]:
    """Raises InvalidInput if the rule cannot work."""
    if isinstance(rule.condition, PromQLCondition):
        await _check_promql(services, rule, rule.condition)
    states = services.registry.in_service().by_id.values()
    servers = [
        WatchedServer(state.record.id, state.record.agent.name, state.record.tags, state.interval_ms, 0)
        for state in states
    ]
    layouts = {state.record.id: list(state.layouts.values()) for state in states}
    channels = {stored.name for stored in await services.database.read(load_channels)}
    return check_rule(rule, servers, layouts, channels, before=before)


async def _check_promql(services: Services, rule: Rule, condition: PromQLCondition) -> None:
    """Raises InvalidInput if the query cannot be answered, or its answer names no servers."""
    asked, now_ms = covered(services.registry, rule.scope), services.clock.now_ms()
    try:
        answer = await services.promql.run(PromQuery(condition.query, now_ms, now_ms), asked)
        check_named(key for key, _, _ in keys_and_values(answer, names_in(asked)))
    except InvalidInput as error:
        raise InvalidInput(error.message, code=error.code, field="condition.query", limit=error.limit) from None


def _before(connection: Connection, rule_id: int) -> Rule | None:
    """The stored rule; None if this version cannot read it. Raises NotFound if there is no such rule."""
    try:
        return find_rule(connection, rule_id).rule
    except InvalidInput:
        return None


def _facts(rule: Rule) -> dict[str, Any]:
    return rule.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _info(stored: StoredRule, warnings: list[Note]) -> RuleInfo:
    return RuleInfo(
        id=stored.id,
        rule=stored.rule,
        from_file=bool(stored.imported),
        edited=stored.edited,
        created_ms=stored.created_ms,
        updated_ms=stored.updated_ms,
        warnings=[warning.text for warning in warnings],
        notes=warnings,
    )


@router.get("", operation_id="list_alert_rules", summary="List rules")
async def rules(services: ServicesDep, user: Viewer) -> Rules:
    """Lists rules by name. `warnings` are empty here; they are returned when a rule is created or changed."""
    return Rules(rules=[_info(stored, []) for stored in await services.database.read(load_rules)])


@router.get(
    "/export",
    operation_id="export_alert_rules",
    summary="Export rules as YAML",
    response_class=PlainTextResponse,
    responses={200: {"content": {"application/yaml": {}}}},
)
async def export(services: ServicesDep, user: Viewer) -> PlainTextResponse:
    """Exports all rules in the format of `config/alerts.yml`, which `bongsu rules import` reads."""
    stored_rules = await services.database.read(load_rules)
    text = dump_rules([stored.rule for stored in stored_rules])
    return PlainTextResponse(text, media_type="application/yaml")


@router.post("", operation_id="create_alert_rule", summary="Create a rule", status_code=201)
async def create(services: ServicesDep, user: Operator, rule: Rule) -> RuleInfo:
    """Refuses a name that is taken and a rule that cannot work: an unknown metric, more than 10,000 series."""
    user.check_sees_all()
    warnings = await _warnings(services, rule)
    now_ms = services.clock.now_ms()

    def add(connection: Connection) -> StoredRule:
        stored = find_rule(connection, add_rule(connection, rule, now_ms))
        record(connection, now_ms, user, "rule.create", f"rule {stored.id}", after=_facts(rule))
        return stored

    return _info(await services.database.write(add), warnings)


@router.post("/preview", operation_id="preview_alert_rule", summary="Preview a rule")
async def preview(services: ServicesDep, user: Operator, request: Annotated[PreviewRequest, Body()]) -> Preview:
    """Runs a rule over stored history with the engine of the worker, and returns the alerts that it would have fired.
    The rule need not be stored. A preview covers at most 31 days with 1,500 evaluations, so over a long range it
    evaluates less often than the worker."""
    user.check_sees_all()
    warnings = await _warnings(services, request.rule)
    start_ms, end_ms = parse_range(request.start, request.end, services.clock.now_ms())
    return await run_preview(
        services.history, services.promql, services.registry, request.rule, start_ms, end_ms, warnings
    )


@router.get("/{id}", operation_id="get_alert_rule", summary="Get a rule")
async def get(services: ServicesDep, user: Viewer, id: RowId) -> RuleInfo:
    """`warnings` are empty here; they are returned when a rule is created or changed."""
    return _info(await services.database.read(lambda connection: find_rule(connection, id)), [])


@router.put("/{id}", operation_id="change_alert_rule", summary="Change a rule")
async def change(services: ServicesDep, user: Operator, id: RowId, rule: Rule) -> RuleInfo:
    """Replaces the rule. Alerts of series that it no longer covers end; other alerts continue."""
    user.check_sees_all()
    warnings = await _warnings(services, rule, await services.database.read(lambda connection: _before(connection, id)))
    now_ms = services.clock.now_ms()

    def store(connection: Connection) -> StoredRule:
        before = rule_document(connection, id)
        change_rule(connection, id, rule, now_ms)
        record(connection, now_ms, user, "rule.update", f"rule {id}", before=before, after=_facts(rule))
        return find_rule(connection, id)

    return _info(await services.database.write(store), warnings)


@router.delete("/{id}", operation_id="delete_alert_rule", summary="Delete a rule", status_code=204)
async def delete(services: ServicesDep, user: Operator, id: RowId) -> None:
    """Ends its alerts. A rule that was imported from a file stays deleted after a restart."""
    user.check_sees_all()
    now_ms = services.clock.now_ms()

    def store(connection: Connection) -> None:
        before = rule_document(connection, id)
        delete_rule(connection, id, now_ms)
        record(connection, now_ms, user, "rule.delete", f"rule {id}", before=before)

    await services.database.write(store)
