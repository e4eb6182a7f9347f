"""Validates pushes. Every error names the field and the limit."""

import re

from bongsu.core.errors import Conflict, InvalidInput, TooLarge, UnknownLayouts
from bongsu.core.liveness import LONGEST_INTERVAL_MS, SHORTEST_INTERVAL_MS
from bongsu.core.samples import AgentIdentity, Frame, HostFacts, Push
from bongsu.core.series import UNNAMED, Layout, Series
from bongsu.core.text import has_control
from bongsu.core.units import DAY_MS
from bongsu.server.config import Limits
from bongsu.server.fleet.names import MAX_TAGS, TAG_NAME, check_agent_id
from bongsu.server.fleet.registry import ServerState

# As Prometheus: recording rules have colons in their names.
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,127}")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}")
_UNIT = re.compile(r"[a-zA-Z0-9_/%]{0,31}")
# The width of the columns.
_TEXT_BYTES = 255
_HOST_TEXTS = ("hostname", "os", "kernel", "architecture", "cpu_model")
_SIGNED_64 = 2**63 - 1


def check_agent(agent: AgentIdentity, host: HostFacts | None) -> None:
    """Raises InvalidInput for an identity or host facts that cannot be stored."""
    check_agent_id(agent.agent_id, field="agent.agent_id")
    if not agent.name.strip():
        raise InvalidInput("agent.name must not be empty.", field="agent.name")
    texts = {"agent.name": agent.name, "agent.version": agent.version[:64]}
    if host is not None:
        texts |= {f"host.{name}": getattr(host, name) for name in _HOST_TEXTS}
        if len(host.architecture) > 64:
            raise InvalidInput("host.architecture is longer than 64 characters.", field="host.architecture", limit=64)
        for name in ("cpu_count", "memory_total_bytes", "boot_time_ms"):
            limit = 2**31 - 1 if name == "cpu_count" else _SIGNED_64
            if not 0 <= getattr(host, name) <= limit:
                raise InvalidInput(f"host.{name} must be from 0 to {limit}.", field=f"host.{name}", limit=limit)
    if len(agent.tags) > MAX_TAGS:
        raise TooLarge(
            f"agent.tags has {len(agent.tags)} tags; the limit is {MAX_TAGS}.", field="agent.tags", limit=MAX_TAGS
        )
    for name, value in agent.tags.items():
        if not TAG_NAME.fullmatch(name):
            raise InvalidInput(
                "agent.tags: a name must be up to 64 letters, digits and underscores.", field="agent.tags", limit=64
            )
        texts[f"agent.tags.{name}"] = value
    if len(agent.version) > 64:
        raise InvalidInput("agent.version is longer than 64 characters.", field="agent.version", limit=64)
    if agent.interval_ms and not SHORTEST_INTERVAL_MS <= agent.interval_ms <= LONGEST_INTERVAL_MS:
        raise InvalidInput(
            f"agent.interval_ms must be 0 (unknown) or from {SHORTEST_INTERVAL_MS} to {LONGEST_INTERVAL_MS}.",
            field="agent.interval_ms",
            limit=LONGEST_INTERVAL_MS if agent.interval_ms > LONGEST_INTERVAL_MS else SHORTEST_INTERVAL_MS,
        )
    for field, text in texts.items():
        if len(text.encode()) > _TEXT_BYTES:
            raise InvalidInput(f"{field} is longer than {_TEXT_BYTES} bytes.", field=field, limit=_TEXT_BYTES)
        if has_control(text):
            raise InvalidInput(f"{field} contains control characters.", field=field)


def check_sizes(push: Push, limits: Limits) -> None:
    """Raises TooLarge when a push has too many frames, layouts or process lists."""
    if len(push.frames) > limits.frames_per_request:
        raise _too_many("frames", len(push.frames), limits.frames_per_request)
    if len(push.layouts) > limits.layouts_per_request:
        raise _too_many("layouts", len(push.layouts), limits.layouts_per_request)
    if len(push.process_lists) > limits.process_lists_per_request:
        raise _too_many("process_lists", len(push.process_lists), limits.process_lists_per_request)
    if len(push.container_lists) > limits.container_lists_per_request:
        raise _too_many("container_lists", len(push.container_lists), limits.container_lists_per_request)


def _too_many(field: str, count: int, limit: int) -> TooLarge:
    return TooLarge(f"{count} {field} in one request; the limit is {limit}.", field=field, limit=limit)


def check_layouts(push: Push, state: ServerState | None, limits: Limits, live_since_ms: int) -> list[Layout]:
    """The layouts of the push that are new. ``live_since_ms``: series without a frame since then count no more.

    Beyond the limit on the series of a server, series lose their names (``UNNAMED``): a label with endless values, such
    as request ids, must not fill memory and lists; and must not keep the other series of the layout out.

    Raises:
        InvalidInput: a layout or series cannot be stored.
        Conflict: a layout id belongs to different content.
    """
    new: dict[int, Layout] = {}
    names: set[Series] | None = None
    for index, layout in enumerate(push.layouts):
        field = f"layouts[{index}]"
        known = new.get(layout.id) or (state.layouts.get(layout.id) if state else None)
        if known is not None:
            if not known.agrees_with(layout):
                raise Conflict(
                    f"Layout {layout.id} is stored with different series; different content needs a different id.",
                    code="layout_conflict",
                    field=f"{field}.id",
                )
            if len(known.named) == len(layout.series):
                continue
        _check_layout(layout, field, limits)
        if names is None:
            names = state.names_since(live_since_ms) if state is not None else set()
        named = _within_limit(layout, names, limits.series_per_server)
        if known is None or len(named.named) > len(known.named):
            new[layout.id] = named
    return list(new.values())


