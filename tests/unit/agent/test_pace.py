"""How often the agent samples while somebody looks at its server."""

from bongsu.agent.pace import LAPSE_SECONDS, REST_SECONDS, Pace
from tests.support.clock import FakeClock


class World:
    def __init__(self, own_ms: int = 10_000, fastest_ms: int = 1_000) -> None:
        self.clock = FakeClock()
        self.hurries = 0
        self.pace = Pace(own_ms, fastest_ms, monotonic=self.clock.monotonic)
        self.pace.hurry = self.hurry

    def hurry(self) -> None:
        self.hurries += 1


def test_it_samples_as_configured_until_it_is_asked() -> None:
    world = World()
    assert (world.pace.interval_ms, world.pace.is_fast, world.hurries) == (10_000, False, 0)
    world.pace.asked(1_000)
    assert (world.pace.interval_ms, world.pace.is_fast, world.hurries) == (1_000, True, 1)
    world.pace.asked(1_000)
    assert world.hurries == 1, "the next tick is near already"
    world.pace.asked(0)
    assert (world.pace.interval_ms, world.pace.is_fast) == (10_000, False)


def test_without_answers_it_goes_back_by_itself() -> None:
    world = World()
    world.pace.asked(1_000)
    world.clock.advance(LAPSE_SECONDS - 1)
    assert world.pace.is_fast
    world.clock.advance(1)
    assert not world.pace.is_fast


def test_nobody_can_ask_for_more_than_is_configured() -> None:
    for fastest_ms, expected in ((2_000, 2_000), (0, 10_000)):
        world = World(fastest_ms=fastest_ms)
        world.pace.asked(1_000)
        assert world.pace.interval_ms == expected


def test_it_is_never_asked_to_sample_less_often() -> None:
    world = World(own_ms=1_000)
    world.pace.asked(60_000)
    assert world.pace.interval_ms == 1_000


def test_what_costs_too_much_is_not_done_again_for_a_while() -> None:
    world = World()
    world.pace.asked(1_000)
    for expected in (2_000, 4_000, 8_000, 10_000):
        world.pace.slow_down()
        assert world.pace.interval_ms == expected
        world.pace.asked(1_000)
        assert world.pace.interval_ms == expected
    world.clock.advance(REST_SECONDS)
    world.pace.asked(1_000)
    assert world.pace.interval_ms == 1_000
