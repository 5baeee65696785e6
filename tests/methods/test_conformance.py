"""Every part that the configuration can name keeps to what a method promises.

The entries are read from the schema: a new head, transfer, loss or visual module is
tested here by its line there.
"""

import inspect
import os
import signal
import subprocess
import sys
import typing

import pytest
import torch
from safetensors.torch import load_file

from mlrpl.config.options import options_schema, part_options
from mlrpl.methods.base import Head, Loss, Transfer
from mlrpl.methods.parts import part_class
from mlrpl.training.checkpoints import Checkpoint
from mlrpl.training.gradients import Gradients, GraphedGradients, State
from mlrpl.training.loop import Splits, make_optimizer, score, train
from support import tiny
from support.trainings import StandIn, arguments, make, run, train_quietly

PARTS = [
    (kind, name)
    for kind, spec in options_schema()["properties"].items()
    for name in spec.get("parts", ())
]
BASES = {"head": Head, "transfer": Transfer, "loss": Loss}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tiny.write_files(tmp_path_factory.mktemp("files"), views=2)


def equal(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return set(ours) == set(theirs) and all(
        torch.equal(tensor, theirs[name]) for name, tensor in ours.items()
    )


def copied(method) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in method.state_dict().items()}


def test_the_schema_names_the_parts_that_there_are():
    assert {kind for kind, _ in PARTS} == {*BASES, "visual"}
    assert ("head", "linear") in PARTS and ("transfer", "none") in PARTS


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_the_options_are_those_that_the_constructor_takes(kind, name):
    found = part_class(kind, name)
    taken: set[str] = set()
    for parameter in inspect.signature(found.__init__).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            taken.add(parameter.name)
        elif parameter.kind is parameter.VAR_KEYWORD:  # Unpack[of a TypedDict]
            [options] = typing.get_args(parameter.annotation)
            taken |= options.__required_keys__
    own = set(part_options(kind, name))
    # The head builds the part that one of its options chooses.
    own -= {option for option, _ in PARTS}
    assert taken == own
    assert issubclass(found, BASES.get(kind, torch.nn.Module))
    if kind in BASES:
        assert found.kind == kind
        # How many views a run compares is asked before there is a class.
        views = options_schema()["properties"]["transfer"]["views"]
        compared = views.get(name, 0) if kind == "transfer" else 0
        assert found.further_views == compared


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_a_step_trains_it(files, kind, name):
    method, training, _, options = make(files, **{kind: name})
    before = copied(method)
    batch = next(training.shuffled(16, 0, 1))
    method.train()
    loss = Gradients(method)(batch)
    assert loss.shape == () and torch.isfinite(loss)
    make_optimizer(options, method).step(0.1)
    method.after_step()
    trained = dict(method.named_parameters())
    grouped = [p for group in method.groups() for p in group.parameters]
    assert len(grouped) == len(trained)
    assert {id(p) for p in grouped} == {id(p) for p in trained.values()}
    assert any(not torch.equal(before[n], p) for n, p in trained.items())


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_scoring_changes_no_state(files, kind, name):
    method, _, test, _ = make(files, **{kind: name})
    method.train()
    before = State(method, torch.device("cpu"))
    first = score(method, test)
    assert not any(module.training for module in method.modules())
    assert first.shape == (len(test), len(tiny.CLASSES))
    assert before == State(method, torch.device("cpu"))
    assert (first == score(method, test)).all()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_it_goes_on_to_the_same_bits(files, tmp_path, kind, name, optimizer):
    changed = {kind: name, "optimizer": optimizer, "epochs": 5}
    method, training, test, options = make(files, **changed)
    whole = train_quietly(method, options, training, test)
    for killed_after in (1, 3):
        path = tmp_path / f"{killed_after}.pt"
        checkpoint = Checkpoint(path, "same", interval=0)
        first, *_ = make(files, **changed)
        epochs = []

        def mean_ap(scores, targets, epochs=epochs, last=killed_after):
            epochs.append(1)
            if len(epochs) > last:
                raise KeyboardInterrupt
            return 1.0

        with pytest.raises(KeyboardInterrupt):
            train(
                *(first, options, Splits(training, test), 0, mean_ap),
                progress=False,
                checkpoint=checkpoint,
            )
        again, *_ = make(files, **changed)
        result = train_quietly(
            *(again, options, training, test), checkpoint=Checkpoint(path, "same")
        )
        assert equal(again.state_dict(), method.state_dict())
        assert (result.last == whole.last).all()


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_test_labels_reach_nothing_that_is_trained(files, kind, name):
    trained = []
    for permuted in (False, True):
        changed = {kind: name, "epochs": 3}
        method, training, test, options = make(files, **changed)
        if permuted:
            test.labels = -test.labels.flip(0)
        train_quietly(method, options, training, test)
        trained.append(method.state_dict())
    assert equal(*trained)


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_a_graphs_capture_leaves_all_as_it_was(files, capsys, kind, name):
    method, training, _, _ = make(files, **{kind: name})
    plain, *_ = make(files, **{kind: name})
    batches = list(training.shuffled(16, 0, 1))[:2]
    torch.manual_seed(3)
    expected = [Gradients(plain)(batch) for batch in batches]
    after = torch.get_rng_state()
    torch.manual_seed(3)
    graphed = GraphedGradients(method, StandIn())
    found = [graphed(batch) for batch in batches]
    assert capsys.readouterr().err == ""
    assert found == expected
    assert equal(method.state_dict(), plain.state_dict())
    assert torch.equal(torch.get_rng_state(), after)


