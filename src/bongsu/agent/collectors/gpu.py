"""NVIDIA GPUs, when the package nvidia-ml-py is installed."""

import importlib
from collections.abc import Callable, Iterable
from typing import Any

from bongsu.agent.collectors.base import Counter, Gauge, Options, Ps, Reading

# NVML knows it by this number; see nvmlTemperatureSensors_t
_TEMPERATURE_GPU = 0


class GpuCollector:
    """Usage, memory, temperature, power and energy of each GPU.

    Source: NVML through ``pynvml`` (nvidia-ml-py). Without the package, a driver or a GPU there is nothing and no
    complaint; a value that a card does not have is left out.
    """

    name = "gpu"
    metrics = (
        Gauge("gpu_usage_ratio", "Share of the time in which the GPU computed."),
        Gauge("gpu_memory_total_bytes", "Memory of the GPU."),
        Gauge("gpu_memory_used_bytes", "Memory of the GPU in use."),
        Gauge("gpu_temperature_celsius", "Temperature of the GPU."),
        Gauge("gpu_power_watts", "Power that the GPU takes."),
        Counter("gpu_energy_joules_total", "Energy that the GPU took since its driver was loaded."),
    )

    def __init__(self, ps: Ps, options: Options | None = None, *, nvml: Any = None) -> None:
        self._nvml = nvml or _load()
        self._gpus: list[tuple[Any, tuple[tuple[str, str], ...]]] = []
        if self._nvml is None:
            return
        try:
            self._nvml.nvmlInit()
            for number in range(self._nvml.nvmlDeviceGetCount()):
                handle = self._nvml.nvmlDeviceGetHandleByIndex(number)
                name = self._nvml.nvmlDeviceGetName(handle)
                text = name.decode() if isinstance(name, bytes) else str(name)
                self._gpus.append((handle, (("gpu", str(number)), ("name", text))))
        except self._nvml.NVMLError:  # the package is there, the driver is not
            self._gpus = []

    def collect(self) -> Iterable[Reading]:
        nvml = self._nvml
        for handle, labels in self._gpus:
            asked: tuple[tuple[str, Callable[[Any], float]], ...] = (
                ("gpu_usage_ratio", lambda handle: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100),
                ("gpu_memory_total_bytes", lambda handle: nvml.nvmlDeviceGetMemoryInfo(handle).total),
                ("gpu_memory_used_bytes", lambda handle: nvml.nvmlDeviceGetMemoryInfo(handle).used),
                ("gpu_temperature_celsius", lambda handle: nvml.nvmlDeviceGetTemperature(handle, _TEMPERATURE_GPU)),
                ("gpu_power_watts", lambda handle: nvml.nvmlDeviceGetPowerUsage(handle) / 1000),
                ("gpu_energy_joules_total", lambda handle: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000),
            )
            for metric, ask in asked:
                try:
                    value = ask(handle)
                except nvml.NVMLError:  # not supported by this card
                    continue
                yield Reading(metric, value, labels)


def _load() -> Any:
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        return None
