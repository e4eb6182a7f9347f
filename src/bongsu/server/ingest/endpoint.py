"""POST /api/metrics: the way of a frame from the socket to the disk.

An ASGI endpoint below FastAPI. The frames of many requests are written in one transaction (group commit); a request is
answered when its own frames are on disk. A request is stored as a whole or not at all.
"""

import asyncio
import contextlib
import gc
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from hashlib import sha256

from sqlalchemy import Connection
from starlette.types import Receive, Scope, Send

from bongsu.core.clock import Clock
from bongsu.core.errors import (
    BongsuError,
    Forbidden,
    Unauthenticated,
    Unavailable,
    UnknownLayouts,
    UnsupportedEncoding,
)
from bongsu.core.events import Event, EventType
from bongsu.core.samples import Frame, HostFacts, Push, PushError, PushResult
from bongsu.core.series import Layout
from bongsu.server.auth.directory import Directory, Grant
from bongsu.server.auth.queries.agents import has_token
from bongsu.server.config import Limits
from bongsu.server.database.database import Database
from bongsu.server.errors import retry_after, status_of
from bongsu.server.fleet.changes import FleetChanges
from bongsu.server.fleet.events import store_agent_events, store_container_events
from bongsu.server.fleet.names import check_agent_id
from bongsu.server.fleet.registry import ClockStep, Registry, ServerState, differs
from bongsu.server.fleet.servers import ServerRecord, add_server, set_clock, update_server
from bongsu.server.ingest.bodies import LARGE_BYTES, ClientGone, gunzip, read_body
from bongsu.server.ingest.group_commit import GroupCommit
from bongsu.server.ingest.lists import NO_LISTS, notable_events, stored_lists
from bongsu.server.ingest.validation import (
    check_agent,
    check_frames,
    check_layouts,
    check_sizes,
)
from bongsu.server.storage.archive import RAW
from bongsu.server.storage.batches import Batch, ServerRetired
from bongsu.server.storage.floors import floors, oldest_accepted
from bongsu.server.storage.layouts import intern_layout
from bongsu.wire import json_form, protobuf

logger = logging.getLogger(__name__)

FLOOR_SECONDS = 60
# Layouts with more series are read in a thread: they would hold the event loop for over 5 ms.
LARGE_LAYOUTS = 1_000


Committed = Callable[[ServerState, Sequence[Frame]], None]


class Counters:
    """Totals since the start, shown by /api/health."""

    def __init__(self) -> None:
        self.frames = 0
        self.samples = 0
        self.duplicates = 0
        self.rejected: Counter[str] = Counter()


