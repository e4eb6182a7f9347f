import pytest

from bongsu.server.live.post import BUSY_SHARE, FULL_SHARE, MOST_STRETCH, Load


class Cpu:
    """The CPU time of a process."""

    def __init__(self) -> None:
        self.seconds = 3.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize(
    ("share", "stretch"),
    [
        (0.0, 1.0),
        (BUSY_SHARE, 1.0),
        ((BUSY_SHARE + FULL_SHARE) / 2, (1 + MOST_STRETCH) / 2),
        (FULL_SHARE, MOST_STRETCH),
        # With threads that do not hold the interpreter lock.
        (1.7, MOST_STRETCH),
    ],
)
def test_clients_rest_longer_the_busier_the_process_is(share: float, stretch: float) -> None:
    cpu = Cpu()
    load = Load(cpu)
    load.look(1_000.0)
    assert load.stretch == 1.0, "what came before does not count"
    cpu.seconds += 2 * share
    load.look(1_002.0)
    assert load.stretch == pytest.approx(stretch)
    load.look(1_004.0)
    assert load.stretch == 1.0, "and no longer than it is busy"


def test_a_moment_is_too_short_to_tell() -> None:
    cpu = Cpu()
    load = Load(cpu)
    load.look(1_000.0)
    cpu.seconds += 0.5
    load.look(1_000.5)
    assert load.stretch == 1.0
