"""The learning rate, epoch by epoch or step by step, against torch's schedules."""

import numpy as np
import pytest
import torch

from mlrpl.config.options import Options
from mlrpl.training.schedule import Rate, learning_rate, rates


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


@pytest.mark.parametrize(
    ("run", "lr"),
    {
        "dualcoop_coco": 0.002,
        "dualcoop_voc": 0.001,
        "positivecoop_example": 0.5,
        "dualcooppp": 0.005,
        "paper_warmup5e-4": 0.002,
    }.items(),
)
def test_the_learning_rate_is_that_of_the_public_codes_scheduler(run, lr, oracles):
    with np.load(oracles / "methods/dassl_warmup_cosine_lr_per_epoch.npz") as data:
        theirs = data[f"{run}.recount_True"]
    given = {"lr": lr, "warmup_lr": float(theirs[0]), "epochs": len(theirs)}
    options = Options.from_dict(given)
    ours = [learning_rate(options, epoch) for epoch in range(len(theirs))]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-9)


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


def one_cycle(**changes) -> Options:
    given = {"schedule": "one_cycle", "warmup_epochs": 0, "lr": 0.08, "epochs": 6}
    return Options.from_dict({**given, **changes})


@pytest.mark.parametrize("pct", [0.0, 0.1, 0.2, 0.3, 0.55, 1.0])
@pytest.mark.parametrize("kind", ["sgd", "adam"])
@pytest.mark.parametrize("steps", [1, 7])
def test_one_cycle_is_torchs(pct, kind, steps):
    options = one_cycle(one_cycle_pct=pct)
    weight = [torch.nn.Parameter(torch.zeros(1))]
    optimizer = (
        torch.optim.SGD(weight, lr=1, momentum=0.9)
        if kind == "sgd"
        else torch.optim.Adam(weight)
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.08, epochs=6, steps_per_epoch=steps, pct_start=pct
    )
    found = [rate for epoch in range(6) for rate in rates(options, epoch, steps)]
    assert len(found) == 6 * steps
    for number, rate in enumerate(found):
        (group,) = optimizer.param_groups
        momentum = group["momentum"] if kind == "sgd" else group["betas"][0]
        assert rate == pytest.approx((group["lr"], momentum), rel=1e-12)
        optimizer.step()
        if number + 1 < len(found):
            schedule.step()


def test_a_cycle_that_is_longer_than_the_training_is_left_on_the_way():
    whole = [
        rate for epoch in range(9) for rate in rates(one_cycle(epochs=9), epoch, 4)
    ]
    options = one_cycle(one_cycle_epochs=9)
    found = [rate for epoch in range(6) for rate in rates(options, epoch, 4)]
    assert found == whole[:24]
    # And one that is shorter stays where it ends.
    shorter = one_cycle(one_cycle_epochs=2, one_cycle_pct=1)
    assert rates(shorter, 1, 4)[-1] == Rate(0.08, 0.85)
    shorter = one_cycle(one_cycle_epochs=2)
    assert set(rates(shorter, 2, 4)) == {rates(shorter, 1, 4)[-1]}


def test_the_cycle_follows_the_warm_up_and_can_leave_the_momentum():
    options = one_cycle(epochs=7, warmup_epochs=1, one_cycle_momentum=False)
    assert rates(options, 0, 4) == [Rate(options.warmup_lr)] * 4
    expected = [Rate(rate.lr) for rate in rates(one_cycle(), 5, 4)]
    assert rates(options, 6, 4) == expected


def test_the_other_schedules_have_one_rate_an_epoch():
    for schedule in ("cosine", "constant", "step"):
        options = Options.from_dict({"schedule": schedule})
        for epoch in (0, 1, 30):
            rate = Rate(learning_rate(options, epoch), None)
            assert rates(options, epoch, 3) == [rate] * 3
