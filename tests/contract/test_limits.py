"""The agent stays within the limits that the API server has by default."""

from bongsu.agent import api_limits
from bongsu.server.config import Limits

UTF8_BYTES_PER_CHAR = 4


def test_the_agent_knows_the_limits_of_the_server() -> None:
    server = Limits()
    assert server.series_per_layout == api_limits.MAX_SERIES
    assert server.labels_per_series == api_limits.MAX_LABELS
    assert server.label_bytes == api_limits.MAX_LABEL_BYTES
    assert server.frames_per_request == api_limits.MAX_FRAMES
    assert server.body_bytes == api_limits.MAX_BODY_BYTES
    assert server.processes_per_list == api_limits.MAX_PROCESSES
    assert server.process_name_bytes == api_limits.MAX_PROCESS_NAME_CHARS * UTF8_BYTES_PER_CHAR
