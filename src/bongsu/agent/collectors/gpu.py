"""NVIDIA GPUs, if the package nvidia-ml-py is installed."""

import importlib
from collections.abc import Callable, Iterable
from typing import Any

from bongsu.agent.collectors.base import Collector, Counter, Gauge, Labels, Options, Ps, Reading

# NVML_TEMPERATURE_GPU in nvmlTemperatureSensors_t
_TEMPERATURE_GPU = 0


class GpuCollector(Collector):
    """Usage, memory, temperature, power and energy of each GPU.

    Source: NVML through ``pynvml`` (nvidia-ml-py). Without the package, a driver or a GPU, it silently reports nothing.
    Values that a card does not support are left out.
    """

    name = "gpu"
    metrics = (
        Gauge("gpu_usage_ratio", "Share of the time in which the GPU was busy."),
        Gauge("gpu_memory_total_bytes", "Memory of the GPU."),
        Gauge("gpu_memory_used_bytes", "Memory of the GPU in use."),
        Gauge("gpu_temperature_celsius", "Temperature of the GPU."),
        Gauge("gpu_power_watts", "Power that the GPU draws."),
        Counter("gpu_energy_joules_total", "Energy that the GPU used since its driver was loaded."),
    )

    def __init__(self, ps: Ps, options: Options | None = None, *, nvml: Any = None) -> None:
        super().__init__(ps, options)
        self._nvml = nvml or _load()
        self._gpus: list[tuple[Any, Labels]] = []
        if self._nvml is None:
            return
        try:
            self._nvml.nvmlInit()
            for index in range(self._nvml.nvmlDeviceGetCount()):
                handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
                raw_name = self._nvml.nvmlDeviceGetName(handle)
                name = raw_name.decode() if isinstance(raw_name, bytes) else str(raw_name)
                self._gpus.append((handle, (("gpu", str(index)), ("name", name))))
        except self._nvml.NVMLError:  # the package is installed, the driver is not
            self._gpus = []

    def collect(self) -> Iterable[Reading]:
        nvml = self._nvml
        for handle, labels in self._gpus:
            reads: tuple[tuple[str, Callable[[Any], float]], ...] = (
                ("gpu_usage_ratio", lambda handle: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100),
                ("gpu_memory_total_bytes", lambda handle: nvml.nvmlDeviceGetMemoryInfo(handle).total),
                ("gpu_memory_used_bytes", lambda handle: nvml.nvmlDeviceGetMemoryInfo(handle).used),
                ("gpu_temperature_celsius", lambda handle: nvml.nvmlDeviceGetTemperature(handle, _TEMPERATURE_GPU)),
                ("gpu_power_watts", lambda handle: nvml.nvmlDeviceGetPowerUsage(handle) / 1000),
                ("gpu_energy_joules_total", lambda handle: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000),
            )
            for metric, read in reads:
                try:
                    value = read(handle)
                except nvml.NVMLError:  # not supported by this card
                    continue
                yield Reading(metric, value, labels)


def _load() -> Any:
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        return None
