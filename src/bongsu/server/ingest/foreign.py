"""The way of a foreign sample (one that no agent sends) to the disk, whatever protocol it came by.

Each series belongs to a server, which its labels name, and has a number there. The samples of a request become parts:
those of one server at one time. They are committed with the frames of others, and the worker makes frames of them
(``storage/assembler.py``). A sample that cannot be stored is refused and counted, and the others of its request are
stored. What is known of series is kept in memory for an hour, so that series that have ended are forgotten.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from bongsu.arrays import ABSENT, NOT_A_NUMBER, Flags, Indices, Times, Values
from bongsu.core.clock import Clock
from bongsu.core.descriptions import Description
from bongsu.core.errors import BongsuError, Forbidden, InvalidInput, TooLarge, Unauthenticated, Unavailable
from bongsu.core.liveness import LONGEST_INTERVAL_MS, SHORTEST_INTERVAL_MS
from bongsu.core.samples import AgentIdentity, HostFacts
from bongsu.core.series import Kind, Series, series_number
from bongsu.core.units import HOUR_MS
from bongsu.server.auth.principal import Writer
from bongsu.server.config import Limits
from bongsu.server.database.database import Database
from bongsu.server.fleet.changes import FleetChanges
from bongsu.server.fleet.foreign import ServersByName, agent_id_of, is_foreign, server_name
from bongsu.server.fleet.registry import Registry, ServerState
from bongsu.server.fleet.servers import ServerRecord, add_server, update_server
from bongsu.server.ingest.definitions import Labels, read_definition
from bongsu.server.ingest.descriptions import Descriptions
from bongsu.server.ingest.group_commit import GroupCommit
from bongsu.server.ingest.known import Bits, Known
from bongsu.server.storage.batches import Batch, ServerRetired, UnknownSeries
from bongsu.server.storage.floors import oldest_accepted
from bongsu.server.storage.foreign import PartRow, SeriesRow

FORGET_MS = HOUR_MS
INTERVAL_SECONDS = 10
# A request of Prometheus has samples of two or three servers and times, one after the other. If they are mixed, they
# are sorted, so that they do not make a part each.
USUAL_PARTS = 16
# A cadence that is seen differs by this much from the stored one until it is stored.
INTERVAL_SHARE = 0.25
# The name under which `server_name` takes what a sender tells apart from the labels.
_TOLD = "host.name"


@dataclass(slots=True)
class Incoming:
    """The samples of a request. ``keys``: (n,) what identifies the series of each, ``labels_of`` decodes one;
    ``times``: (n,); ``values``: (n,); ``places``: (n,) of the keys, which are not looked at then; None: not all are
    known; ``kinds``: key -> kind, and ``servers``: key -> name of the server, where the sender tells it; ``is_named``:
    whether the labels name the server of the others, which else is that of the token; ``descriptions``: of metrics."""

    keys: Sequence[bytes]
    times: Times
    values: Values
    labels_of: Callable[[bytes], Labels]
    places: Indices | None = None
    kinds: Mapping[bytes, Kind] = field(default_factory=dict)
    servers: Mapping[bytes, str] = field(default_factory=dict)
    is_named: bool = True
    descriptions: Mapping[str, Description] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    """What became of a request. ``refused``: samples by code; ``first``: why the first of them was; ``accepted``: (n,)
    which of the samples are stored."""

    accepted: Flags
    stored: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    first: BongsuError | None = None

    def refuse(self, error: BongsuError, samples: int) -> None:
        """Counts samples that are not stored."""
        self.refused[error.code] += samples
        self.first = self.first or error


class ForeignIngest:
    """Stores foreign samples. One per process."""

    def __init__(
        self,
        database: Database,
        registry: Registry,
        changes: FleetChanges,
        limits: Limits,
        clock: Clock,
        commits: GroupCommit,
        *,
        retention_ms: int,
        raw_floor_ms: Callable[[], int],
    ) -> None:
        self.refused: Counter[str] = Counter()
        self.descriptions = Descriptions(database, registry, clock)
        self._database = database
        self._registry = registry
        self._changes = changes
        self._limits = limits
        self._clock = clock
        self._commits = commits
        self._retention_ms = retention_ms
        self._raw_floor_ms = raw_floor_ms
        self._by_name = ServersByName(registry)
        self._known: dict[int, Known] = {}
        self._forgotten = registry.forgotten
        self._adding = asyncio.Lock()
        # The servers that requests wait for, and the tags that each gets.
        self._wanted: dict[str, frozenset[tuple[str, str]]] = {}

    def known(self, writer: Writer) -> Known:
        """The series of a writer."""
        now_ms = self._clock.now_ms()
        if self._forgotten != self._registry.forgotten:
            # Layouts are forgotten, and with them series that were stored: all are stored again when they come.
            self._forgotten = self._registry.forgotten
            self._known.clear()
        known = self._known.get(writer.token_id)
        if known is None or not 0 <= now_ms - known.since_ms < FORGET_MS:
            known = self._known[writer.token_id] = Known(now_ms)
        return known

    async def store(self, incoming: Incoming, writer: Writer, known: Known) -> Outcome:
        """Stores the samples that can be stored, and returns when they are on disk.

        Raises:
            Unavailable: the disk or the queue is full; nothing may have been stored.
        """
        times = incoming.times
        outcome = Outcome(np.ones(len(times), bool))
        revision, now_ms = self._registry.revision, self._clock.now_ms()
        places = incoming.places
        if places is None:
            await self._learn(incoming, writer, known, outcome)
            places = np.array([known.keys.places.get(key, -1) for key in incoming.keys], np.intp)
            outcome.accepted = places >= 0
        self._check_times(times, now_ms, outcome)
        self._check_servers(known.servers[places], writer, outcome)
        bits = incoming.values.view(np.int64)
        absent = bits == ABSENT
        if absent.any():
            bits = np.where(absent, NOT_A_NUMBER, bits)
        chosen = outcome.accepted
        if not chosen.all():
            places, times, bits = places[chosen], times[chosen], bits[chosen]
        if len(places):
            await self._commit(places, times, bits, known, revision, now_ms, outcome)
        self.refused.update(outcome.refused)
        if incoming.descriptions:
            await self.descriptions.learn(incoming.descriptions)
        return outcome

    def _check_servers(self, servers: Bits, writer: Writer, outcome: Outcome) -> None:
        """Refuses samples that the writer may not store: since their series became known, a server may have got other
        tags, or be retired."""
        firsts = np.flatnonzero(servers[1:] != servers[:-1]) + 1
        for server_id in {*servers[:1].tolist(), *servers[firsts].tolist()}:
            state = self._registry.by_id.get(server_id)
            problem = None if state is None else _refusal(state, writer)
            if state is not None and problem is None:
                continue
            of_server = outcome.accepted & (servers == server_id)
            if not of_server.any():
                continue
            if problem is None:
                raise self._learn_again()
            outcome.refuse(problem, int(of_server.sum()))
            outcome.accepted &= ~of_server

    def _check_times(self, times: Times, now_ms: int, outcome: Outcome) -> None:
        oldest_ms = oldest_accepted(self._raw_floor_ms(), self._retention_ms, now_ms)
        latest_ms = now_ms + self._limits.ahead_seconds * 1000
        if not len(times) or (oldest_ms <= times.min() and times.max() <= latest_ms):
            return
        early, late = times < oldest_ms, times > latest_ms
        if (count := int((early & outcome.accepted).sum())) > 0:
            message = f"The sample is older than {oldest_ms}: raw samples are kept from then on."
            outcome.refuse(InvalidInput(message, code="too_old", field="timestamp", limit=oldest_ms), count)
        if (count := int((late & outcome.accepted).sum())) > 0:
            message = (
                f"The sample is {(int(times.max()) - now_ms) / 1000:.0f} s in the future; the limit is "
                f"{self._limits.ahead_seconds} s."
            )
            limit = self._limits.ahead_seconds
            outcome.refuse(InvalidInput(message, code="time_ahead", field="timestamp", limit=limit), count)
        outcome.accepted &= ~(early | late)

    async def _commit(
        self, places: Indices, times: Times, bits: Bits, known: Known, revision: int, now_ms: int, outcome: Outcome
    ) -> None:
        servers, numbers = known.servers[places], known.numbers[places]
        firsts = _changes(servers, times)
        if len(firsts) > USUAL_PARTS:
            order = np.lexsort((times, servers))
            servers, times, numbers, bits = servers[order], times[order], numbers[order], bits[order]
            firsts = _changes(servers, times)
        rows: dict[int, list[PartRow]] = {}
        starts = [0, *firsts.tolist()]
        packed, values = numbers.astype("<i8", copy=False).tobytes(), bits.astype("<i8", copy=False).tobytes()
        heads = zip(servers[starts].tolist(), times[starts].tolist(), strict=True)
        for (server_id, time_ms), first, last in zip(heads, starts, [*starts[1:], len(times)], strict=True):
            part = _part(server_id, time_ms, now_ms, packed[8 * first : 8 * last], values[8 * first : 8 * last])
            rows.setdefault(server_id, []).append(part)
        definitions: dict[int, list[SeriesRow]] = {}
        has_new = bool(known.unstored[places].any())
        for row in known.definitions(places) if has_new else ():
            definitions.setdefault(row[0], []).append(row)
        batches = [
            Batch(
                server_id,
                (),
                revision=revision,
                values=sum(len(part[4]) // 8 for part in parts),
                parts=parts,
                series=definitions.get(server_id, ()),
            )
            for server_id, parts in rows.items()
        ]
        try:
            await self._commits.commit_all([(batch, 2 * 8 * batch.values) for batch in batches])
        except (Unauthenticated, UnknownSeries):  # deleted or forgotten after this process looked
            raise self._learn_again() from None
        if has_new:
            known.are_stored(places)
        outcome.stored = len(times)

    def _learn_again(self) -> Unavailable:
        """A server or series is gone that was known. The sender sends all again, and it is new then."""
        self._known.clear()
        return Unavailable("A server or its series were deleted a moment ago.", retry_after_seconds=1)

    async def _learn(self, incoming: Incoming, writer: Writer, known: Known, outcome: Outcome) -> None:
        """Takes note of the series that are new, and refuses those that cannot be stored."""
        unknown = Counter(key for key in incoming.keys if key not in known.keys.places)
        found: list[tuple[bytes, Series, str]] = []
        for key in unknown:
            try:
                series, labels = read_definition(incoming.labels_of(key), incoming.kinds.get(key), self._limits)
                named = labels if incoming.is_named else {_TOLD: incoming.servers.get(key, "")}
                found.append((key, series, server_name(named, writer.name)))
            except InvalidInput as error:
                outcome.refuse(error, unknown[key])
        await self._add_servers({name for _, _, name in found}, writer)
        for key, series, name in found:
            try:
                self._take_note(key, series, name, writer, known)
            except (InvalidInput, Forbidden) as error:
                outcome.refuse(error, unknown[key])

    def _take_note(self, key: bytes, series: Series, name: str, writer: Writer, known: Known) -> None:
        limits = self._limits
        state = self._by_name.find(name)
        if state is None:
            raise TooLarge(
                f"{limits.foreign_servers} servers exist by foreign samples, and {name} would be one more.",
                code="too_many_servers",
                field="instance",
                limit=limits.foreign_servers,
            )
        problem = _refusal(state, writer)
        if problem is not None:
            raise problem
        server_id = state.record.id
        if len(known.keys) >= limits.series_per_writer:
            raise _too_many_series("this API token", limits.series_per_writer)
        if known.per_server[server_id] >= limits.foreign_series_per_server:
            raise _too_many_series(state.record.agent.name, limits.foreign_series_per_server)
        known.add(key, server_id, series_number(series.metric, series.labels), series)

    async def _add_servers(self, names: set[str], writer: Writer) -> None:
        """Adds the servers of these names that do not exist, as far as the limit allows. Requests that want to do so
        while another does are served by one transaction: at its first contact, a fleet needs hundreds."""
        if all(self._by_name.find(name) is not None for name in names):
            return
        self._wanted |= dict.fromkeys(names, writer.tags)
        async with self._adding:
            wanted = self._wanted | dict.fromkeys(names, writer.tags)
            self._wanted = {}
            missing = [(name, dict(tags)) for name, tags in wanted.items() if self._by_name.find(name) is None]
            count = sum(is_foreign(state.record) for state in self._registry.by_id.values())
            missing = missing[: max(self._limits.foreign_servers - count, 0)]
            if missing:
                now_ms = self._clock.now_ms()
                await self._changes.add_all(lambda connection: _store_servers(connection, missing, now_ms))

    async def follow_intervals(self) -> None:
        """Stores how often servers that exist by foreign samples get some, until cancelled: nobody says it, and
        whether a server is late or down depends on it."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            # The next round tries again.
            with contextlib.suppress(BongsuError):
                await self.store_intervals()

    async def store_intervals(self) -> None:
        """Stores the intervals that have changed."""
        now_ms = self._clock.now_ms()
        for state in [state for state in self._registry.by_id.values() if is_foreign(state.record)]:
            seen = [
                newest.interval_ms
                for layout_id, newest in state.newest.items()
                if newest.interval_ms and state.is_current(layout_id)
            ]
            if not seen:
                continue
            interval_ms = min(max(min(seen), SHORTEST_INTERVAL_MS), LONGEST_INTERVAL_MS)
            record = state.record
            if abs(interval_ms - record.agent.interval_ms) <= INTERVAL_SHARE * interval_ms:
                continue
            agent = replace(record.agent, interval_ms=interval_ms)

            def store(connection: Connection, record: ServerRecord = record, agent: AgentIdentity = agent) -> None:
                update_server(connection, record.id, agent, record.host, now_ms)

            await self._database.write(store)
            record.agent = agent
            self._registry.generation += 1