class Counting(torch.nn.Module):
    """Batch normalisation, noise and a count: what the parts of today do not have."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(tiny.DIM)
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, features):
        if self.training:
            self.steps += 1
            features = features + 0.1 * torch.randn_like(features)
        return self.norm(features)[:, None]


def stateful(files):
    """`coop`, with a module that has state, random draws and another way to score."""
    method, training, test, options = make(files, visual="global", epochs=3)
    torch.manual_seed(0)
    module = Counting()
    module.reads, module.per_class = "global", False
    method.head.visual = module
    return method, training, test, options


def test_state_is_kept_by_graph_checkpoint_and_test(files, tmp_path, monkeypatch):
    method, training, test, options = stateful(files)
    whole = train_quietly(method, options, training, test)
    steps = method.head.visual.steps
    assert steps == 3 * len(list(training.batches(16)))
    assert method.state_dict()["head.visual.norm.num_batches_tracked"] == steps
    # From a graph: its capture and check take steps that do not count.
    graphed, *_ = stateful(files)
    monkeypatch.setattr(
        "mlrpl.training.loop.gradients_of",
        lambda method, _: GraphedGradients(method, StandIn()),
    )
    result = train_quietly(graphed, options, training, test)
    assert equal(graphed.state_dict(), method.state_dict())
    assert (result.last == whole.last).all()


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("momentum", [0, 0.9])
def test_a_killed_process_goes_on_to_the_same_bits(
    files, tmp_path, optimizer, momentum
):
    """The same through the command line, with a real process that is killed."""
    if optimizer == "adamw" and momentum == 0:
        pytest.skip("AdamW has no momentum")
    options = {"optimizer": optimizer, "epochs": 40}
    if optimizer == "sgd":
        options["momentum"] = momentum
    assert run(files, tmp_path / "whole", **options) == 0
    program = (
        "import os, signal, sys; from mlrpl.__main__ import main\n"
        "from mlrpl.training import checkpoints\n"
        "checkpoints.INTERVAL = checkpoints.SHARE = 0.0\n"
        "checkpoints.Checkpoint.__init__.__defaults__ = (0.0,)\n"
        "offer = checkpoints.Checkpoint.offer\n"
        "seen = []\n"
        "def killed(self, state):\n"
        "    offer(self, state); seen.append(1)\n"
        "    if len(seen) == 7: os.kill(os.getpid(), signal.SIGKILL)\n"
        "checkpoints.Checkpoint.offer = killed\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = arguments(files, tmp_path / "killed", **options)
    done = subprocess.run([sys.executable, "-c", program, *command], env=environment)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "killed/checkpoint.pt").exists()
    assert run(files, tmp_path / "killed", **options) == 0
    whole, again = (
        load_file(tmp_path / name / "weights.safetensors")
        for name in ("whole", "killed")
    )
    assert equal(whole, again)
