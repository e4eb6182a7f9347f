"""GPUs through a fake NVML."""

from types import SimpleNamespace

from bongsu.agent.collectors.gpu import GpuCollector
from tests.support.agent_fakes import by_series, fake_ps


def test_a_gpu_that_does_not_support_everything() -> None:
    class NotSupportedError(Exception):
        pass

    def not_supported(handle):
        raise NotSupportedError

    nvml = SimpleNamespace(
        NVMLError=NotSupportedError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda number: "handle",
        nvmlDeviceGetName=lambda handle: b"Tesla T4",
        nvmlDeviceGetUtilizationRates=lambda handle: SimpleNamespace(gpu=37),
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(total=16, used=4),
        nvmlDeviceGetTemperature=lambda handle, sensor: 55,
        nvmlDeviceGetPowerUsage=lambda handle: 70_500,
        nvmlDeviceGetTotalEnergyConsumption=not_supported,
    )
    assert by_series(GpuCollector(fake_ps(), nvml=nvml).collect()) == {
        "gpu_usage_ratio[0][Tesla T4]": 0.37,
        "gpu_memory_total_bytes[0][Tesla T4]": 16,
        "gpu_memory_used_bytes[0][Tesla T4]": 4,
        "gpu_temperature_celsius[0][Tesla T4]": 55,
        "gpu_power_watts[0][Tesla T4]": 70.5,
    }


def test_a_machine_without_a_gpu_reports_no_problem() -> None:
    class DriverError(Exception):
        pass

    def no_driver():
        raise DriverError

    nvml = SimpleNamespace(NVMLError=DriverError, nvmlInit=no_driver)
    assert list(GpuCollector(fake_ps(), nvml=nvml).collect()) == []
