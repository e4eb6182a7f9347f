"""Which steps of an agent's clock are written for all API servers."""

import pytest

from bongsu.core.samples import HostFacts
from bongsu.server.fleet.registry import CLOCK_STEP_EVERY_MS, CLOCK_STEP_MS, ClockStep, ServerState
from bongsu.server.fleet.servers import ServerRecord
from tests.support.pushes import an_agent

NOW = 1_790_000_000_000


@pytest.fixture
def state() -> ServerState:
    state = ServerState(ServerRecord(1, an_agent(), HostFacts(), NOW, NOW))
    assert state.clock_step(0, NOW) is None
    return state


def test_what_the_way_of_a_push_takes_is_no_step(state: ServerState) -> None:
    assert state.clock_step(-CLOCK_STEP_MS, NOW + 1) is None
    assert state.clock_step(-CLOCK_STEP_MS - 1, NOW + 1) == ClockStep(0, -CLOCK_STEP_MS - 1, 0, False)


def test_a_jump_is_told_with_its_time(state: ServerState) -> None:
    assert state.clock_step(60_000, NOW + 7) == ClockStep(0, 60_000, NOW + 7, True)


def test_a_push_that_was_held_up_is_no_jump(state: ServerState) -> None:
    assert state.clock_step(-30_000, NOW) is None
    assert state.clock_step(0, NOW + 1) is None
    assert state.clock_step(-30_000, NOW + 2) is None, "again, but not twice in a row"
    assert state.clock_step(-20_000, NOW + 3) is None, "held up again, for another time"
    assert state.clock_step(-19_500, NOW + 4) == ClockStep(0, -19_500, NOW + 4, True)


def test_a_clock_that_moves_to_and_fro_is_written_now_and_then(state: ServerState) -> None:
    assert state.clock_step(60_000, NOW) is not None
    assert state.clock_step(-60_000, NOW + CLOCK_STEP_EVERY_MS - 1) is None
    assert state.clock_step(-60_000, NOW + CLOCK_STEP_EVERY_MS) is None
    assert state.clock_step(-60_000, NOW + CLOCK_STEP_EVERY_MS + 1) is not None


def test_steps_are_written_after_our_own_clock_was_set_back(state: ServerState) -> None:
    assert state.clock_step(60_000, NOW) is not None
    assert state.clock_step(31_536_060_000, NOW - 31_536_000_000) is not None


def test_the_first_push_after_a_start_is_no_jump() -> None:
    state = ServerState(ServerRecord(1, an_agent(), HostFacts(), NOW, NOW, clock_offset_ms=60_000, clock_jump_ms=5))
    assert state.clock_step(0, NOW) == ClockStep(60_000, 0, 5, False)
