"""Network mounts that do not answer."""

import threading

import pytest

from bongsu.agent.collectors.filesystem_usage import MAX_HANGING, FilesystemUsage, UsageProber


def test_many_dead_mounts_start_few_threads() -> None:
    back = threading.Event()

    def usage(path: str) -> FilesystemUsage:
        back.wait()
        return FilesystemUsage(1, 1, 0)

    prober = UsageProber(usage, wait_seconds=0.001)
    try:
        for number in range(MAX_HANGING + 5):
            with pytest.raises(TimeoutError):
                prober.usage(f"/nfs/{number}")
        assert sum(thread.name == "bongsu-mount" for thread in threading.enumerate()) == MAX_HANGING
    finally:
        back.set()
