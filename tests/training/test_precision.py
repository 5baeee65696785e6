"""What bf16 products change, and what they leave in fp32."""

import csv
import json

import h5py
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from support import tiny
from support.trainings import make, run

VARIANTS = [
    {},
    {"pooled": "raw"},
    {"visual": "semantic_attention"},
    {"visual": "global"},
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tiny.write_files(tmp_path_factory.mktemp("files"))


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_cosines_and_gradients_stay_close(files, options):
    """bf16 has eight bits: 2^-9 = 0.002 of a number is lost when it is rounded."""
    cosines, gradients = [], []
    for precision in ("fp32", "bf16"):
        method, split, _, made = make(files, precision=precision, **options)
        batch = next(split.batches(32))
        scores = method.scores(batch.features)
        method.loss_part(scores, batch.labels).backward()
        assert scores.p.dtype == torch.float32
        cosines.append(scores.ranking.detach() / made.scale)
        found = {n: p.grad for n, p in method.named_parameters() if p.grad is not None}
        assert all(g.dtype == torch.float32 for g in found.values())
        gradients.append(found)
    change = (cosines[1] - cosines[0]).abs()
    assert 0 < change.max() < 0.01
    for name, exact in gradients[0].items():
        if exact.norm() > 1e-6:  # the softmax has made an end of some
            alike = F.cosine_similarity(
                exact.flatten(), gradients[1][name].flatten(), 0
            )
            assert alike > 0.995, name


def test_a_training_in_bf16_ends_where_one_in_fp32_does(files, tmp_path):
    scores, found = {}, {}
    for precision in ("fp32", "bf16"):
        folder = tmp_path / precision
        assert run(files, folder, precision=precision) == 0
        with h5py.File(folder / "scores.h5") as file:
            scores[precision] = file["last"][:]
        with (folder / "history.csv").open() as file:
            found[precision] = float(list(csv.DictReader(file))[-1]["mAP"])
        assert json.loads((folder / "run.json").read_text())["precision"] == precision
        weights = load_file(folder / "weights.safetensors").values()
        assert all(weight.dtype == torch.float32 for weight in weights)
    difference = scores["bf16"] - scores["fp32"]
    assert 0 < difference.std() < 0.2 * scores["fp32"].std()
    assert abs(found["bf16"] - found["fp32"]) < 5  # of thirty images
