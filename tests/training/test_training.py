"""Training of tiny settings, through the command line and in place."""

import csv
import json
import math
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mlrpl.__main__ import main
from mlrpl.data.index import Index
from mlrpl.errors import UserError
from mlrpl.evaluation.metrics import evaluate
from mlrpl.training.gradients import Gradients
from mlrpl.training.loop import make_optimizer, run_epoch
from support import tiny
from support.trainings import make, run, scoped, train_quietly


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tiny.write_files(tmp_path_factory.mktemp("files"))


def history(folder):
    with open(folder / "history.csv") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pooled": "raw"},
        {"pooled": "raw", "projection": "clip"},
        {"prompts": "shared"},
        {"visual": "semantic_attention"},
        {"visual": "semantic_attention", "projection": "clip"},
        {"loss": "p_bce"},
        {"score": "softmax"},
        {"scale_learned": True},
        {"optimizer": "adamw"},
        {"head": "linear", "feature": "map_mean"},
    ],
    ids=str,
)
def test_every_variant_learns(files, tmp_path, options):
    assert run(files, tmp_path, **options) == 0
    rows = history(tmp_path)
    assert [int(row["epoch"]) for row in rows] == list(range(1, 7))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    start = tmp_path / "start"
    assert run(files, start, **options, epochs=0) == 0
    assert float(rows[-1]["mAP"]) > float(history(start)[0]["mAP"]) + 5


def test_the_files_of_a_run(files, tmp_path):
    assert run(files, tmp_path, eval_every=2) == 0
    rows = history(tmp_path)
    assert [bool(row["mAP"]) for row in rows] == [False, True] * 3
    tested = {int(row["epoch"]): float(row["mAP"]) for row in rows if row["mAP"]}
    index = Index.load(files.test_index)
    with h5py.File(tmp_path / "scores.h5") as file:
        assert file.attrs["epoch_last"] == 6
        assert file.attrs["threshold"] == 0
        assert file.attrs["images_sha256"] == index.hash()
        best = int(file.attrs["epoch_best"])
        assert tested[best] == max(tested.values())
        for name, epoch in (("last", 6), ("best", best)):
            metrics, _ = evaluate(file[name][:], index.labels, 0)
            assert metrics["mAP"] == pytest.approx(tested[epoch])
    shapes = {
        k: tuple(v.shape)
        for k, v in load_file(tmp_path / "weights.safetensors").items()
    }
    assert shapes["head.prompts.context"] == (3, 4, tiny.WIDTH)
    assert shapes["head.visual.U.weight"] == (16, tiny.CHANNELS)
    assert not any("tower" in name for name in shapes)
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["parameters"]["prompts"] == 3 * 4 * tiny.WIDTH
    assert facts["parameters"]["total"] == sum(math.prod(s) for s in shapes.values())
    assert facts["options"]["eval_every"] == 2
    known = np.load(files.known)
    assert facts["known"]["positive"] == (known == 1).sum()
    assert facts["images"] == {"train": 60, "test": 30}