class Ingest:
    """Receives frames. One per process."""

    def __init__(
        self,
        database: Database,
        registry: Registry,
        changes: FleetChanges,
        limits: Limits,
        clock: Clock,
        directory: Directory,
        *,
        retention_ms: int,
        pushed: Callable[[Grant], None],
        refused: Callable[[Scope], Awaitable[None]],
        publish: Committed,
        asked_interval_ms: Callable[[int], int],
    ) -> None:
        """``retention_ms``: of raw samples. ``pushed`` counts the pushes of an agent, ``refused`` the requests without
        a valid token; both raise TooMany above the rate limit. ``publish`` gets the frames that are on disk,
        and the range of those that are older than others before.
        ``asked_interval_ms``: of a server id, the interval that its agent is asked for; 0: its own."""
        # Of the raw samples; the budget for the database may have raised it.
        self.raw_floor_ms = 0
        self.counters = Counters()
        # Why frames cannot be stored now, and since when.
        self.problem: tuple[Unavailable, int] | None = None
        self._database = database
        self._registry = registry
        self._changes = changes
        self._limits = limits
        self._clock = clock
        self._directory = directory
        self._retention_ms = retention_ms
        self._pushed = pushed
        self._refused = refused
        self._publish = publish
        self._asked_interval_ms = asked_interval_ms
        self.commits = GroupCommit(
            database, queue_bytes=limits.queue_bytes, committed=self._committed, failed=self._failed
        )
        self._records = asyncio.Lock()

    @property
    def queued_bytes(self) -> int:
        """Bytes of values that wait for the disk."""
        return self.commits.queued_bytes

    def start(self) -> None:
        """Starts writing. Needs a running event loop."""
        self.commits.start()

    async def stop(self) -> None:
        """Writes what is queued and stops."""
        await self.commits.stop()

    async def follow_floor(self) -> None:
        """Reads the floor of the raw samples every FLOOR_SECONDS until cancelled."""
        while True:
            try:
                self.raw_floor_ms = (await self._database.read(floors))[RAW]
            except Exception:  # the retention alone says nearly the same
                logger.debug("floor not read", exc_info=True)
            await asyncio.sleep(FLOOR_SECONDS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI endpoint."""
        content_type = encoding = authorization = b""
        length: int | None = None
        for name, value in scope["headers"]:
            if name == b"content-type":
                content_type = value.partition(b";")[0].strip().lower()
            elif name == b"authorization":
                authorization = value
            elif name == b"content-encoding":
                encoding = value.strip().lower()
            elif name == b"content-length" and value.isdigit():
                length = int(value)
        form = json_form if content_type == b"application/json" else protobuf
        extra: dict[str, str] = {}
        try:
            if content_type not in (b"application/x-protobuf", b"application/json"):
                form = json_form
                raise UnsupportedEncoding(
                    "Content-Type must be application/x-protobuf or application/json.", field="Content-Type"
                )
            # A dictionary in memory: a revoked token is refused at the next request.
            grant = self._directory.agents.get(sha256(authorization[7:]).digest())
            if grant is None or grant.expires_ms:
                grant = await self._unknown(authorization, scope)
            self._pushed(grant)
            body = await self._body(receive, encoding, length)
            if len(body) > LARGE_BYTES:
                push = await asyncio.to_thread(decode_large, form.decode_push, body)
            else:
                push = form.decode_push(body)
            if push.agent.agent_id != grant.agent_id:
                check_agent_id(push.agent.agent_id, field="agent.agent_id")
                raise Forbidden("This token belongs to another agent.", code="wrong_agent", field="agent.agent_id")
            result = await self.push(push, grant.tags)
            status = 200
        except ClientGone:
            return
        except BongsuError as error:
            status = status_of(error)
            extra = retry_after(error)
            self.counters.rejected[error.code] += 1
            result = PushResult(
                unknown_layouts=error.layout_ids if isinstance(error, UnknownLayouts) else [],
                server_time_ms=self._clock.now_ms(),
                error=PushError(error.code, error.message, error.field, error.limit),
            )
        except Exception:
            logger.exception("POST /api/metrics failed")
            status = 500
            self.counters.rejected["internal_error"] += 1
            result = PushResult(
                error=PushError("internal_error", "This is a bug in the API server; its log has the details.")
            )
        answer = form.encode_result(result)
        headers = [(b"content-type", form.CONTENT_TYPE.encode()), (b"content-length", b"%d" % len(answer))]
        if extra:
            headers += [(name.lower().encode(), value.encode()) for name, value in extra.items()]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _unknown(self, authorization: bytes, scope: Scope) -> Grant:
        """The grant of a token that another process has just issued, or that expires soon."""
        scheme, _, token = authorization.partition(b" ")
        hashed = sha256(token).digest()
        grant = self._directory.agents.get(hashed)
        if grant is None and scheme.lower() == b"bearer" and token:
            await self._refused(scope)
            await self._directory.look_again()
            grant = self._directory.agents.get(hashed)
        if grant is None:
            raise Unauthenticated(
                "This agent is not enrolled, or its token was revoked: a person must enrol it (Add server).",
                code="invalid_token" if token else "unauthenticated",
                field="Authorization",
            )
        if grant.expires_ms and grant.expires_ms <= self._clock.now_ms():
            raise Unauthenticated("The token has expired.", code="expired_token", field="Authorization")
        return grant

    async def _body(self, receive: Receive, encoding: bytes, length: int | None) -> bytes:
        limit = self._limits.body_bytes
        if encoding not in (b"", b"identity", b"gzip"):
            raise UnsupportedEncoding("Content-Encoding must be gzip or absent.", field="Content-Encoding")
        body = await read_body(receive, length, limit)
        if encoding != b"gzip":
            return body
        return await asyncio.to_thread(gunzip, body, limit) if len(body) > LARGE_BYTES else gunzip(body, limit)

    async def push(self, push: Push, tags: dict[str, str] | None = None) -> PushResult:
        """Stores a push and returns when it is on disk. ``tags``: for the server, if it is new.

        Raises:
            BongsuError: why nothing was stored.
        """
        now_ms = self._clock.now_ms()
        revision = self._registry.revision
        state = self._registry.by_agent_id.get(push.agent.agent_id)
        if state is not None and state.retired:
            raise ServerRetired
        check_sizes(push, self._limits)
        oldest_ms = oldest_accepted(self.raw_floor_ms, self._retention_ms, now_ms)
        layouts: list[Layout] = []
        if push.layouts:
            if has_large_layouts(push):
                layouts = await asyncio.to_thread(self._many_layouts, push, state, oldest_ms)
            else:
                layouts = self._new_layouts(push, state, oldest_ms)
        sizes = state.sizes if state is not None else {}
        if layouts:
            sizes = sizes | {layout.id: 8 * len(layout.series) for layout in layouts}
        size_bytes = check_frames(push.frames, sizes, self._limits, now_ms, oldest_ms)
        values = size_bytes >> 3
        lists = NO_LISTS
        if push.process_lists or push.container_lists:
            lists = await stored_lists(push, self._limits, now_ms, oldest_ms)
            size_bytes += lists.size_bytes
        if state is None or differs(state.record, push.agent, push.host):
            check_agent(push.agent, push.host)
            state = await self._record(push, tags, now_ms)
            if state.retired:  # as another process knew
                raise ServerRetired
        step = state.clock_step(push.sent_ms - now_ms, now_ms) if push.sent_ms else None
        if step is not None:
            await self._clock_moved(state.record, step, now_ms)
        accepted = 0
        if push.frames or layouts or lists is not NO_LISTS:
            batch = Batch(
                state.record.id,
                push.frames,
                layouts,
                lists.processes,
                revision,
                values,
                container_lists=lists.containers,
            )
            try:
                accepted = await self.commits.commit(batch, size_bytes)
            except UnknownLayouts as error:
                # They were forgotten a moment ago: the agent sends them again, and they must be new then.
                for layout_id in error.layout_ids:
                    state.forget_layout(layout_id)
                raise
            if happened := notable_events(push.container_lists, state.record, now_ms):
                # Without this, the push is stored all the same.
                with contextlib.suppress(Unavailable):
                    await self._database.write(partial(store_container_events, happened=happened))
        interval_ms = self._asked_interval_ms(state.record.id)
        return PushResult(accepted, len(push.frames) - accepted, server_time_ms=now_ms, interval_ms=interval_ms)

    def _new_layouts(self, push: Push, state: ServerState | None, oldest_ms: int) -> list[Layout]:
        return [intern_layout(layout) for layout in check_layouts(push, state, self._limits, oldest_ms)]

    def _many_layouts(self, push: Push, state: ServerState | None, oldest_ms: int) -> list[Layout]:
        layouts = self._new_layouts(push, state, oldest_ms)
        while push.layouts:
            # One by one, and here: freeing 50,000 series takes 10 ms, in which no other thread runs.
            push.layouts.pop()
        return layouts

    async def _record(self, push: Push, tags: dict[str, str] | None, now_ms: int) -> ServerState:
        async with self._records:
            state = self._registry.by_agent_id.get(push.agent.agent_id)
            if state is None:
                host = push.host or HostFacts()

                def add(connection: Connection) -> ServerRecord:
                    record = add_server(connection, push.agent, host, now_ms, tags)
                    # Another process may have deleted the server, and with it the token, a moment ago.
                    if not has_token(connection, push.agent.agent_id):
                        raise Unauthenticated("This server was deleted.", code="invalid_token", field="Authorization")
                    return record

                state = await self._changes.add(add)
                logger.info("new server %d: %s", state.record.id, state.record.agent.name)
                return state
            if differs(state.record, push.agent, push.host):
                record = state.record
                host = push.host or record.host
                await self._database.write(
                    lambda connection: update_server(connection, record.id, push.agent, host, now_ms)
                )
                record.agent, record.host = push.agent, host
                self._registry.generation += 1
            return state

    async def _clock_moved(self, record: ServerRecord, step: ClockStep, now_ms: int) -> None:
        jumped = Event(
            EventType.CLOCK_JUMPED,
            now_ms,
            record.id,
            record.agent.name,
            before=str(step.before_ms),
            after=str(step.offset_ms),
        )
        if step.jumped:
            logger.warning("the clock of %s jumped: it is now %+.0f s off", record.agent.name, step.offset_ms / 1000)

        def store(connection: Connection) -> None:
            set_clock(connection, record.id, step.offset_ms, step.jump_ms)
            store_agent_events(connection, [jumped] if step.jumped else [])

        # Without this, the push is stored all the same.
        with contextlib.suppress(Unavailable):
            await self._database.write(store)
            record.clock_offset_ms, record.clock_jump_ms = step.offset_ms, step.jump_ms

    def _committed(self, batches: list[Batch], counts: list[int]) -> None:
        counters, now_ms = self.counters, self._clock.now_ms()
        for batch, count in zip(batches, counts, strict=True):
            state = self._registry.by_id.get(batch.server_id)
            if state is None:  # deleted since
                continue
            if batch.frames or batch.parts:
                state.heard_ms = now_ms
            for layout in batch.layouts:
                if state.add_layout(layout):
                    logger.warning(
                        "%s sends more than %d series; some are stored without a name. Does a label have a new value "
                        "each time?",
                        state.record.agent.name,
                        self._limits.series_per_server,
                    )
            saw = state.saw
            for frame in batch.frames:
                saw(frame)
            sent = len(batch.frames)
            if batch.parts:
                counters.samples += batch.values
                continue
            # An estimate where some frames were stored before: the frames of a request have about the same length.
            counters.samples += batch.values if count == sent else batch.values * count // sent
            counters.frames += count
            counters.duplicates += sent - count
            if count:
                self._publish(state, batch.frames)
        if self.problem is not None:
            logger.warning("frames can be stored again")
            self.problem = None

    def _failed(self, error: Unavailable) -> None:
        if self.problem is None:
            logger.error("frames cannot be stored: %s Agents are asked to wait.", error.message)
            self.problem = (error, self._clock.now_ms())


def has_large_layouts(push: Push) -> bool:
    """Whether reading its layouts takes long."""
    return sum(len(layout.series) for layout in push.layouts) > LARGE_LAYOUTS


def decode_large(decode: Callable[[bytes], Push], body: bytes) -> Push:
    """Decodes a large body without the garbage collector, which stops all threads: for 90 ms while it looks at the
    150,000 objects of 50,000 series again and again. They form no cycles, so it need not look at them later either."""
    gc.disable()
    try:
        push = decode(body)
        if has_large_layouts(push):
            gc.freeze()
    finally:
        gc.enable()
    return push
