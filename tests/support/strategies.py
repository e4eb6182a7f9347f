"""Hypothesis strategies for what goes over the wire."""

import math

from hypothesis import strategies as st

from bongsu.core.samples import (
    AgentIdentity,
    Container,
    ContainerEvent,
    ContainerList,
    Frame,
    HostFacts,
    Process,
    ProcessList,
    Push,
    PushError,
    PushResult,
    pack,
)
from bongsu.core.series import Kind, Layout, Series

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
uint32 = st.integers(0, 2**32 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)
uint64 = st.integers(0, 2**64 - 1)
# One NaN, the quiet one that Python makes: JSON's null cannot carry a payload.
doubles = st.floats(allow_nan=False) | st.just(math.nan)

series = st.builds(
    Series,
    metric=text,
    labels=st.dictionaries(text, text, max_size=3).map(lambda labels: tuple(sorted(labels.items()))),
    unit=text,
    kind=st.sampled_from(Kind),
)
processes = st.builds(
    Process, uint32, text, text, st.floats(allow_nan=False, allow_infinity=False), uint64, uint32, int64
)
ratios = st.floats(allow_nan=False, allow_infinity=False)
containers = st.builds(
    Container,
    *[text] * 7,
    *[uint32] * 3,
    ports=text,
    cpu_ratio=ratios,
    memory_bytes=uint64,
    memory_limit_bytes=uint64,
    processes=uint32,
    created_ms=int64,
    started_ms=int64,
    finished_ms=int64,
    namespace=text,
    pod=text,
    workload_kind=text,
    pod_phase=text,
    reason=text,
    cpu_request_cores=ratios,
    cpu_limit_cores=ratios,
    memory_request_bytes=uint64,
)
container_events = st.builds(ContainerEvent, int64, *[text] * 4, exit_code=uint32)
pushes = st.builds(
    Push,
    agent=st.builds(AgentIdentity, text, text, text, uint32, st.dictionaries(text, text, max_size=3)),
    sent_ms=int64,
    host=st.none() | st.builds(HostFacts, text, text, text, text, text, uint32, uint64, int64),
    layouts=st.lists(st.builds(Layout, uint64, st.lists(series, max_size=4).map(tuple)), max_size=3),
    frames=st.lists(
        st.builds(Frame, uint64, int64, st.lists(doubles, max_size=6).map(pack)),
        max_size=4,
    ),
    process_lists=st.lists(st.builds(ProcessList, int64, st.lists(processes, max_size=3)), max_size=3),
    container_lists=st.lists(
        st.builds(
            ContainerList,
            int64,
            st.lists(containers, max_size=3),
            st.lists(container_events, max_size=2),
            uint32,
        ),
        max_size=2,
    ),
)
results = st.builds(
    PushResult,
    accepted=uint32,
    duplicates=uint32,
    unknown_layouts=st.lists(uint64, max_size=3),
    server_time_ms=int64,
    interval_ms=uint32,
)
errors = st.builds(
    PushError, text, text, st.none() | text.filter(bool), st.none() | st.floats(allow_nan=False, allow_infinity=False)
)
