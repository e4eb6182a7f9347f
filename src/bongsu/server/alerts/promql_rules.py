"""PromQL as the condition of rules: evaluates the queries, and finds out whose alerts their answers are."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import Connection

from bongsu.alerts.conditions import PromQLCondition
from bongsu.alerts.ports import Report
from bongsu.alerts.rules import Rule, Scope
from bongsu.alerts.state import SeriesKey
from bongsu.arrays import Flags, Values
from bongsu.core.errors import BongsuError, InvalidInput
from bongsu.core.series import Layout
from bongsu.core.units import DAY_MS, MINUTE_MS
from bongsu.server.config import Limits
from bongsu.server.database.database import Database
from bongsu.server.fleet.foreign import server_name
from bongsu.server.fleet.registry import Registry
from bongsu.server.fleet.servers import ServerRecord, load_servers
from bongsu.server.history.decoded import DecodedRows
from bongsu.server.history.promql.engine import Answer, PromQL, PromQuery
from bongsu.server.history.promql.labels import Labels, shown, without
from bongsu.server.history.promql.selection import INSTANCE, SERVER
from bongsu.server.history.promql.values import Scalar, Vector
from bongsu.server.storage.archive import layout_ends
from bongsu.server.storage.layouts import LayoutKey, load_some_layouts

logger = logging.getLogger(__name__)

# All rules of a cycle share this time, so that slow queries never keep other alerts waiting for long.
CYCLE_SECONDS = 5.0
REFRESH_MS = MINUTE_MS
# Layouts without a sample for this long are not asked.
USED_MS = DAY_MS
MOST_SERIES = 10_000
_PER_SERVER = "Keep the label server or instance, for example with sum by (server) (...)."


class Names:
    """Finds the server that a series of an answer is about."""

    def __init__(self, servers: Iterable[tuple[int, str]]) -> None:
        """``servers``: (id, name)."""
        self._names = dict(servers)
        self._by_name = {name: server_id for server_id, name in self._names.items()}

    def key_of(self, labels: Labels) -> SeriesKey | None:
        """The server, and the other labels as text; None if the labels name no server."""
        by_name = dict(labels)
        instance = by_name.get(INSTANCE, "")
        text = by_name.get(SERVER, "")
        if text.isdecimal() and int(text) in self._names:
            server_id: int | None = int(text)
        else:
            server_id = self._by_name.get(instance) or self._by_name.get(_host(instance))
        if server_id is None:
            return None
        said = {SERVER, INSTANCE} if instance in ("", self._names[server_id]) else {SERVER}
        rest = without(labels, said)
        return SeriesKey(server_id, shown(rest) if rest else "")


def _host(instance: str) -> str:
    try:
        return server_name({INSTANCE: instance}, "")
    except InvalidInput:
        return ""


def keys_and_values(answer: Answer, names: Names) -> Iterator[tuple[SeriesKey | None, Flags, Values]]:
    """Each series of an answer: whose it is, where it is present, and its values.

    Raises:
        InvalidInput: the answer is no vector, or has too many series.
    """
    value = answer.value
    if isinstance(value, Scalar):
        raise InvalidInput(
            f"The query answers one number. {_PER_SERVER}", code="invalid_promql", field="condition.query"
        )
    if not isinstance(value, Vector):
        raise InvalidInput("The query must answer numbers.", code="invalid_promql", field="condition.query")
    if len(value.labels) > MOST_SERIES:
        raise InvalidInput(
            f"The query answers {len(value.labels):,} series; the limit is {MOST_SERIES:,}.",
            code="too_many_series",
            field="condition.query",
            limit=MOST_SERIES,
        )
    for row, labels in enumerate(value.labels):
        yield names.key_of(labels), value.present[row], value.values[row]


def check_named(keys: Iterable[SeriesKey | None]) -> None:
    """Raises InvalidInput if series name no server, so that nobody knows whose alert they are."""
    nameless = sum(key is None for key in keys)
    if nameless:
        raise InvalidInput(
            f"{nameless:,} series of the answer name no server. {_PER_SERVER}",
            code="invalid_promql",
            field="condition.query",
        )


def covered(registry: Registry, scope: Scope) -> Registry:
    """The servers in service that a rule is about."""
    return registry.only(
        lambda state: not state.retired and scope.covers(state.record.id, state.record.agent.name, state.record.tags)
    )


def names_in(registry: Registry) -> Names:
    """The names of the servers of a registry."""
    return Names((state.record.id, state.record.agent.name) for state in list(registry.by_id.values()))


class PromQLRules:
    """Answers the queries of rules for the worker, which has no registry of all servers otherwise."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._promql = PromQL(database, limits, DecodedRows())
        self._registry = Registry()
        self._layouts: dict[LayoutKey, Layout] = {}
        self._refreshed_ms: int | None = None

    async def answers(
        self, rules: Mapping[int, Rule], now_ms: int, report: Report
    ) -> Mapping[int, Mapping[SeriesKey, float]]:
        """The present answer to each rule. A rule that cannot be answered is reported, and left out."""
        found: dict[int, Mapping[SeriesKey, float]] = {}
        try:
            await self._refresh(now_ms)
        except Exception as error:
            for rule_id in rules:
                report.skipped["rule", rule_id] = f"the servers cannot be read: {type(error).__name__}"
            return found
        until = asyncio.get_running_loop().time() + CYCLE_SECONDS
        for rule_id, rule in rules.items():
            try:
                async with asyncio.timeout_at(until):
                    found[rule_id] = await self._answer(rule, now_ms)
            except TimeoutError:
                report.skipped["rule", rule_id] = f"the queries of all rules took longer than {CYCLE_SECONDS:g} s"
            except BongsuError as error:
                report.skipped["rule", rule_id] = f"its query cannot be answered: {error.message}"
            except Exception as error:
                logger.debug("rule %d cannot be answered", rule_id, exc_info=True)
                report.skipped["rule", rule_id] = f"its query cannot be answered: {type(error).__name__}"
        return found

    async def _answer(self, rule: Rule, now_ms: int) -> Mapping[SeriesKey, float]:
        assert isinstance(rule.condition, PromQLCondition)
        registry = covered(self._registry, rule.scope)
        answer = await self._promql.run(PromQuery(rule.condition.query, now_ms, now_ms), registry)
        rows = list(keys_and_values(answer, names_in(registry)))
        check_named(key for key, _, _ in rows)
        return {key: float(values[0]) for key, present, values in rows if key is not None and present[0]}

    async def _refresh(self, now_ms: int) -> None:
        if self._refreshed_ms is not None and 0 <= now_ms - self._refreshed_ms < REFRESH_MS:
            return

        def read(connection: Connection) -> tuple[list[ServerRecord], dict[LayoutKey, int]]:
            return load_servers(connection), layout_ends(connection)

        records, ends = await self._database.read(read)
        used = {key for key, end_ms in ends.items() if end_ms > now_ms - USED_MS}
        # Those with room for more series may have got some.
        complete = {key for key, layout in self._layouts.items() if len(layout.named) == len(layout.series)}
        missing = sorted(used - complete)
        loaded, _ = await self._database.read(lambda connection: load_some_layouts(connection, missing))
        self._layouts = {key: layout for key, layout in (self._layouts | loaded).items() if key in used}
        registry = Registry()
        for record in records:
            registry.add(record)
        for (server_id, _), layout in self._layouts.items():
            if server_id in registry.by_id:
                registry.by_id[server_id].add_layout(layout)
        self._registry, self._refreshed_ms = registry, now_ms
