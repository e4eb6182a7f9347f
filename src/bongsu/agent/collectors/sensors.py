"""Temperatures, fans, battery and CPU frequency."""

from collections.abc import Iterable
from typing import Any

from bongsu.agent.collectors.base import Collector, Filter, Gauge, Labels, Options, Ps, Reading


class SensorsCollector(Collector):
    """Hardware sensors.

    Source: ``psutil.sensors_temperatures``, ``sensors_fans``, ``sensors_battery`` and ``cpu_freq``. What the platform
    or the machine does not have is left out. Filter: ``chips``.
    """

    name = "sensors"
    # a chip on a slow bus takes milliseconds to answer
    interval_seconds = 30
    filters = ("chips",)
    metrics = (
        Gauge("sensor_temperature_celsius", "Temperature of a sensor."),
        Gauge("sensor_fan_rpm", "Speed of a fan."),
        Gauge("battery_charge_ratio", "Charge of the battery."),
        Gauge("battery_plugged", "1 on mains, 0 on battery."),
        Gauge("battery_left_seconds", "Time that the battery will last, as the system estimates."),
        Gauge("cpu_frequency_hertz", "Average frequency of the cores."),
    )

    def __init__(self, ps: Ps, options: Options | None = None) -> None:
        super().__init__(ps, options)
        self._chips = self._options.filter("chips", Filter())

    def collect(self) -> Iterable[Reading]:
        yield from self._group("sensors_temperatures", "sensor_temperature_celsius")
        yield from self._group("sensors_fans", "sensor_fan_rpm")
        battery = self._call("sensors_battery")
        if battery is not None:
            yield Reading("battery_charge_ratio", battery.percent / 100)
            if battery.power_plugged is not None:
                yield Reading("battery_plugged", 1.0 if battery.power_plugged else 0.0)
            # psutil returns negative numbers for unlimited and unknown
            if battery.secsleft is not None and battery.secsleft > 0:
                yield Reading("battery_left_seconds", battery.secsleft)
        frequency = self._call("cpu_freq")
        if frequency is not None and frequency.current > 0:
            yield Reading("cpu_frequency_hertz", frequency.current * 1e6)

    def _group(self, function: str, metric: str) -> Iterable[Reading]:
        for chip, sensors in (self._call(function) or {}).items():
            if not self._chips(chip):
                continue
            used_labels: set[str] = set()
            for number, sensor in enumerate(sensors, start=1):
                # several sensors of a chip may have no label, or the same one
                label = sensor.label
                if not label or label in used_labels:
                    label = f"{label}{number}"
                used_labels.add(label)
                labels: Labels = (("chip", chip), ("sensor", label))
                if sensor.current is not None:
                    yield Reading(metric, sensor.current, labels)

    def _call(self, name: str) -> Any:
        """Calls a function of psutil. None if psutil does not have it on this platform, or if the driver fails."""
        function = getattr(self._ps, name, None)
        if function is None:
            return None
        try:
            return function()
        except (OSError, NotImplementedError, RuntimeError, ValueError) as error:
            self._options.report_problem(f"sensors {name}", f"psutil.{name} fails: {error}")
            return None
