"""How much a push carries."""

from bongsu.agent.delivery.payloads import BatchLimit
from bongsu.core.samples import Frame, ProcessList
from bongsu.wire.limits import MAX_LAYOUTS


def test_the_first_payload_is_always_taken() -> None:
    limit = BatchLimit(1, 10)
    assert limit.takes(Frame(1, 0, bytes(100)))
    assert not limit.takes(Frame(1, 0, b""))


def test_bytes_are_limited() -> None:
    limit = BatchLimit(100, 20)
    assert [limit.takes(Frame(1, 0, bytes(8))) for _ in range(3)] == [True, True, False]


def test_layouts_are_limited() -> None:
    limit = BatchLimit(100)
    assert all(limit.takes(Frame(number, 0, bytes(8))) for number in range(MAX_LAYOUTS))
    assert limit.takes(Frame(0, 1, bytes(8)))
    assert limit.takes(ProcessList(1))
    assert not limit.takes(Frame(MAX_LAYOUTS, 1, bytes(8)))
