"""`mlrpl bench`: that it runs, that what it compares is equal, and what it counts."""

import copy
import json
import math
import os
import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from support.data_files import fails
from mlrpl import __main__
from mlrpl.bench import counts, inputs, step
from mlrpl.bench import sizes as all_sizes
from mlrpl.bench.random_clip import random_clip, write_texts
from mlrpl.bench.epochs import trainings
from mlrpl.bench.literal import literal
from mlrpl.bench.measuring import Rates, Stopwatch, in_fresh_process, peak_memory
from mlrpl.bench.report import number
from mlrpl.text.clip_text import ClipText
from mlrpl.commands.bench import TITLES
from mlrpl.training.gradients import Gradients
from mlrpl.methods.losses import LOSSES
from mlrpl.training.loop import make_optimizer, run_epoch
from mlrpl.training.batches import Batch
from mlrpl.methods.kernels import bilinear_attention as bilinear

IMAGES = 3


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def sizes():
    return all_sizes.quick()


@pytest.fixture(scope="module")
def clip(sizes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    texts = write_texts(sizes, random_clip(sizes), folder)
    return ClipText(texts[step.DATASET])


def make(sizes, clip, method=step.METHOD):
    """A recognizer, its options, a batch and the loss."""
    options = inputs.make_options(sizes, inputs.load_config(), method)
    model = inputs.make_model(sizes, options, clip)
    channels = int(clip.metadata["map_channels"])
    torch.manual_seed(1)
    features = torch.randn(IMAGES, sizes.locations, channels)
    labels = torch.from_numpy(inputs.make_labels(IMAGES, len(clip.classes)))
    loss = LOSSES[options.loss].from_options(options)
    return model, options, Batch(features, labels), loss


# --------------------------------------------------------------------- the command line


@pytest.fixture(scope="module")
def quick(repository, tmp_path_factory):
    """The output of the whole quick form, run as a user would."""
    folder = tmp_path_factory.mktemp("quick") / "out"
    environment = {**os.environ, "PYTHONPATH": str(repository / "workflow")}
    command = ["-m", "mlrpl", "bench", "--quick", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, *command, "--output", str(folder)],
        cwd=folder.parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_quick_writes_every_part_as_positive_numbers(quick):
    folder, printed = quick
    content = json.loads((folder / "bench.json").read_text())
    assert list(content["results"]) == list(TITLES)
    for part, rows in content["results"].items():
        assert rows, part
        for row in rows:
            assert math.isfinite(row["value"]) and row["value"] > 0, (part, row)
            assert row["unit"]
    found = content["environment"]
    assert found["device"] == "cpu" and found["threads"] == 1 and found["quick"]
    assert set(found["dtype"].values()) == {"fp16", "fp32"}
    assert found["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert {"python", "numpy", "open_clip_torch", "h5py"} < set(found["versions"])
    assert content["sizes"]["batch"] == all_sizes.quick().batch
    assert (folder / "bench.md").read_text() == printed


def test_the_markdown_has_every_row_and_title(quick):
    folder, printed = quick
    content = json.loads((folder / "bench.json").read_text())
    for part, title in TITLES.items():
        assert f"## {title}\n" in printed
        for row in content["results"][part]:
            line = f"| {row['name']} | {number(row['value'])} | {row['unit']} |"
            assert line in printed
    assert "mean nothing" in printed
    for name in ("JPEG to cache", "decode", "transfer", "forward", "write"):
        assert f"| {name} |" in printed
    for name in step.PARTS:
        assert f"| step, B 4: {name} |" in printed
        assert f"| literal step, B 2: {name} |" in printed
    assert "literal step scaled to B 4" in printed and "not measured" in printed


def test_nothing_is_left_but_the_two_files(quick):
    folder, _ = quick
    assert sorted(path.name for path in folder.iterdir()) == ["bench.json", "bench.md"]


def test_one_part_can_be_asked_for(tmp_path, capsys):
    arguments = ["bench", "--quick", "--parts", "evaluation", "--device", "cpu"]
    assert __main__.main([*arguments, "--output", str(tmp_path)]) == 0
    content = json.loads((tmp_path / "bench.json").read_text())
    assert list(content["results"]) == ["evaluation"]
    assert TITLES["cache"] not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parts", "encoder,speed"], "--parts: 'speed' is no part; choose from enc"),
        (["--parts", ""], "--parts: '' is no part"),
        (["--threads", "0"], "--threads: 0 is not allowed; give at least 1"),
        (["--literal-batch", "-1"], "--literal-batch: -1 is not allowed"),
    ],
)
def test_bad_arguments_give_one_line(arguments, message, capsys):
    assert __main__.main(["bench", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and f"mlrpl bench: error: {message}" in error


def test_a_folder_that_cannot_be_made_is_named(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    output = str(tmp_path / "file" / "below")
    assert __main__.main(["bench", "--quick", "--output", output]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and f"--output: {output}: cannot be" in error


def test_a_missing_config_is_named(tmp_path):
    fails(inputs.load_config, tmp_path / "none.yaml", match="none.yaml: cannot be read")


# ------------------------------------------------------------ what is compared is equal


@pytest.mark.parametrize("pooled", ["fused", "raw"])
@pytest.mark.parametrize("keep", [0, 2**24])
def test_the_literal_step_equals_the_products(sizes, clip, monkeypatch, pooled, keep):
    monkeypatch.setattr(bilinear, "KEEP", keep)
    model, _, batch, loss = make(sizes, clip, f"sarl+pooled={pooled}+scale=10.0")
    theirs = literal(model, clip)
    assert theirs.prompts()[0].shape[:2] == (len(clip.classes), 77)
    assert len(model.prompts()[0]) < 10 * len(clip.classes)
    ours_scores, their_scores = model(batch.features), theirs(batch.features)
    torch.testing.assert_close(
        ours_scores.ranking, their_scores.ranking, rtol=1e-5, atol=1e-5
    )
    values = [loss(scores, batch.labels) for scores in (ours_scores, their_scores)]
    torch.testing.assert_close(*values, rtol=1e-5, atol=1e-6)
    for value in values:
        value.backward()
    expected = {
        name.replace("prompts.prompts.", "prompts."): parameter.grad
        for name, parameter in theirs.named_parameters()
        if parameter.requires_grad
    }
    assert set(expected) == {name for name, _ in model.named_parameters()}
    for name, parameter in model.named_parameters():
        grad = parameter.grad
        if grad is None:  # a bias that the softmax over the locations removes
            grad = torch.zeros_like(parameter)
        torch.testing.assert_close(
            grad,
            expected[name],
            rtol=1e-4,
            atol=2e-6,
            msg=lambda m, n=name: f"{n}: {m}",
        )


def test_the_step_in_parts_is_the_training_loops_step(sizes, clip):
    model, options, batch, loss = make(sizes, clip)
    whole = copy.deepcopy(model)
    gradients = Gradients(whole, loss)
    run_epoch(gradients, make_optimizer(options, whole), 0.002, [batch])
    watch = Stopwatch(torch.device("cpu"))
    module = model.visual
    step.cut_step(model, loss, make_optimizer(options, model), batch, watch)
    assert model.visual is module
    assert list(watch.medians()) == list(step.PARTS)
    for name, weight in whole.trained().items():
        torch.testing.assert_close(model.trained()[name], weight, rtol=1e-6, atol=1e-8)


# ---------------------------------------------------------------------- what is counted

SHAPE = {
    "images": 3,
    "locations": 4,
    "channels": 10,
    "classes": 6,
    "glove": 5,
    "joint": 16,
    "text": 12,
}


def counted(module, *arguments) -> int:
    with FlopCounterMode(display=False) as counter:
        out = module(*arguments)
        out.backward(torch.ones_like(out))
    return counter.get_total_flops()


def decoupling(pooled, classes):
    from mlrpl.methods.visual.semantic_decoupling import SemanticDecoupling

    vectors = torch.randn(classes, SHAPE["glove"])
    sizes = (SHAPE["channels"], vectors, SHAPE["joint"], SHAPE["text"], pooled)
    return SemanticDecoupling(*sizes)


@pytest.mark.parametrize("classes", [6, 3])
@pytest.mark.parametrize("pooled", ["fused", "raw"])
def test_the_products_of_the_decoupling_are_counted(pooled, classes, monkeypatch):
    monkeypatch.setattr(bilinear, "KEEP", 0)  # as it is at the paper's sizes
    shape = {**SHAPE, "classes": classes}
    features = torch.randn(shape["images"], shape["locations"], shape["channels"])
    measured = counted(decoupling(pooled, classes), features)
    entries = math.prod(shape[k] for k in ("images", "locations", "classes", "joint"))
    # torch's counter leaves out the product of a matrix and a vector: the logits.
    assert measured == counts.decoupling(**shape, pooled=pooled).flops - 2 * entries


def test_the_products_of_the_literal_decoupling_are_counted():
    from mlrpl.bench.literal import LiteralDecoupling

    module = LiteralDecoupling(decoupling("fused", SHAPE["classes"]))
    features = torch.randn(SHAPE["images"], SHAPE["locations"], SHAPE["channels"])
    entries = math.prod(SHAPE[k] for k in ("images", "locations", "classes", "joint"))
    # The weighted sum is no matrix product for torch.
    ours = counts.literal_decoupling(**SHAPE).flops - 6 * entries
    assert counted(module, features) == ours


def tower_work(sizes, clip, model):
    return step.count_work(sizes, clip, images=4, model=model)["text tower"]


@pytest.mark.parametrize("method", ["sarl", "coop_sd"])
def test_the_products_of_the_text_tower_are_counted(sizes, clip, method):
    model = make(sizes, clip, method)[0]
    tokens, packing = model.prompts()
    measured = counted(lambda: model.tower(tokens, packing))
    assert measured == tower_work(sizes, clip, model).flops


def test_the_products_of_the_literal_text_tower_are_counted(sizes, clip):
    model = literal(make(sizes, clip)[0], clip)
    prompts, end = model.prompts()
    measured = counted(lambda: model.tower(prompts, end))
    flops = tower_work(sizes, clip, model).flops
    # Whether the scores are made again backward depends on torch's kernel.
    rows = len(clip.classes) * prompts.shape[1]
    one = int(clip.metadata["layers"]) * 2 * rows * prompts.shape[1] * prompts.shape[2]
    assert measured in (flops, flops - one, flops - 7 * one)


def test_shared_prompts_go_through_the_tower_once(sizes, clip):
    specific, shared = (make(sizes, clip, m)[0] for m in ("coop_csp", "coop"))
    contexts = sizes.n_ctx * (len(clip.classes) - 1)
    rows = [len(model.prompts()[0]) for model in (specific, shared)]
    assert rows[0] - rows[1] == contexts
    work = [tower_work(sizes, clip, model) for model in (specific, shared)]
    assert work[0].flops > work[1].flops and work[0].bytes > work[1].bytes


def test_sigmoids_are_counted_twice_unless_kept():
    entries = 3 * 4 * 6 * 16
    assert counts.decoupling(**SHAPE).sigmoid == 2 * entries
    assert counts.decoupling(**SHAPE, kept=True).sigmoid == entries
    assert counts.literal_decoupling(**SHAPE).sigmoid == entries


def test_at_the_papers_sizes_the_literal_module_has_many_times_the_products():
    paper = {
        "images": 64,
        "locations": 49,
        "channels": 2048,
        "classes": 80,
        "glove": 300,
        "joint": 1024,
        "text": 512,
    }
    ours, theirs = counts.decoupling(**paper), counts.literal_decoupling(**paper)
    assert theirs.flops / ours.flops > 25
    # P alone: 3 products of [B L C, J] and [J, J].
    assert theirs.flops > 6 * 64 * 49 * 80 * 1024 * 1024


def test_the_floor_is_the_longer_of_computing_and_moving():
    rates = Rates(flops=10, bytes=5, sigmoid=2)
    assert counts.Work(flops=20, sigmoid=4, bytes=5).floor(rates) == 4
    assert counts.Work(flops=20, sigmoid=4, bytes=50).floor(rates) == 10


def test_the_better_of_two_measured_rates_counts():
    assert Rates(1, 2, 3).best(Rates(3, 1, 4)) == Rates(3, 2, 4)


def test_scaling_leaves_what_does_not_depend_on_the_batch():
    times = {"visual module": 8.0, "text tower": 4.0, "loss": 2.0, "optimiser": 1.0}
    assert step.scaled_time(step.Measured(times, 15.0, 1, 77, {}), 8) == 85


def sum_of_ones():
    return torch.ones(2**24).sum()


def test_peak_memory_sees_what_a_call_takes():
    taken = in_fresh_process(peak_memory, sum_of_ones, torch.device("cpu"))
    assert 0.8 * 2**26 < taken < 4 * 2**26


def test_the_grid_is_the_configs():
    config = inputs.load_config()
    found = trainings(config)
    # Table 2's three seeds of nine proportions, of which Table 4 and the figures show
    # some too.
    assert found["voc2007", "sarl"] == found["coco2014", "sarl"] == 27
    assert found["voc2007", "coop"] == 5
    assert found["coco2014", "sarl+gamma_neg=4"] == 2
    assert sum(found.values()) == 136


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.012345, "0.0123"), (1.5, "1.50"), (0.9999, "1.000"), (12345.6, "12,300")],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


@pytest.mark.gpu
def test_quick_runs_on_a_gpu(tmp_path):
    arguments = ["bench", "--quick", "--device", "cuda", "--output", str(tmp_path)]
    assert __main__.main(arguments) == 0
    content = json.loads((tmp_path / "bench.json").read_text())
    assert content["environment"]["device"] != "cpu"
