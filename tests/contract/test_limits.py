"""Agent and simulator stay within the limits that the API server has by default."""

from bongsu.server.config import Limits
from bongsu.wire import limits

UTF8_BYTES_PER_CHAR = 4


def test_agent_and_simulator_know_the_limits_of_the_server() -> None:
    server = Limits()
    assert server.series_per_layout == limits.MAX_SERIES
    assert server.labels_per_series == limits.MAX_LABELS
    assert server.label_bytes == limits.MAX_LABEL_BYTES
    assert server.frames_per_request == limits.MAX_FRAMES
    assert server.layouts_per_request == limits.MAX_LAYOUTS
    assert server.body_bytes == limits.MAX_BODY_BYTES
    assert server.process_lists_per_request == limits.MAX_PROCESS_LISTS
    assert server.processes_per_list == limits.MAX_PROCESSES
    assert server.process_name_bytes == limits.MAX_PROCESS_NAME_CHARS * UTF8_BYTES_PER_CHAR
    assert server.container_lists_per_request == limits.MAX_CONTAINER_LISTS
    assert server.containers_per_list == limits.MAX_CONTAINERS == limits.MAX_CONTAINER_EVENTS
