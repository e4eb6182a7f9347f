"""The file format of the disk buffer."""

from bongsu.agent.delivery import segments
from bongsu.core.series import Kind, Layout, Series


def test_a_layout_is_read_back_unchanged() -> None:
    layout = Layout.of((Series("a_total", (("x", "y\n"), ("z", "é")), "bytes", Kind.COUNTER), Series("b")))
    ((content, _),) = segments.records(segments.layout_record(layout))
    assert segments.read_layout(content) == layout
