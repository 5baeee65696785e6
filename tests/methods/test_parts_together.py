"""Which transfers work on which heads, and what a training says where they do not."""

import pytest
import torch

from mlrpl.errors import UserError
from mlrpl.training.gradients import Gradients
from mlrpl.training.loop import make_optimizer
from support import tiny
from support.trainings import make, run

TRANSFERS = ("sst", "hst", "sarb", "dsrb")
HEADS = (
    {"head": "ggnn"},
    {"head": "kggr"},
    {"visual": "semantic_decoupling"},
    {"visual": "semantic_attention"},
)
WITHOUT = ({"head": "gcn"}, {"head": "linear"}, {"visual": "global"})


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tiny.write_files(tmp_path_factory.mktemp("files"))


@pytest.mark.parametrize("head", HEADS, ids=str)
@pytest.mark.parametrize("transfer", TRANSFERS)
def test_any_transfer_works_on_any_head_with_class_features(files, head, transfer):
    method, training, _, options = make(files, **head, transfer=transfer)
    for epoch in (1, 2, 3):
        method.start_epoch(epoch, training.batches, steps=4)
        method.train()
        batch = next(training.batches(16))
        loss = Gradients(method)(batch)
        assert torch.isfinite(loss)
        make_optimizer(options, method).step(0.01)
    assert method.transfer.started


@pytest.mark.parametrize("head", WITHOUT, ids=str)
@pytest.mark.parametrize("transfer", TRANSFERS)
def test_on_another_head_it_is_one_line(files, head, transfer):
    with pytest.raises(UserError, match="works on a feature for each class") as caught:
        make(files, **head, transfer=transfer)
    assert "\n" not in str(caught.value)
    assert "or transfer=none" in str(caught.value)


def test_the_command_says_so_and_writes_nothing(files, tmp_path, capsys):
    assert run(files, tmp_path, head="gcn", transfer="sarb") == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and "RepresentationBlending works on a feature" in said[0]
    assert not list(tmp_path.glob("*.safetensors"))
