"""`mlrpl bench`: that it runs, that what it compares is equal, and what it counts."""

import copy
import json
import math
import os
import subprocess
import sys
from multiprocessing.util import Finalize
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mlrpl import __main__
from mlrpl.bench import counts, inputs, step
from mlrpl.bench import sizes as all_sizes
from mlrpl.bench.literal import literal
from mlrpl.bench.measuring import Rates, Stopwatch, in_fresh_process, peak_memory
from mlrpl.bench.report import number
from mlrpl.commands.bench import TITLES
from mlrpl.methods.base import Batch
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.kernels import bilinear_attention as bilinear
from mlrpl.runtime.device import precision_on
from mlrpl.training.gradients import Gradients
from mlrpl.training.loop import make_optimizer, run_epoch
from support.data_files import fails

IMAGES = 3


pytestmark = pytest.mark.usefixtures("one_thread")


def make(sizes, clip, method=step.METHOD):
    """A method, its options and a batch."""
    options = inputs.make_options(sizes, inputs.load_config(), method)
    made = inputs.make_method(sizes, options, clip)
    channels = int(clip.metadata["map_channels"])
    torch.manual_seed(1)
    features = torch.randn(IMAGES, sizes.locations, channels)
    labels = torch.from_numpy(inputs.make_labels(IMAGES, len(clip.classes)))
    return made, options, Batch(features, labels, torch.arange(IMAGES))


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
    for name in inputs.compared(inputs.load_config()):
        assert f"| {name}, B 4 |" in printed and f"| {name}, B 4: memory |" in printed
        compared = name in ("sst", "hst", "sarb", "dsrb")
        for row in (f"{name} literal, B 2", f"{name}, B 2: literal / ours, time"):
            assert (f"| {row} |" in printed) == compared
    assert "| Table 2, all systems and proportions, one seed |" in printed


def test_nothing_is_left_but_the_two_files(quick):
    folder, _ = quick
    assert sorted(path.name for path in folder.iterdir()) == ["bench.json", "bench.md"]


def test_some_methods_can_be_asked_for(tmp_path, capsys):
    arguments = ["bench", "--quick", "--parts", "methods", "--device", "cpu"]
    arguments += ["--methods", "gcn_ml,sarl+pooled=raw", "--output", str(tmp_path)]
    assert __main__.main(arguments) == 0
    content = json.loads((tmp_path / "bench.json").read_text())
    (rows,) = content["results"].values()
    names = [row["name"].partition(",")[0] for row in rows]
    assert names == ["gcn_ml", "gcn_ml", "sarl+pooled=raw", "sarl+pooled=raw"]
    assert [row["unit"] for row in rows] == ["s", "GB"] * 2


