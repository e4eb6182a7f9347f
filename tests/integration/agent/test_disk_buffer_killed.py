"""The disk buffer of a process that is killed."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from tests.support.buffers import drain, open_buffer
from tests.support.clock import FakeClock


def test_kill_9_while_writing_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import sys
        sys.path.insert(0, sys.argv[2])
        from tests.support.agent_fakes import a_frame
        from tests.support.clock import FakeClock
        from tests.support.buffers import LAYOUT, open_buffer
        from pathlib import Path
        clock = FakeClock()
        buffer = open_buffer(Path(sys.argv[1]), clock, segment_bytes=4096)
        clock.advance(int(sys.argv[3]))
        while True:
            buffer.append(a_frame(clock.now_ms(), LAYOUT), LAYOUT)
            clock.advance(1)
            sys.stdout.write(f"{clock.now_ms()}\\n")
            sys.stdout.flush()
    """)
    written = 0
    for round_number in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), os.getcwd(), str(written)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(100 + 37 * round_number):
            process.stdout.readline()
        process.kill()
        remaining_lines = process.stdout.read().decode().split()
        process.wait()
        process.stdout.close()
        # everything that the process printed was appended, and perhaps one more record
        acknowledged = written + 100 + 37 * round_number + len([line for line in remaining_lines if len(line) == 13])
        buffer = open_buffer(tmp_path, FakeClock())
        assert acknowledged <= len(buffer) <= acknowledged + 1
        written = len(buffer)
    assert drain(open_buffer(tmp_path, FakeClock())) == list(range(written))
