"""Runs scripts that print values.

A script prints lines of ``name value`` or ``name{label="x"} value``, or a single number, which gets the name of the
script. Names that end in ``_total`` are counters.
"""

import os
import re
import shlex
import subprocess
from collections.abc import Callable

from bongsu.agent.collectors.custom_metrics import CustomValue, CustomValues, custom_name
from bongsu.core.errors import ConfigError

# A pipe holds 64 KB. A script that prints more blocks until its timeout.
MAX_OUTPUT_BYTES = 65_536
_LINE = re.compile(r"\s*([A-Za-z_:][\w:.-]*)\s*(?:\{(.*)\})?\s+(\S+)(?:\s+\d+)?\s*")
_LABEL = re.compile(r'\s*([A-Za-z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?')


class Script:
    """Starts a command at one tick and reads its output at a later one, so that no script delays a sample."""

    def __init__(self, name: str, command: str, timeout_seconds: float, monotonic: Callable[[], float]) -> None:
        self.name = name
        self.values: CustomValues = {}
        try:
            self._arguments = shlex.split(command)
        except ValueError as error:
            raise ConfigError(f"The command of the script {name} is incomplete: {error}.") from None
        self._timeout_seconds = timeout_seconds
        self._monotonic = monotonic
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0

    def poll(self) -> str:
        """Reads the output of the previous run if it has ended, and starts the next. Returns the problem, if any."""
        problem = ""
        if self._process is not None:
            if self._process.poll() is None:
                if self._monotonic() - self._started_at < self._timeout_seconds:
                    return ""
                self.stop()
                problem = f"did not end within {self._timeout_seconds:g} s and was killed"
            else:
                problem = self._read_output(self._process)
                self._process = None
        if problem:
            self.values = {}
        try:
            self._process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # scripts must not see the agent's token
                env={name: value for name, value in os.environ.items() if not name.startswith("BONGSU_")},
            )
        except OSError as error:
            self.values = {}
            return f"cannot be started: {error.strerror}"
        self._started_at = self._monotonic()
        return problem

    def _read_output(self, process: "subprocess.Popen[bytes]") -> str:
        assert process.stdout is not None
        output = process.stdout.read(MAX_OUTPUT_BYTES).decode(errors="replace")
        process.stdout.close()
        if process.returncode:
            return f"exited with status {process.returncode}"
        self.values, problem = parse_output(self.name, output)
        return problem

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None


def parse_output(script_name: str, output: str) -> tuple[CustomValues, str]:
    """The values that a script printed, and the problem with its output, if any. Lines that begin with # are
    comments."""
    values: CustomValues = {}
    problem = ""
    for line in output.splitlines():
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        name, label_text, number = (match[1], match[2], match[3]) if match else (script_name, None, text)
        try:
            value = float(number)
        except ValueError:
            problem = f"printed {text[:60]!r}, which is not a name and a number"
            continue
        labels = tuple(sorted((label[1], label[2]) for label in _LABEL.finditer(label_text or "")))
        values[(custom_name(name), labels)] = CustomValue(value, name.endswith("_total"))
    return values, problem
