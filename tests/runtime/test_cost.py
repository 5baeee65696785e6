"""Memory and energy of a job; the driver's counter is stood in for."""

import ctypes
import resource

import numpy as np
import pytest
import torch

from mlrpl.runtime import cost

CPU = torch.device("cpu")


def test_a_cpu_has_its_own_peak_and_no_energy():
    found = cost.Meter(CPU).read()
    assert found["memory"]["device"] is None and found["energy"] == {"gpu": None}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # The system's own figure starts at that of the process which started this one.
    assert 10**8 < found["memory"]["host"] <= 1.01 * 1024 * peak
    before = cost.host_peak()
    taken = np.ones(before // 8 + 2**24)  # more than the process has ever had
    assert cost.host_peak() > before and taken.any()


class Driver:
    """NVML's functions, for one card that has counted some millijoules."""

    def __init__(self, millijoules: int, failing: str = ""):
        self.millijoules, self.failing, self.open = millijoules, failing, 0

    def nvmlInit_v2(self):
        self.open += self.failing != "init"
        return int(self.failing == "init")

    def nvmlShutdown(self):
        self.open -= 1
        return 0

    def nvmlDeviceGetHandleByUUID(self, uuid, handle):
        if self.failing == "handle":
            return 6
        assert uuid.value == b"GPU-1234"
        handle._obj.value = 77
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, handle, answer):
        assert handle.value == 77
        answer._obj.value = self.millijoules
        return 3 if self.failing == "energy" else 0


def test_energy_is_in_joules():
    driver = Driver(123_456)
    assert cost._counted(driver, "GPU-1234") == pytest.approx(123.456)
    assert driver.open == 0


@pytest.mark.parametrize("failing", ["init", "handle", "energy"])
def test_a_card_that_does_not_say_has_none(failing):
    driver = Driver(1, failing)
    assert cost._counted(driver, "GPU-1234") is None
    assert driver.open == 0


def test_the_energy_of_a_job_is_the_difference(monkeypatch):
    counted = iter([100.0, 250.5, 300.0, None])
    monkeypatch.setattr(cost, "gpu_energy", lambda device: next(counted))
    assert cost.Meter(CPU).read()["energy"] == {"gpu": 150.5}
    assert cost.Meter(CPU).read()["energy"] == {"gpu": None}


def test_without_the_drivers_library_there_is_none(monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert cost.gpu_energy(torch.device("cuda")) is None


@pytest.mark.gpu
def test_a_gpu_says_what_it_took():
    device = torch.device("cuda", 0)
    meter = cost.Meter(device)
    matrix = torch.randn(8192, 8192, device=device)
    for _ in range(200):
        matrix = torch.tanh(matrix @ matrix)
    torch.cuda.synchronize()
    found = meter.read()
    assert found["memory"]["device"] >= matrix.nbytes
    energy = found["energy"]["gpu"]
    assert energy is None or energy > 0