def _store_servers(
    connection: Connection, servers: Sequence[tuple[str, dict[str, str]]], now_ms: int
) -> list[ServerRecord]:
    return [
        add_server(connection, AgentIdentity(agent_id_of(name), name), HostFacts(hostname=name), now_ms, tags)
        for name, tags in servers
    ]


def _refusal(state: ServerState, writer: Writer) -> Forbidden | None:
    """Why a writer may not write samples of a server; None: it may."""
    if state.retired:
        return ServerRetired()
    if writer.may_write(state.record):
        return None
    name = state.record.agent.name
    return Forbidden(f"This API token may not write samples of {name}.", code="wrong_server", field="instance")


def _changes(servers: Bits, times: Times) -> npt.NDArray[np.intp]:
    """Where the next server or time begins."""
    return np.flatnonzero((servers[1:] != servers[:-1]) | (times[1:] != times[:-1])) + 1


def _part(server_id: int, time_ms: int, now_ms: int, numbers: bytes, values: bytes) -> PartRow:
    digest = blake2b(numbers, digest_size=8)
    digest.update(values)
    return server_id, time_ms, int.from_bytes(digest.digest(), "little") >> 1, now_ms, numbers, values


def _too_many_series(whose: str, limit: int) -> TooLarge:
    return TooLarge(
        f"{whose} has more than {limit:,} series within an hour. Does a label have a new value each time?",
        code="too_many_series",
        field="labels",
        limit=limit,
    )
