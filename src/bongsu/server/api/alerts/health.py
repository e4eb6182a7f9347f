"""What /api/health shows of the alerts themselves."""

from collections.abc import Collection

from pydantic import BaseModel, Field

from bongsu.alerts.notes import Code, Note, note
from bongsu.core.units import MINUTE_MS
from bongsu.server.alerts.health import AlertsState
from bongsu.server.api.schemas import Problem, problem

# Another worker takes over within three intervals or 30 s.
LATE_MS, LATE_CYCLES = 2 * MINUTE_MS, 6
# Longer than the first four attempts.
QUEUE_LATE_MS = 10 * MINUTE_MS
# Problems that a message names.
MOST_NAMED = 5


class SkippedInfo(BaseModel):
    """Something that the evaluation of alerts left out."""

    kind: str = Field(description="rule, silence, channel or server.")
    id: int
    why: str


class AlertsHealthInfo(BaseModel):
    """The state of the alerts themselves."""

    evaluated_ms: int | None = Field(description="When all servers had last been evaluated; null: never.")
    skipped: list[SkippedInfo] = Field(description="What the last evaluation left out.")
    blind_servers: list[int] = Field(
        description="Ids of servers that are not evaluated because their frames arrive late and irregularly, so that "
        "nobody can tell how old they are."
    )
    untold: int = Field(description="Firing alerts that no channel takes.")
    waiting: int = Field(description="Notifications that are not sent yet.")
    oldest_waiting_ms: int | None = Field(description="When the oldest of them was queued.")
    dead: int = Field(description="Dead letters of the last day.")


def alerts_info(state: AlertsState, visible: Collection[int], restricted: bool) -> AlertsHealthInfo:
    """``visible``: the servers that the caller may see."""
    return AlertsHealthInfo(
        evaluated_ms=state.evaluated_ms,
        skipped=[
            SkippedInfo(kind=kind, id=subject_id, why=why)
            for kind, subject_id, why in state.skipped
            if not restricted or (kind == "server" and subject_id in visible)
        ],
        blind_servers=[server_id for server_id in state.blind if not restricted or server_id in visible],
        untold=state.untold,
        waiting=state.queue.waiting,
        oldest_waiting_ms=state.queue.oldest_ms,
        dead=state.queue.dead,
    )


def alert_problems(state: AlertsState | None, now_ms: int, interval_ms: int) -> list[Problem]:
    """A server that has never had a worker, because it has just started or needs no alerts, has no problem."""
    if state is None:
        return [problem(note(Code.ALERTS_UNKNOWN), now_ms)]
    if state.evaluated_ms is None:
        return []
    evaluated_ms, queue = state.evaluated_ms, state.queue
    problems = []

    def add(found: Note, since_ms: int = evaluated_ms) -> None:
        problems.append(problem(found, since_ms))

    if now_ms - evaluated_ms > max(LATE_MS, LATE_CYCLES * interval_ms):
        add(note(Code.ALERTS_NOT_EVALUATED))
    if state.skipped:
        named = "; ".join(f"{kind} {subject_id}: {why}" for kind, subject_id, why in state.skipped[:MOST_NAMED])
        more = f"; and {len(state.skipped) - MOST_NAMED} more" if len(state.skipped) > MOST_NAMED else ""
        add(note(Code.ALERTS_INCOMPLETE, subjects=f"{named}{more}"))
    if state.blind:
        add(note(Code.SERVERS_NOT_EVALUATED, count=len(state.blind)))
    if state.untold:
        add(note(Code.ALERTS_UNTOLD, count=state.untold))
    if queue.oldest_ms is not None and now_ms - queue.oldest_ms > QUEUE_LATE_MS:
        add(note(Code.NOTIFICATIONS_LATE, count=queue.waiting), queue.oldest_ms)
    if queue.dead_ms is not None:
        add(note(Code.NOTIFICATIONS_DEAD, count=queue.dead), queue.dead_ms)
    return problems