def _within_limit(layout: Layout, names: set[Series], limit: int) -> Layout:
    """The layout with as many named series as fit. Adds them to ``names``."""
    if len(names) + len(layout.series) <= limit:
        names.update(layout.series)
        return layout
    series = []
    for one in layout.series:
        fits = one in names or len(names) < limit
        if fits:
            names.add(one)
        series.append(one if fits else UNNAMED)
    return Layout(layout.id, tuple(series))


def _check_layout(layout: Layout, field: str, limits: Limits) -> None:
    if not 0 < layout.id <= _SIGNED_64:
        raise InvalidInput(f"{field}.id must be from 1 to 2^63 - 1.", field=f"{field}.id", limit=_SIGNED_64)
    count = len(layout.series)
    if not 0 < count <= limits.series_per_layout:
        raise TooLarge(
            f"{field} has {count} series; a layout has 1 to {limits.series_per_layout}.",
            field=f"{field}.series",
            limit=limits.series_per_layout,
        )
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    for position, series in enumerate(layout.series):
        place = f"{field}.series[{position}]"
        _check_series(series, place, limits)
        key = (series.metric, series.labels)
        if key in seen:
            raise InvalidInput(f"{place}: {series} occurs twice in this layout.", code="duplicate_series", field=place)
        seen.add(key)


def _check_series(series: Series, place: str, limits: Limits) -> None:
    if not _METRIC.fullmatch(series.metric):
        raise InvalidInput(
            f"{place}.metric must be up to 128 letters, digits, underscores and colons, and not start with a digit.",
            field=f"{place}.metric",
            limit=128,
        )
    if not _UNIT.fullmatch(series.unit):
        raise InvalidInput(
            f"{place}.unit must be up to 31 letters, digits, _, / or %.", field=f"{place}.unit", limit=31
        )
    if len(series.labels) > limits.labels_per_series:
        raise TooLarge(
            f"{place} has {len(series.labels)} labels; the limit is {limits.labels_per_series}.",
            field=f"{place}.labels",
            limit=limits.labels_per_series,
        )
    for name, value in series.labels:
        if not _LABEL.fullmatch(name):
            raise InvalidInput(
                f"{place}.labels: a label name must be up to 64 letters, digits and underscores.",
                field=f"{place}.labels",
                limit=64,
            )
        if len(value.encode()) > limits.label_bytes or has_control(value):
            raise InvalidInput(
                f"{place}.labels.{name} must be at most {limits.label_bytes} bytes, none of them control characters.",
                field=f"{place}.labels.{name}",
                limit=limits.label_bytes,
            )


def check_frames(frames: list[Frame], sizes: dict[int, int], limits: Limits, now_ms: int, oldest_ms: int) -> int:
    """Checks every frame against its layout (``sizes``: layout id -> bytes). Returns the total bytes of the values.

    ``oldest_ms``: the earliest time that a frame may have.

    Raises:
        UnknownLayouts: the layout of a frame is unknown.
        InvalidInput: a frame has the wrong length or an impossible time.
    """
    latest = now_ms + limits.ahead_seconds * 1000
    total = 0
    for index, frame in enumerate(frames):
        size = sizes.get(frame.layout_id)
        if size != len(frame.values):
            raise _wrong_frame(index, frame, size, frames, sizes)
        if not oldest_ms <= frame.time_ms <= latest:
            raise wrong_time(f"frames[{index}].time_ms", frame.time_ms, limits, now_ms, oldest_ms)
        total += size
    return total


def _wrong_frame(
    index: int, frame: Frame, size: int | None, frames: list[Frame], sizes: dict[int, int]
) -> UnknownLayouts | InvalidInput:
    if size is None:
        unknown = list(dict.fromkeys(frame.layout_id for frame in frames if frame.layout_id not in sizes))
        return UnknownLayouts(unknown, field=f"frames[{index}].layout_id")
    field = f"frames[{index}].values"
    count = f"{len(frame.values) / 8:g}"
    return InvalidInput(
        f"{field} has {count} values; layout {frame.layout_id} has {size // 8} series.",
        code="wrong_frame_length",
        field=field,
        limit=size // 8,
    )


def wrong_time(field: str, time_ms: int, limits: Limits, now_ms: int, oldest_ms: int) -> InvalidInput:
    if time_ms <= 0:
        return InvalidInput(f"{field} must be Unix milliseconds, not {time_ms}.", code="invalid_time", field=field)
    if time_ms < oldest_ms:
        return InvalidInput(
            f"{field} is {(now_ms - time_ms) / DAY_MS:.1f} days old; raw samples are kept from {oldest_ms} on.",
            code="too_old",
            field=field,
            limit=oldest_ms,
        )
    return InvalidInput(
        f"{field} is {(time_ms - now_ms) / 1000:.0f} s in the future; the limit is {limits.ahead_seconds} s. "
        "Is the agent's clock right?",
        code="time_ahead",
        field=field,
        limit=limits.ahead_seconds,
    )
