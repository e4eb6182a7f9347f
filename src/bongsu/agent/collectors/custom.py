"""Custom metrics, from scripts and from programs that use StatsD.

Their series have a layout of their own, so that they can come and go without changing the main layout.
"""

import time
from collections.abc import Callable, Iterable
from typing import ClassVar

from bongsu.agent.collectors.base import Collector, Counter, Gauge, Options, Ps, Reading
from bongsu.agent.collectors.custom_metrics import MAX_CUSTOM_SERIES, CustomValues
from bongsu.agent.collectors.custom_scripts import Script
from bongsu.agent.collectors.custom_statsd import StatsD
from bongsu.agent.config_values import parse_positive_duration, parse_text

DEFAULT_TIMEOUT_MS = 30_000


class CustomCollector(Collector):
    """Scripts and StatsD.

    Settings: ``scripts``, a mapping of name to command; ``timeout``, after which a script is killed; ``statsd``, a
    loopback address such as ``127.0.0.1:8125``.
    """

    name = "custom"
    own_layout = True
    settings: ClassVar = {"statsd": parse_text, "timeout": parse_positive_duration}
    mappings = ("scripts",)

    def __init__(
        self, ps: Ps, options: Options | None = None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(ps, options)
        settings = self._options.settings
        timeout_seconds = settings.get("timeout", DEFAULT_TIMEOUT_MS) / 1000
        scripts: dict[str, str] = settings.get("scripts", {})
        self._scripts = [Script(name, command, timeout_seconds, monotonic) for name, command in scripts.items()]
        address: str = settings.get("statsd", "")
        self._statsd = StatsD(address, self._options.report_problem) if address and self._options.may_listen else None

    def collect(self) -> Iterable[Reading]:
        values: CustomValues = {}
        for script in self._scripts:
            problem = script.poll()
            if problem:
                self._options.report_problem(f"script {script.name}", f"the script {script.name} {problem}")
            values.update(script.values)
        if self._statsd is not None:
            values.update(self._statsd.values())
        for (name, labels), (value, is_counter) in list(values.items())[:MAX_CUSTOM_SERIES]:
            if name not in self.discovered:
                metric_class = Counter if is_counter else Gauge
                self.discovered[name] = metric_class(name, "Supplied by a script or through StatsD.")
            yield Reading(name, value, labels)
        if len(values) > MAX_CUSTOM_SERIES:
            self._options.report_problem(
                "custom", f"there are more than {MAX_CUSTOM_SERIES} custom series; the rest is not sent"
            )

    def close(self) -> None:
        if self._statsd is not None:
            self._statsd.close()
        for script in self._scripts:
            script.stop()
