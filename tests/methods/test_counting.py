"""What a method takes, counted without numbers, beside formulas and real tensors."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mlrpl.bench import counts
from mlrpl.config.options import Options, options_schema
from mlrpl.methods import counting
from mlrpl.methods.counting import Shapes
from mlrpl.methods.kernels import bilinear_attention
from mlrpl.training.loop import TEST_BATCH
from support import tiny
from support.trainings import make, scoped

SHAPES = Shapes(
    channels=tiny.CHANNELS,
    locations=tiny.GRID**2,
    embed_dim=tiny.DIM,
    classes=len(tiny.CLASSES),
    glove=tiny.GLOVE,
    images=60,
    width=tiny.WIDTH,
    layers=tiny.LAYERS,
    heads=tiny.HEADS,
    context_length=tiny.CONTEXT,
    name_tokens=1,
)
# RN101 on COCO.
PAPER = Shapes(2048, 49, 512, 80, 300, 82081, 512, 12, 8, 77, 3)
PARTS = {
    kind: list(spec["parts"])
    for kind, spec in options_schema()["properties"].items()
    if "parts" in spec
}


def options(**changes) -> Options:
    return Options.from_dict(scoped(**changes))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tiny.write_files(tmp_path_factory.mktemp("tiny"))


COSINE = [
    {"visual": visual, "prompts": prompts, "optimizer": "sgd"}
    for visual, prompts in product(PARTS["visual"], ("shared", "class_specific"))
]
OTHERS = [
    *({"head": head} for head in PARTS["head"]),
    *({"loss": loss} for loss in PARTS["loss"]),
    {"head": "linear", "feature": "map_mean"},
    {"pooled": "raw"},
    {"context_init": "a_photo_of_a"},
]


@pytest.mark.parametrize("changes", [*COSINE, *OTHERS], ids=str)
def test_every_part_can_be_counted_and_nothing_random_changes(changes):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    found = counting.count(options(**changes), SHAPES)
    assert found is not None
    assert min(found.parameters, found.step, found.image, found.kept) > 0
    assert counting.parameters(options(**changes), SHAPES) == found.parameters
    assert torch.equal(torch.rand(1), expected)
    assert torch.autocast is torch.amp.autocast_mode.autocast


@pytest.mark.parametrize("transfer", PARTS["transfer"])
def test_a_transfer_is_counted_or_unknown(transfer):
    found = counting.count(options(transfer=transfer), SHAPES)
    assert found is None or found.step > 0


@pytest.mark.parametrize("changes", COSINE, ids=str)
def test_the_counts_are_those_of_real_tensors(files, changes):
    method, training, _, chosen = make(files, **changes)
    found = counting.count(chosen, SHAPES)
    assert found.parameters == sum(p.numel() for p in method.parameters())
    assert found.reads == method.reads
    batch = next(iter(training.batches(chosen.batch_size)))
    images = batch.features[:1].expand(TEST_BATCH, *batch.features.shape[1:])
    vectors = {torch.ops.aten.mv: lambda m, *_, **__: 2 * m[0] * m[1]}
    with torch.no_grad():
        prepared = method.prepare()
        with FlopCounterMode(display=False, custom_mapping=vectors) as counter:
            method.score_images(images, prepared)
    assert found.image * TEST_BATCH == counter.get_total_flops()


@pytest.mark.parametrize("prompts", ["shared", "class_specific"])
def test_the_text_tower_is_counted_forward_and_backward(prompts):
    chosen = options(visual="global", prompts=prompts)
    found = counting.count(chosen, SHAPES)
    shared = 1 + (chosen.n_ctx if prompts == "shared" else 0)
    tokens = chosen.n_ctx + 4  # start, name, full stop, end
    work = counts.text_tower(
        rows=shared + SHAPES.classes * (tokens - shared),
        prompts=SHAPES.classes,
        tokens=tokens,
        width=SHAPES.width,
        layers=SHAPES.layers,
        heads=SHAPES.heads,
        text=SHAPES.embed_dim,
    )
    # Cosines: forward, and backward to the text features alone.
    cosines = 2 * 2 * chosen.batch_size * SHAPES.classes * SHAPES.embed_dim
    assert found.step == work.flops + cosines


@pytest.mark.parametrize("pooled", ["fused", "raw"])
def test_the_decoupling_is_counted_as_its_formula(pooled, monkeypatch):
    monkeypatch.setattr(bilinear_attention, "KEEP", 0)  # as it is at the paper's sizes
    chosen = options(pooled=pooled)
    tower = counting.count(options(visual="global"), SHAPES).step
    tower -= 2 * 2 * chosen.batch_size * SHAPES.classes * SHAPES.embed_dim
    work = counts.decoupling(
        images=chosen.batch_size,
        locations=SHAPES.locations,
        channels=SHAPES.channels,
        classes=SHAPES.classes,
        glove=SHAPES.glove,
        joint=chosen.joint_dim,
        text=SHAPES.embed_dim,
        pooled=pooled,
    )
    found = counting.count(chosen, SHAPES).step - tower
    assert found == pytest.approx(work.flops, rel=0.02)


def test_many_blocks_are_counted_from_few():
    shapes = replace(SHAPES, layers=5)
    assert counting.count(options(), shapes) == counting._count(options(), shapes)


def test_what_is_kept_is_what_the_modules_say():
    chosen = Options.from_dict({"visual": "global"})
    found = counting.count(chosen, PAPER)
    rows = 1 + 80 * 21
    blocks = 4 * rows * 9 * 512 * 11  # without the last one, where only ends are kept
    assert blocks < found.kept < 1.15 * blocks
    assert found.state == pytest.approx(4 * 12 * 12 * 512**2, rel=0.05)


def test_a_method_that_looks_at_numbers_is_unknown(monkeypatch):
    from mlrpl.methods.losses.p_bce import PartialBCE

    def forward(self, scores, labels):
        return scores.log_p.sum() if bool((labels > 0).any()) else scores.p.sum()

    monkeypatch.setattr(PartialBCE, "forward", forward)
    assert counting.count(options(loss="p_bce"), SHAPES) is None
    assert counting.parameters(options(loss="p_bce"), SHAPES) > 0
    assert counting.count(options(), SHAPES) is not None
