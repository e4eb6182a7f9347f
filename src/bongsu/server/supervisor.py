"""Keeps the parts of Bongsu running as child processes. Imports little: it stays in memory as long as Bongsu runs.

A child that dies is restarted, with growing pauses. When this process ends, in whatever way, the pipe that is the
standard input of each child closes, and the children end by themselves.

On Linux, ``launch.py`` forks the first children from a process that has loaded what they share, and that process then
becomes this module: ``python -m bongsu.server.supervisor``.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

STOP_TIMEOUT_SECONDS = 15
# A child that has run for this long started well, so its next pause is the shortest again.
WELL_AFTER_SECONDS = 60
PAUSES_SECONDS = (1, 2, 5, 10, 30)
LOOK_SECONDS = 1.0
# Where the children are that were started before this process became a supervisor.
CHILDREN_VARIABLE = "BONGSU_CHILDREN"
STOPPING = (signal.SIGINT, signal.SIGTERM)


class Forked:
    """A child that was made by fork. Has what is used here of ``subprocess.Popen``. ``pipe``: its standard input."""

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self.pipe = pipe
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
        while (status := self.poll()) is None:
            if time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired("bongsu", timeout or 0.0)
            time.sleep(0.01)
        return status

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        os.close(self.pipe)


class Child:
    """One part of Bongsu."""

    def __init__(self, name: str, arguments: list[str], environment: dict[str, str] | None = None) -> None:
        self.name = name
        self.arguments = arguments
        self.environment = environment or {}
        self.process: subprocess.Popen[bytes] | Forked | None = None
        self.started = 0.0
        self.failures = 0
        self.start_at = 0.0

    def start(self) -> None:
        """Starts it in its own process group: Ctrl-C reaches only the parent, which stops the children in order."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bongsu.cli", *self.arguments],
            stdin=subprocess.PIPE,
            env=os.environ | self.environment | {"BONGSU_SUPERVISED": "1"},
            process_group=0 if os.name == "posix" else None,
        )
        self.started = time.monotonic()

    def fork(self, main: Callable[[Sequence[str]], int], others: "Sequence[Child]") -> None:
        """Starts it as a copy of this process, which must have no other threads. The copy shares the memory of all that
        is loaded, and runs ``main`` with its arguments. ``others``: forked before."""
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)  # to the supervisor that this process becomes
        # A signal now would be handled by the copy too.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        pid = os.fork()
        if pid == 0:
            # The ends of their pipes must not stay open here when the parent ends.
            for pipe in (writer, *(other.process.pipe for other in others if isinstance(other.process, Forked))):
                os.close(pipe)
            self._run(main, reader, mask)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(reader)
        self.process = Forked(pid, writer)
        self.started = time.monotonic()

    def _run(self, main: Callable[[Sequence[str]], int], reader: int, mask: set[int | signal.Signals]) -> None:
        """What a copy does. Does not return."""
        status = 1
        try:
            os.setpgid(0, 0)
            if reader != 0:
                os.dup2(reader, 0)
                os.close(reader)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.environ |= self.environment | {"BONGSU_SUPERVISED": "1"}
            status = main(self.arguments[1:])
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def stop(self) -> None:
        """Terminates it, and kills it if it does not end in time."""
        process = self.process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                print(f"{self.name} did not stop within {STOP_TIMEOUT_SECONDS} s and was killed", file=sys.stderr)
                process.kill()
                process.wait()
        if isinstance(process, Forked):
            process.close()
        elif process.stdin is not None:
            process.stdin.close()
        self.process = None


def name_process(name: str) -> None:
    """What ``ps -e`` and ``top`` show, which otherwise call every part of Bongsu Python. At most 15 bytes; on Linux."""
    with contextlib.suppress(OSError), open("/proc/self/comm", "w") as file:
        file.write(name)


class Stopped(Exception):
    """A signal asked this process to stop."""


class Supervisor:
    """Keeps children running until it is told to stop."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children

    def watch(self) -> None:
        """Starts children that do not run, and restarts those that die. Ends only by ``Stopped``."""
        if os.name == "posix":
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)  # blocked while this process became a supervisor
        while True:
            now = time.monotonic()
            for child in self._children:
                process = child.process
                if process is None:
                    if child.start_at <= now:
                        child.start()
                elif (status := process.poll()) is not None:
                    self._died(child, status, now)
            time.sleep(LOOK_SECONDS)

    def _died(self, child: Child, status: int, now: float) -> None:
        child.stop()
        if now - child.started > WELL_AFTER_SECONDS:
            child.failures = 0
        pause = PAUSES_SECONDS[min(child.failures, len(PAUSES_SECONDS) - 1)]
        child.failures += 1
        child.start_at = now + pause
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        print(f"{child.name} ended with {how}; restarting it in {pause} s", file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Stops the children, the last one first, so that the agent can still send its last frame."""
        for child in reversed(self._children):
            child.stop()


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    # A second Ctrl-C while the children stop must not leave them behind.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped


@contextlib.contextmanager
def stoppable(children: Sequence[Child]) -> Iterator[Supervisor]:
    """A supervisor that SIGINT and SIGTERM stop, and its children with it."""
    supervisor = Supervisor(children)
    for number in STOPPING:
        signal.signal(number, _on_signal)
    try:
        yield supervisor
    except Stopped:
        pass
    finally:
        supervisor.stop()


def keep(children: Sequence[Child]) -> int:
    """Keeps children running until a signal. Returns the exit status."""
    with stoppable(children) as supervisor:
        supervisor.watch()
    print("Bongsu stopped.", flush=True)
    return 0


def become_supervisor(children: Sequence[Child]) -> None:
    """Replaces this process by one that has nothing loaded but this module, and keeps the children. Does not return."""
    os.environ[CHILDREN_VARIABLE] = json.dumps(
        [
            [child.name, child.arguments, child.environment]
            + ([child.process.pid, child.process.pipe] if isinstance(child.process, Forked) else [])
            for child in children
        ]
    )
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    sys.stdout.flush()
    os.execv(  # noqa: S606
        sys.executable, [sys.executable, "-m", "bongsu.server.supervisor", *sys.argv[1:]]
    )


def _children() -> list[Child]:
    """The children of the process that became this one."""
    children = []
    for name, arguments, environment, *running in json.loads(os.environ.pop(CHILDREN_VARIABLE)):
        child = Child(name, arguments, environment)
        if running:
            child.process, child.started = Forked(*running), time.monotonic()
        children.append(child)
    return children


if __name__ == "__main__":
    name_process("bongsu")
    sys.exit(keep(_children()))
