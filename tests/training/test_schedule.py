"""The learning rate, epoch by epoch, against torch's own schedules."""

import pytest
import torch

from mlrpl.config.options import Options
from mlrpl.training.schedule import learning_rate


def test_the_learning_rate_is_coops():
    options = Options.from_dict({})
    rates = [learning_rate(options, epoch) for epoch in range(100)]
    assert rates[:2] == [0.0005, 0.002]
    assert rates[51] == pytest.approx(0.001)
    # torch's own schedule over the epochs after the warm-up.
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.002)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
    for rate in rates[1:]:
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()


def test_the_learning_rate_falls_in_steps_as_torchs():
    options = Options.from_dict(
        {"schedule": "step", "step_epochs": 4, "step_factor": 0.5, "lr": 0.08}
    )
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.08)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 4, 0.5)
    assert learning_rate(options, 0) == options.warmup_lr
    for epoch in range(1, 14):
        rate = learning_rate(options, epoch)
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rate == pytest.approx(0.01)