def test_one_part_can_be_asked_for(tmp_path, capsys):
    arguments = ["bench", "--quick", "--parts", "evaluation", "--device", "cpu"]
    assert __main__.main([*arguments, "--output", str(tmp_path)]) == 0
    content = json.loads((tmp_path / "bench.json").read_text())
    assert list(content["results"]) == ["evaluation"]
    assert TITLES["cache"] not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--parts", "encoder,speed"],
            "--parts: 'speed' is not a part; choose from enc",
        ),
        (["--parts", ""], "--parts: '' is not a part"),
        (["--threads", "0"], "--threads: 0 is not allowed; give at least 1"),
        (["--literal-batch", "-1"], "--literal-batch: -1 is not allowed"),
        (["--methods", ""], "--methods: '' is not a method; give names with commas"),
    ],
)
def test_bad_arguments_give_one_line(arguments, message, capsys):
    assert __main__.main(["bench", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and f"mlrpl bench: error: {message}" in error


def test_an_unknown_method_is_named_before_anything_is_measured(capsys):
    assert __main__.main(["bench", "--quick", "--methods", "sarl,sstt"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "sstt" in error


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
    ours, _, batch = make(sizes, clip, f"sarl+pooled={pooled}+scale=10.0")
    theirs = literal(ours, clip)
    assert theirs.head.prompts()[0].shape[:2] == (len(clip.classes), 77)
    assert len(ours.head.prompts()[0]) < 10 * len(clip.classes)
    rankings = [method.score_images(batch.features) for method in (ours, theirs)]
    torch.testing.assert_close(*rankings, rtol=1e-5, atol=1e-5)
    values = [method.loss(batch) for method in (ours, theirs)]
    torch.testing.assert_close(*values, rtol=1e-5, atol=1e-6)
    for value in values:
        value.backward()
    expected = {
        name.replace("prompts.prompts.", "prompts."): parameter.grad
        for name, parameter in theirs.named_parameters()
        if parameter.requires_grad
    }
    assert set(expected) == {name for name, _ in ours.named_parameters()}
    for name, parameter in ours.named_parameters():
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
    method, options, batch = make(sizes, clip)
    whole = copy.deepcopy(method)
    optimizer = make_optimizer(options, whole)
    run_epoch(Gradients(whole), optimizer, 0.002, [batch])
    watch = Stopwatch(torch.device("cpu"))
    step.cut_step(method, make_optimizer(options, method), batch, watch)
    assert list(watch.medians()) == list(step.PARTS)
    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(
            method.state_dict()[name], weight, rtol=1e-6, atol=1e-8
        )


def test_only_options_that_apply_are_set(sizes):
    config = inputs.load_config()
    shared = inputs.make_options(sizes, config, "coop")
    assert "joint_dim" not in shared and shared.n_ctx == sizes.n_ctx
    text = inputs.make_options(sizes, config, "sarl+context_init=a_photo_of_a")
    assert "n_ctx" not in text and text.joint_dim == sizes.joint_dim


def test_a_visual_module_without_a_formula_is_refused(sizes, clip):
    method, *_ = make(sizes, clip, "sarl+visual=semantic_attention")
    fails(literal, method, clip, match="no literal form of SemanticAttention")
    arguments = (sizes, clip, 4, method)
    fails(step.count_work, *arguments, match="work of SemanticAttention is unknown")


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
    given = Inputs(SHAPE["channels"], SHAPE["text"], vectors, clip=None)
    return SemanticDecoupling(given, joint_dim=SHAPE["joint"], pooled=pooled)


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


def tower_work(sizes, clip, method):
    tokens, packing = method.head.prompts()
    return counts.text_tower(
        rows=len(tokens),
        prompts=len(clip.classes),
        tokens=packing.rows.shape[1],
        width=tokens.shape[1],
        layers=int(clip.metadata["layers"]),
        heads=int(clip.metadata["heads"]),
        text=int(clip.metadata["embed_dim"]),
    )


@pytest.mark.parametrize("method", ["sarl", "coop_sd"])
def test_the_products_of_the_text_tower_are_counted(sizes, clip, method):
    made = make(sizes, clip, method)[0]
    tokens, packing = made.head.prompts()
    measured = counted(lambda: made.head.tower(tokens, packing))
    assert measured == tower_work(sizes, clip, made).flops
    work = step.count_work(sizes, clip, images=4, method=made)
    assert work["text tower"] == tower_work(sizes, clip, made)


def test_the_products_of_the_literal_text_tower_are_counted(sizes, clip):
    method = literal(make(sizes, clip)[0], clip)
    prompts, end = method.head.prompts()
    measured = counted(lambda: method.head.tower(prompts, end))
    flops = step.count_work(sizes, clip, 4, method)["text tower"].flops
    # Whether the scores are made again backward depends on torch's kernel.
    rows = len(clip.classes) * prompts.shape[1]
    one = int(clip.metadata["layers"]) * 2 * rows * prompts.shape[1] * prompts.shape[2]
    assert measured in (flops, flops - one, flops - 7 * one)


def test_shared_prompts_go_through_the_tower_once(sizes, clip):
    specific, shared = (make(sizes, clip, m)[0] for m in ("coop_csp", "coop"))
    contexts = sizes.n_ctx * (len(clip.classes) - 1)
    rows = [len(method.head.prompts()[0]) for method in (specific, shared)]
    assert rows[0] - rows[1] == contexts
    work = [tower_work(sizes, clip, method) for method in (specific, shared)]
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


def measured_and_tidied(device, left):
    Finalize(None, Path(left).touch, exitpriority=0)
    return peak_memory(sum_of_ones, device)


def test_peak_memory_sees_what_a_call_takes(tmp_path):
    left = tmp_path / "left"
    taken = in_fresh_process(measured_and_tidied, torch.device("cpu"), left)
    assert 0.8 * 2**26 < taken < 4 * 2**26
    assert left.exists()  # the process came to its own end


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
    environment = json.loads((tmp_path / "bench.json").read_text())["environment"]
    assert environment["device"] != "cpu"
    precision = precision_on(torch.device("cuda"), "auto")
    assert environment["dtype"]["training"] == precision
