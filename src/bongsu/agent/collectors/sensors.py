"""Temperatures, fans, battery, and the frequency of the cores."""

from collections.abc import Iterable
from typing import Any

from bongsu.agent.collectors.base import Filter, Gauge, Labels, Options, Ps, Reading


class SensorsCollector:
    """What the hardware feels.

    Source: ``psutil.sensors_temperatures``, ``sensors_fans``, ``sensors_battery`` and ``cpu_freq``. Each is left out
    where the platform, or the machine, has none. Every 30 s: a chip on a slow bus takes milliseconds to answer. Filter
    ``chips``.
    """

    name = "sensors"
    interval_seconds = 30
    metrics = (
        Gauge("sensor_temperature_celsius", "Temperature of a sensor."),
        Gauge("sensor_fan_rpm", "Speed of a fan."),
        Gauge("battery_charge_ratio", "How full the battery is."),
        Gauge("battery_plugged", "1 on mains, 0 on battery."),
        Gauge("battery_left_seconds", "How long the battery will last, as the system estimates."),
        Gauge("cpu_frequency_hertz", "Frequency of the cores, averaged."),
    )

    def __init__(self, ps: Ps, options: Options | None = None) -> None:
        self._ps: Any = ps
        self._options = options or Options()
        self._chips = self._options.filter("chips", Filter())

    def collect(self) -> Iterable[Reading]:
        yield from self._group("sensors_temperatures", "sensor_temperature_celsius")
        yield from self._group("sensors_fans", "sensor_fan_rpm")
        battery = self._ask("sensors_battery")
        if battery is not None:
            yield Reading("battery_charge_ratio", battery.percent / 100)
            if battery.power_plugged is not None:
                yield Reading("battery_plugged", 1.0 if battery.power_plugged else 0.0)
            # psutil's two other answers are negative: unlimited, unknown
            if battery.secsleft is not None and battery.secsleft > 0:
                yield Reading("battery_left_seconds", battery.secsleft)
        frequency = self._ask("cpu_freq")
        if frequency is not None and frequency.current > 0:
            yield Reading("cpu_frequency_hertz", frequency.current * 1e6)

    def _group(self, function: str, metric: str) -> Iterable[Reading]:
        for chip, sensors in (self._ask(function) or {}).items():
            if not self._chips(chip):
                continue
            used: set[str] = set()
            for number, sensor in enumerate(sensors, start=1):
                # several sensors of a chip may have no label, or the same one
                label = sensor.label if sensor.label and sensor.label not in used else f"{sensor.label}{number}"
                used.add(label)
                labels: Labels = (("chip", chip), ("sensor", label))
                if sensor.current is not None:
                    yield Reading(metric, sensor.current, labels)

    def _ask(self, function: str) -> Any:
        """None where psutil does not have the function on this platform, or the driver fails."""
        ask = getattr(self._ps, function, None)
        if ask is None:
            return None
        try:
            return ask()
        except (OSError, NotImplementedError, RuntimeError, ValueError) as error:
            self._options.note(f"sensors {function}", f"psutil.{function} fails: {error}")
            return None
