"""Gradients from a graph: those of the plain step, or the plain step itself."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mlrpl.__main__ import main
from mlrpl.training.gradients import Gradients, GraphedGradients, gradients_of
from support import tiny
from support.trainings import arguments, make, train_quietly

# 60 images: in each epoch three batches of 16 and one of 12.
EPOCHS = {"epochs": 3}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tiny.write_files(tmp_path_factory.mktemp("files"))


class Replayed:
    """A capture without a GPU: replayed, it computes again into the same tensors."""

    def __init__(self, error=0.0):
        self.replays, self.error = 0, error

    def __call__(self, compute):
        outputs = [tensor.clone() for tensor in compute()]

        def replay():
            self.replays += 1
            for output, tensor in zip(outputs, compute(), strict=True):
                output.copy_(tensor + self.error)

        return replay, outputs


def trained(files, monkeypatch, make_gradients, **changed):
    """The state and scores of a training with these gradients."""
    method, training, test, options = make(files, **EPOCHS | changed)
    monkeypatch.setattr(
        "mlrpl.training.loop.gradients_of", lambda method, _: make_gradients(method)
    )
    result = train_quietly(method, options, training, test)
    return {**method.state_dict(), "scores": torch.from_numpy(result.last)}


def assert_equal(ours, theirs):
    assert set(ours) == set(theirs)
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor), name


@pytest.mark.parametrize(
    "changed",
    [{}, {"loss": "p_bce", "optimizer": "adamw"}, {"visual": "global"}],
    ids=str,
)
def test_a_training_with_the_graph_has_the_same_bits(
    files, monkeypatch, capsys, changed
):
    capture = Replayed()
    ours = trained(
        files, monkeypatch, lambda m: GraphedGradients(m, capture), **changed
    )
    # Once to compare, then three whole batches in each of three epochs.
    assert capture.replays == 1 + 3 * 3
    assert_equal(ours, trained(files, monkeypatch, Gradients, **changed))
    assert "graph" not in capsys.readouterr().err


def refuses(compute):
    compute()
    raise RuntimeError("operation not permitted\nwhen stream is capturing\n" * 20)


def has_no_memory(compute):
    raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize(
    ("capture", "reason"),
    [
        (refuses, "RuntimeError: operation not permitted when stream is capturing"),
        (has_no_memory, "not enough memory"),
        (Replayed(error=1e-6), "it gives other numbers"),
        (Replayed(error=float("nan")), "it gives other numbers"),
    ],
)
def test_where_it_fails_the_plain_step_goes_on_with_one_line(
    files, monkeypatch, capsys, capture, reason
):
    ours = trained(files, monkeypatch, lambda m: GraphedGradients(m, capture))
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"steps without a CUDA graph, slower: {reason}")
    assert_equal(ours, trained(files, monkeypatch, Gradients))


def test_a_parameter_that_the_loss_does_not_reach_gets_no_gradient(files):
    model, training, _, _ = make(files)
    gradients = GraphedGradients(model, Replayed())
    batches = list(training.batches(16))
    for batch in (batches[0], batches[1], batches[-1], batches[2]):
        value = gradients(batch)
        found = {n: p.grad for n, p in model.named_parameters()}
        assert value == Gradients(model)(batch) and not value.requires_grad
        for name, parameter in model.named_parameters():
            if found[name] is None:
                assert parameter.grad is None
            else:
                assert torch.equal(found[name], parameter.grad)
    # The softmax over the locations removes this bias.
    assert found["head.visual.F_att.bias"] is None
    assert found["head.prompts.context"].abs().sum() > 0


def test_only_a_gpu_gets_a_graph_and_the_environment_can_refuse_it(files, monkeypatch):
    method, *_ = make(files)
    kinds = [type(gradients_of(method, torch.device(d))) for d in ("cpu", "cuda")]
    assert kinds == [Gradients, GraphedGradients]
    monkeypatch.setenv("MLRPL_GRAPH", "0")
    assert type(gradients_of(method, torch.device("cuda"))) is Gradients
    monkeypatch.delenv("MLRPL_GRAPH")
    monkeypatch.setattr(type(method.transfer), "graph", False)
    assert type(gradients_of(method, torch.device("cuda"))) is Gradients


class HostReads(TorchDispatchMode):
    """Notes operations for which the host would wait for a GPU, or copy to it."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "lift_fresh")

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        if name in self.WAITING:
            self.found.append(name)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("loss", ["p_asl", "p_bce"])
@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("visual", ["semantic_decoupling", "semantic_attention"])
def test_the_host_waits_for_nothing_in_a_step(files, loss, detach, visual):
    """A graph allows no waiting, and without one it would let the GPU run idle."""
    changed = {"loss": loss, "visual": visual}
    if loss == "p_asl":
        changed["detach"] = detach
    method, training, _, _ = make(files, **changed)
    with HostReads() as reads:
        Gradients(method)(next(training.batches(16)))
    assert reads.found == []


@pytest.mark.parametrize("transfer", ["scpnet", "mixup"])
def test_nor_in_one_with_more_views_or_mixtures(tmp_path, transfer):
    files = tiny.write_files(tmp_path, views=2)
    changed = {"head": "scpnet", "loss": "pu_mlc", "transfer": transfer}
    method, training, _, _ = make(files, **changed)
    batch = next(training.shuffled(16, 0, 1))
    with HostReads() as reads:
        Gradients(method)(batch)
    assert reads.found == []


def test_waiting_is_noticed(files):
    method, training, _, _ = make(files)

    def waits(scores, labels):
        known = scores.log_p[labels != 0] * torch.tensor(2.0)
        return known.sum() / (labels != 0).sum().item()

    method.loss_part.forward = waits
    with HostReads() as reads:
        Gradients(method)(next(training.batches(16)))
    assert set(reads.found) >= {"_local_scalar_dense", "lift_fresh"}


# ------------------------------------------------------------------------- on a device


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("visual", ["semantic_decoupling", "global"])
def test_a_device_replays_the_same_bits(files, capsys, visual, precision):
    changed = {"visual": visual, "precision": precision}
    model, training, _, _ = make(files, "cuda", **changed)
    torch.use_deterministic_algorithms(True)
    try:
        gradients = GraphedGradients(model)
        for batch in training.batches(16):
            value = gradients(batch)
            found = [p.grad for p in model.parameters()]
            assert value == Gradients(model)(batch)
            for ours, parameter in zip(found, model.parameters(), strict=True):
                assert ours is parameter.grad or torch.equal(ours, parameter.grad)
    finally:
        torch.use_deterministic_algorithms(False)
    assert gradients._graphs[None] is not None, capsys.readouterr().err


@pytest.mark.gpu
def test_a_training_on_a_device_is_the_same_with_and_without(
    files, tmp_path, monkeypatch
):
    scores = []
    for wanted in ("1", "0"):
        monkeypatch.setenv("MLRPL_GRAPH", wanted)
        folder = tmp_path / wanted
        command = arguments(files, folder, **EPOCHS)
        assert main([*command, "--device", "cuda"]) == 0
        scores.append((folder / "weights.safetensors").read_bytes())
    assert scores[0] == scores[1]
