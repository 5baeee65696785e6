"""The moving average of the weights, beside its formula."""

import json

import pytest
import torch
from safetensors.torch import load_file

from mlrpl.training import loop
from mlrpl.training.averages import WeightAverage, average_of
from mlrpl.training.checkpoints import Checkpoint
from mlrpl.training.gradients import GraphedGradients
from mlrpl.training.loop import Splits, score, train
from support import tiny
from support.trainings import StandIn, make, run, train_quietly

STEPS = 4  # of an epoch: 60 images, 16 at once
# Batch normalisation, and a transfer with a state of its own; one without either.
CASES = [
    {"head": "ggnn", "transfer": "sst", "optimizer": "adam", "lr": 0.01},
    {"head": "linear", "schedule": "one_cycle", "warmup_epochs": 0},
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tiny.write_files(tmp_path_factory.mktemp("files"))


def equal(ours, theirs) -> bool:
    return set(ours) == set(theirs) and all(
        torch.equal(tensor, theirs[name]) for name, tensor in ours.items()
    )


def head(method) -> dict[str, torch.Tensor]:
    return {n: t.clone() for n, t in method.head.state_dict().items()}


def followed(files, monkeypatch, **changed):
    """A training, its head after each step of the optimiser, and at the start."""
    made = make(files, epochs=3, **changed)
    method, training, test, options = made
    steps = [head(method)]
    after = method.after_step

    def noted():
        after()
        steps.append(head(method))

    monkeypatch.setattr(method, "after_step", noted)
    result = train_quietly(method, options, training, test)
    return made, result, steps


@pytest.mark.parametrize("ema", [{"ema": "step"}, {"ema": "epoch"}], ids=str)
@pytest.mark.parametrize("changed", CASES, ids=str)
def test_it_is_the_formulas(files, monkeypatch, changed, ema):
    decay = 0.6 if ema["ema"] == "step" else 0.6 ** (1 / STEPS)
    changed = {**changed, **ema, "ema_decay": 0.6}
    (method, *_), _, steps = followed(files, monkeypatch, **changed)
    assert len(steps) == 1 + 3 * STEPS
    for name, tensor in head(method).items():
        values = [step[name] for step in steps]
        if not tensor.is_floating_point():  # batches that were seen
            assert torch.equal(tensor, values[-1])
            continue
        # In closed form: how much each step is part of it.
        count = len(values) - 1
        expected = decay**count * values[0].double()
        for number, value in enumerate(values[1:], start=1):
            share = (1 - decay) * decay ** (count - number)
            expected = expected + share * value.double()
        torch.testing.assert_close(tensor.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("changed", CASES, ids=str)
def test_the_training_is_the_one_without(files, monkeypatch, changed):
    """The average is looked at, and changes neither weights nor pseudo labels."""
    plain, averaged = ({}, {"ema": "step", "ema_decay": 0.6})
    (without, *_), first, expected = followed(files, monkeypatch, **changed, **plain)
    (method, _, test, _), second, found = followed(
        *(files, monkeypatch), **changed, **averaged
    )
    assert all(equal(a, b) for a, b in zip(found, expected, strict=True))
    losses = [[epoch.loss for epoch in result.history] for result in (first, second)]
    assert losses[0] == losses[1]
    for part in ("transfer", "loss_part"):
        ours, theirs = (getattr(m, part).state_dict() for m in (method, without))
        assert equal(ours, theirs)
    # What is tested and kept is the average.
    assert not equal(head(method), head(without))
    assert (second.last == score(method, test)).all()
    assert (second.last != first.last).any()


@pytest.mark.parametrize("changed", CASES, ids=str)
@pytest.mark.parametrize("killed_after", [1, 3])
def test_a_killed_training_goes_on_to_the_same_bits(
    files, tmp_path, changed, killed_after
):
    changed = {**changed, "ema": "epoch", "ema_decay": 0.82, "epochs": 5}
    method, training, test, options = make(files, **changed)
    whole = train_quietly(method, options, training, test)
    first, *_ = make(files, **changed)
    epochs = []

    def mean_ap(scores, targets):
        epochs.append(1)
        if len(epochs) > killed_after:
            raise KeyboardInterrupt
        return 1.0

    path = tmp_path / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt):
        train(
            *(first, options, Splits(training, test), 0, mean_ap),
            progress=False,
            checkpoint=Checkpoint(path, "same", interval=0),
        )
    again, *_ = make(files, **changed)
    result = train_quietly(
        *(again, options, training, test), checkpoint=Checkpoint(path, "same")
    )
    assert result.history[0].epoch == 1 and len(result.history) == 5
    assert equal(again.state_dict(), method.state_dict())
    assert (result.last == whole.last).all()


def test_a_checkpoint_without_an_average_is_left(files, tmp_path, capsys):
    method, training, test, options = make(files, head="linear", epochs=2)
    path = tmp_path / "checkpoint.pt"
    checkpoint = Checkpoint(path, "same", interval=0)
    train_quietly(method, options, training, test, checkpoint=checkpoint)
    again, *_, other = make(files, head="linear", epochs=2, ema="step")
    before = head(again)
    average = average_of(again, other, STEPS)
    optimizer = loop.make_optimizer(other, again)
    assert loop.restore(Checkpoint(path, "same"), again, optimizer, average) is None
    assert "does not fit" in capsys.readouterr().err
    assert equal(head(again), before)


@pytest.mark.parametrize("changed", CASES, ids=str)
def test_a_graph_has_the_same_bits(files, monkeypatch, changed):
    """It reads the weights' places in memory, where the average is in a test."""
    changed = {**changed, "ema": "step", "ema_decay": 0.6, "epochs": 3}
    states, places = [], []
    for made in (loop.gradients_of, lambda m, _: GraphedGradients(m, StandIn())):
        monkeypatch.setattr(loop, "gradients_of", made)
        method, training, test, options = make(files, **changed)
        before = [tensor.data_ptr() for tensor in method.parameters()]
        train_quietly(method, options, training, test)
        states.append(method.state_dict())
        places.append(before == [t.data_ptr() for t in method.parameters()])
    assert equal(*states) and all(places)


def test_the_weights_are_put_back_whatever_happens(files):
    method, *_ = make(files, head="linear")
    average = WeightAverage(method, 0.5)
    with torch.no_grad():
        for parameter in method.head.parameters():
            parameter.add_(1)
    before = head(method)
    with pytest.raises(KeyboardInterrupt), average.in_place():
        assert equal(head(method), average.state)
        raise KeyboardInterrupt
    assert equal(head(method), before) and not equal(before, average.state)


def test_without_the_option_there_is_none(files):
    method, *_, options = make(files, head="linear")
    assert average_of(method, options, 0) is None and "ema_decay" not in options


def test_a_run_keeps_the_average(files, tmp_path):
    options = {"head": "linear", "ema": "step", "ema_decay": 0.6, "epochs": 2}
    assert run(files, tmp_path, **options) == 0
    said = json.loads((tmp_path / "run.json").read_text())["options"]
    assert (said["ema"], said["ema_decay"]) == ("step", 0.6)
    method, training, test, found = make(files, **options)
    train_quietly(method, found, training, test)
    assert equal(load_file(tmp_path / "weights.safetensors"), method.state_dict())