def test_a_seed_gives_the_same_bytes_and_another_seed_others(files, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run(files, tmp_path / name, seed=seed) == 0
    for file in ("weights.safetensors", "scores.h5", "history.csv"):
        a, b, c = ((tmp_path / n / file).read_bytes() for n in "abc")
        assert a == b
        assert a != c


def test_the_start_of_the_prompts_does_not_depend_on_the_visual_module(files):
    contexts = [
        make(files, visual=v)[0].head.prompts.context
        for v in ("global", "semantic_decoupling")
    ]
    torch.testing.assert_close(*contexts)


def context_file(folder, **changes):
    content = {"encoder": "tiny", "text": "a_photo", "tokens": [5, 9, 2], **changes}
    path = folder / "context.json"
    path.write_text(json.dumps(content))
    return path


def test_a_context_starts_from_a_texts_tokens(files, tmp_path):
    setting = ["--dataset", "tiny", "--method", "sarl", "--prop", "0.5", "--seed", "0"]
    options = scoped(context_init="a_photo", epochs=0)
    setting += ["--options", json.dumps(options), *files.arguments()]
    setting += ["--device", "cpu", "--output-dir", str(tmp_path / "run")]
    context = context_file(tmp_path)
    assert main(["train", *setting, "--context", str(context)]) == 0
    made = load_file(tmp_path / "run/weights.safetensors")["head.prompts.context"]
    expected = load_file(files.clip)["token_embedding"][[5, 9, 2]]
    assert torch.equal(made, expected.expand_as(made))


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"text": "a_painting"}, "made for the text a_painting, not a_photo"),
        ({"encoder": "other"}, "made for the encoder other, not tiny"),
        (None, "its tokens are missing; make them with `mlrpl context`"),
    ],
)
def test_a_context_of_something_else_is_refused(files, tmp_path, capsys, changes, said):
    setting = ["--dataset", "tiny", "--method", "sarl", "--prop", "0.5", "--seed", "0"]
    options = scoped(context_init="a_photo")
    setting += ["--options", json.dumps(options), *files.arguments()]
    if changes is not None:
        setting += ["--context", str(context_file(tmp_path, **changes))]
    assert main(["train", *setting, "--output-dir", str(tmp_path / "run")]) == 1
    assert said in capsys.readouterr().err


