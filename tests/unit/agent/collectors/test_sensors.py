"""Sensors from given readings."""

from collections import namedtuple
from types import SimpleNamespace

from bongsu.agent.collectors.base import Filter, Options
from bongsu.agent.collectors.sensors import SensorsCollector
from tests.support.agent_fakes import by_series, fake_ps

Sensor = namedtuple("Sensor", "label current high critical")


def test_all_kinds_of_sensors() -> None:
    ps = fake_ps(
        sensors_temperatures={"coretemp": [Sensor("Core 0", 51.0, 80, 90), Sensor("", 49.0, 80, 90)]},
        sensors_fans={"thinkpad": [SimpleNamespace(label="", current=2100)]},
        sensors_battery=SimpleNamespace(percent=80, power_plugged=False, secsleft=3600),
        cpu_freq=SimpleNamespace(current=2400.0),
    )
    assert by_series(SensorsCollector(ps).collect()) == {
        "sensor_temperature_celsius[coretemp][Core 0]": 51,
        "sensor_temperature_celsius[coretemp][2]": 49,
        "sensor_fan_rpm[thinkpad][1]": 2100,
        "battery_charge_ratio": 0.8,
        "battery_plugged": 0,
        "battery_left_seconds": 3600,
        "cpu_frequency_hertz": 2.4e9,
    }


def test_sensors_that_fail_or_are_missing() -> None:
    def broken():
        raise OSError("no such chip")

    notes: list[str] = []
    ps = fake_ps(sensors_temperatures=broken, sensors_battery=lambda: None, cpu_freq=lambda: None)
    assert (
        list(SensorsCollector(ps, Options(report_problem=lambda topic, problem: notes.append(problem))).collect()) == []
    )
    assert notes == ["psutil.sensors_temperatures fails: no such chip"]


def test_chips_are_chosen_by_pattern() -> None:
    ps = fake_ps(sensors_temperatures={"coretemp": [Sensor("a", 1, 1, 1)], "nvme": [Sensor("b", 2, 1, 1)]})
    options = Options({"chips": Filter(exclude=("nvme",))})
    assert list(by_series(SensorsCollector(ps, options).collect())) == ["sensor_temperature_celsius[coretemp][a]"]