def test_training_imports_neither_open_clip_nor_torchs_compiler(files, tmp_path):
    """Either takes longer than a small training."""
    options = scoped(context_init="a_photo", epochs=1, optimizer="adamw")
    arguments = ["train", "--dataset", "tiny", "--method", "sarl", "--prop", "0.5"]
    arguments += ["--seed", "0", "--options", json.dumps(options), *files.arguments()]
    arguments += ["--context", str(context_file(tmp_path)), "--device", "cpu"]
    arguments += ["--output-dir", str(tmp_path / "run")]
    program = f"""
import sys
sys.path = {sys.path}
from mlrpl.__main__ import main
assert main({arguments}) == 0
slow = {{"open_clip", "torchvision", "torch._dynamo", "pandas"}} & set(sys.modules)
assert not slow, slow
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_sgd_steps_are_those_of_the_formula(files):
    """One step of SGD with momentum 0.9 and weight decay, by hand."""
    method, split, _, options = make(files, loss="p_bce", batch_size=60)
    batch = next(split.batches(60))
    before = {n: p.detach().clone() for n, p in method.named_parameters()}
    scores, known = method.scores(batch.features), batch.labels != 0
    torch.nn.functional.binary_cross_entropy(
        scores.p[known], (batch.labels[known] > 0).float()
    ).backward()
    gradients = {
        n: p.grad.clone() for n, p in method.named_parameters() if p.grad is not None
    }
    method.zero_grad()
    run_epoch(Gradients(method), make_optimizer(options, method), 0.01, [batch])
    for name, parameter in method.named_parameters():
        step = gradients[name] + 5e-4 * before[name] if name in gradients else 0
        torch.testing.assert_close(
            parameter.detach(), before[name] - 0.01 * step, rtol=1e-5, atol=1e-7
        )


def test_views_are_drawn_anew_each_epoch_and_the_test_uses_the_first(tmp_path):
    files = tiny.write_files(tmp_path, views=2)
    _, split, _, _ = make(files)
    assert len(split.features) == 2
    first, again, later = (
        torch.cat([b.features for b in split.shuffled(16, 0, epoch)])
        for epoch in (1, 1, 2)
    )
    torch.testing.assert_close(first, again)
    assert not torch.equal(first, later)
    order = np.random.default_rng([0, 1]).permutation(60)
    rows = [split.features[v][order].float() for v in (0, 1)]
    from_first = (first == rows[0]).flatten(1).all(1)
    from_second = (first == rows[1]).flatten(1).all(1)
    assert (from_first | from_second).all()
    assert 10 < int(from_first.sum()) < 50
    assert run(files, tmp_path / "run") == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"known": "short"}, ["known", "shape", "59x3", "60x3", "mlrpl drop"]),
        ({"glove": "short"}, ["glove", "mlrpl glove"]),
        ({"train_index": "classes"}, ["its classes are not those of"]),
        ({"train_features": "half"}, ["train"]),
        ({"clip": "other"}, ["encoder"]),
        ({"known": "text"}, ["not a readable npy file"]),
    ],
    ids=str,
)
def test_files_that_do_not_belong_together_get_one_line(
    files, tmp_path, capsys, change, words
):
    ((key, kind),) = change.items()
    value = tmp_path / "changed"
    if kind == "short":
        np.save(tmp_path / f"{key}.npy", np.load(getattr(files, key))[1:])
        value = tmp_path / f"{key}.npy"
    if kind == "text":
        value.write_text("labels")
    if kind == "classes":
        index = Index.load(files.train_index)
        Index(
            index.dataset, "train", index.classes[::-1], index.images, index.labels
        ).save(value)
    if kind == "other":
        with safe_open(files.clip, "pt") as file:
            save_file(
                tiny.clip_tensors(),
                value,
                file.metadata() | {"weights_sha256": "c" * 64},
            )
    if kind == "half":
        value = files.train_features[0]
    changed = tiny.Files(
        **{**vars(files), key: [str(value)] if kind == "half" else str(value)}
    )
    assert run(changed, tmp_path / "run") == 1
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("mlrpl train: error: ")
    assert all(word in message for word in words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("image_size", 224, "224"),
        ("mean", [0.4, 0.5, 0.5], "[0.4, 0.5, 0.5]"),
        ("std", [0.5, 0.5, 0.3], "[0.5, 0.5, 0.3]"),
        ("interpolation", "nearest", "nearest"),
        ("views", '["flip"]', "flip"),
    ],
)
def test_images_prepared_otherwise_than_those_trained_on_are_refused(
    tmp_path, capsys, name, value, shown
):
    files = tiny.write_files(tmp_path)
    for path in files.test_features:
        with h5py.File(path, "a") as file:
            file.attrs[name] = value
    assert run(files, tmp_path / "run") == 1
    message = capsys.readouterr().err.strip().splitlines()[-1]
    named = "first view" if name == "views" else name
    assert message.startswith(
        f"mlrpl train: error: {files.test_features[0]}: its {named} is {shown}, and "
        f"that of the training images in {files.train_features[0]} "
    )
    assert not (tmp_path / "run").exists()


def test_test_images_need_no_view_but_the_first(tmp_path):
    files = tiny.write_files(tmp_path, views=2)
    assert run(files, tmp_path / "both") == 0
    for path in files.test_features:
        with h5py.File(path, "a") as file:
            for kind in ("map", "global", "max", "tokens"):
                first = file[kind][:, :1]
                del file[kind]
                file[kind] = first
            file.attrs["views"] = '["full"]'
    assert run(files, tmp_path / "first") == 0
    both, first = ((tmp_path / n / "scores.h5").read_bytes() for n in ("both", "first"))
    assert both == first


def test_a_loss_that_is_no_number_stops_the_run(files):
    method, split, _, options = make(files)
    with torch.no_grad():
        method.head.prompts.context.fill_(float("nan"))
    with pytest.raises(UserError, match="lower lr"):
        train_quietly(method, options, split, split)


def test_bad_options_get_one_line(files, tmp_path, capsys):
    assert run(files, tmp_path, lr="1e-4") == 1
    assert "write 1.0e-4" in capsys.readouterr().err
    setting = ["--dataset", "t", "--method", "sarl", "--prop", "0.5", "--seed", "0"]
    arguments = ["train", *setting, *files.arguments(), "--output-dir", str(tmp_path)]
    assert main([*arguments, "--options", "lr=3"]) == 1
    assert "not JSON" in capsys.readouterr().err
