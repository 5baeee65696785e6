"""One training step of `sarl`: time, peak memory, its parts, its floor.

Every variant is measured in a fresh process, so that none uses another's memory. The
first step, of which the memory is measured, and those of which the time is measured are
the training loop's own (`training.run_epoch` on one batch; on a GPU the product's is a
CUDA graph). The next ones are the same computation cut at the visual and the text
features, so that each part is measured with its forward and backward pass.
"""

import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from mlrpl.bench import counts
from mlrpl.bench.inputs import load_config, make_method, make_options
from mlrpl.bench.literal import LiteralDecoupling, PaddedPrompts, literal
from mlrpl.bench.measuring import (
    Rates,
    Stopwatch,
    in_fresh_process,
    measure_rates,
    seconds,
)
from mlrpl.bench.report import Row
from mlrpl.bench.sizes import Sizes
from mlrpl.bench.whole_step import measure_whole
from mlrpl.errors import UserError
from mlrpl.methods.base import Batch, Step
from mlrpl.methods.kernels import bilinear_attention
from mlrpl.methods.method import Method
from mlrpl.methods.scores import Scores
from mlrpl.methods.visual.semantic_decoupling import SemanticDecoupling
from mlrpl.runtime.device import choose_device
from mlrpl.text.clip_text import ClipText
from mlrpl.training.optimizers import Optimizer

PARTS = ("visual module", "text tower", "loss", "optimiser")
METHOD, DATASET = "sarl", "coco2014"


@dataclass(frozen=True)
class Measured:
    """One variant's step.

    Attributes:
        parts: seconds of each of `PARTS`.
        whole: seconds of the training loop's own step; on a GPU a graph.
        memory: bytes at the peak of the first step, above model and batch.
        rows: of tokens, on which the text tower ran.
        work: counted work of each part.
    """

    parts: dict[str, float]
    whole: float
    memory: int
    rows: int
    work: dict[str, counts.Work]

    @property
    def total(self) -> float:
        """Seconds of the parts together."""
        return sum(self.parts.values())


def cut_step(
    method: Method, optimizer: Optimizer, batch: Batch, watch: Stopwatch
) -> None:
    """Take a step in parts; the gradients and the new weights are the whole step's."""
    watch.begin(*PARTS)
    with watch("visual module"):
        visual = method.located(batch.features).class_features
    with watch("text tower"):
        text = method.prepare()
    ends = [part.detach().requires_grad_() for part in (visual, text)]

    def rescore(changed: Tensor) -> Scores:
        return method.score(method.head.logits(changed, ends[1]))

    with watch("loss"):
        scores = rescore(ends[0])
        loss, score = method.loss_on(batch), partial(method.scores, prepared=ends[1])
        step = Step(batch, ends[0], None, scores, rescore, loss, score)
        method.transfer(step).backward()
    with watch("visual module"):
        visual.backward(ends[0].grad)
    with watch("text tower"):
        text.backward(ends[1].grad)
    with watch("optimiser"):
        optimizer.step(0.002)


def measure_variant(
    variant: str, images: int, clip: str, sizes: Sizes, device: str, threads: int
) -> Measured:
    """Measure the step of a variant, "product" or "literal", on so many images.

    Args:
        variant: which implementation.
        images: B.
        clip: the text side of CLIP, safetensors.
        sizes: of everything else.
        device: "cpu" or "cuda".
        threads: of torch.
    """
    torch.set_num_threads(threads)
    target = choose_device(device, deterministic=True)
    options = make_options(sizes, load_config(), METHOD)
    texts = ClipText(clip)
    method = make_method(sizes, options, texts)
    if variant == "literal":
        method = literal(method, texts)
    graph = variant == "product"
    step = measure_whole(method, options, sizes, texts, images, target, graph=graph)
    method, batch, optimizer = step.method, step.batch, step.optimizer
    watch = Stopwatch(target)
    seconds(
        lambda: cut_step(method, optimizer, batch, watch),
        target,
        sizes.repeats,
        sizes.budget,
        warm_up=False,  # the step before was it
    )
    work = count_work(sizes, texts, images, method)
    rows = method.head.prompts()[0].shape[:-1].numel()
    return Measured(watch.medians(), step.time, step.memory, rows, work)


def count_work(
    sizes: Sizes, clip: ClipText, images: int, method: Method
) -> dict[str, counts.Work]:
    """Count the work of each part of a step.

    Args:
        sizes: of everything that is not given.
        clip: the text side.
        images: B.
        method: the method, literal or not.

    Raises:
        UserError: for a visual module whose work has no formula.
    """
    head = method.head
    visual_module = getattr(head, "visual", head)
    classes, text = len(clip.classes), int(clip.metadata["embed_dim"])
    shape = {
        "images": images,
        "locations": sizes.locations,
        "channels": int(clip.metadata["map_channels"]),
        "classes": classes,
        "glove": sizes.glove,
        "joint": sizes.joint_dim,
        "text": text,
    }
    entries = images * sizes.locations * classes * sizes.joint_dim
    if isinstance(visual_module, LiteralDecoupling):
        visual = counts.literal_decoupling(**shape)
    elif isinstance(visual_module, SemanticDecoupling):
        kept = entries <= bilinear_attention.KEEP
        visual = counts.decoupling(**shape, pooled=visual_module.pooled, kept=kept)
    else:
        raise UserError(
            f"bench: the work of {type(visual_module).__name__} is unknown; leave out "
            "the part step, or set visual to semantic_decoupling"
        )
    tower_shape = {
        "prompts": classes,
        "width": clip.tensor("text_projection").shape[0],
        "layers": int(clip.metadata["layers"]),
        "text": text,
    }
    tokens, packing = head.prompts()
    if isinstance(head.prompts, PaddedPrompts):
        tower = counts.literal_text_tower(tokens=tokens.shape[1], **tower_shape)
    else:
        tower = counts.text_tower(
            rows=len(tokens),
            tokens=packing.rows.shape[1],
            heads=int(clip.metadata["heads"]),
            **tower_shape,
        )
    loss = counts.loss(images=images, classes=classes, text=text)
    trained = sum(p.numel() for p in method.parameters() if p.requires_grad)
    optimizer = counts.optimizer(parameters=trained)
    return dict(zip(PARTS, (visual, tower, loss, optimizer), strict=True))


def measure(
    sizes: Sizes, device: torch.device, threads: int, texts: dict[str, Path]
) -> list[Row]:
    """Measure the step as it is and literally, and what the machine could do."""
    rates = measure_rates(sizes, device)
    runs = [("product", sizes.batch), ("literal", sizes.literal_batch)]
    if sizes.literal_batch != sizes.batch:
        runs.insert(1, ("product", sizes.literal_batch))
    found = {}
    for variant, images in runs:
        print(f"step: {variant}, B {images} ...", file=sys.stderr, flush=True)
        found[variant, images] = in_fresh_process(
            measure_variant,
            variant,
            images,
            str(texts[DATASET]),
            sizes,
            device.type,
            threads,
        )
        # Before, between and after the steps: a rate is what the machine can do.
        rates = rates.best(measure_rates(sizes, device))
    ours = found["product", sizes.batch]
    equal = found["product", sizes.literal_batch]
    theirs = found["literal", sizes.literal_batch]
    rows = _step_rows(f"step, B {sizes.batch}", ours)
    if equal is not ours:
        rows += _step_rows(f"step, B {sizes.literal_batch}", equal)
    rows += _step_rows(f"literal step, B {sizes.literal_batch}", theirs)
    rows += _ratio_rows(sizes, ours, equal, theirs)
    rows += _floor_rows(f"step, B {sizes.batch}", ours, rates)
    rows += _floor_rows(f"literal step, B {sizes.literal_batch}", theirs, rates)
    return rows + rate_rows(rates)


def _step_rows(name: str, step: Measured) -> list[Row]:
    note = f"the training loop's; {step.rows:,} tokens through the text tower"
    rows = [
        Row(name, step.whole, "s", note),
        Row(f"{name}: in parts", step.total, "s", "cut at the features, no graph"),
    ]
    for part, value in step.parts.items():
        share = 100 * value / step.total
        rows.append(Row(f"{name}: {part}", value, "s", f"{share:.0f} % of the parts"))
    note = "peak of the first step above model and batch"
    return [*rows, Row(f"{name}: memory", max(step.memory, 1) / 1e9, "GB", note)]


def _ratio_rows(
    sizes: Sizes, ours: Measured, equal: Measured, theirs: Measured
) -> list[Row]:
    same = f"both at B {sizes.literal_batch}, in one run"
    rows = [
        Row("literal / ours: time", theirs.whole / equal.whole, "x", same),
        *(
            Row(
                f"literal / ours: {part}",
                theirs.parts[part] / equal.parts[part],
                "x",
                same,
            )
            for part in PARTS[:2]
        ),
        Row(
            "literal / ours: memory",
            max(theirs.memory, 1) / max(equal.memory, 1),
            "x",
            same,
        ),
    ]
    if equal is ours:
        return rows
    scale = sizes.batch / sizes.literal_batch
    scaled = scaled_time(theirs, scale)
    note = (
        f"not measured: visual module and loss of B {sizes.literal_batch} times "
        f"{scale:g}; text tower and optimiser do not depend on B"
    )
    full = f"literal step scaled to B {sizes.batch}"
    return [
        *rows,
        Row(full, scaled, "s", note),
        Row(f"{full} / ours measured", scaled / ours.whole, "x", note),
    ]


def scaled_time(step: Measured, scale: float) -> float:
    """Return the seconds of a step on `scale` times as many images."""
    grows = ("visual module", "loss")
    return sum(t * (scale if part in grows else 1) for part, t in step.parts.items())


def _floor_rows(name: str, step: Measured, rates: Rates) -> list[Row]:
    floors = {part: work.floor(rates) for part, work in step.work.items()}
    total = {
        key: sum(asdict(work)[key] for work in step.work.values())
        for key in ("flops", "sigmoid", "bytes")
    }
    visual = step.work["visual module"]
    return [
        *(
            Row(f"{name}: floor of {part}", value, "s", "counted work at those rates")
            for part, value in floors.items()
        ),
        Row(f"{name}: floor", sum(floors.values()), "s", "sum of the parts"),
        Row(
            f"{name}: measured / floor",
            step.whole / sum(floors.values()),
            "x",
            "1 would be perfect",
        ),
        Row(
            f"{name}: visual module / floor",
            step.parts["visual module"] / floors["visual module"],
            "x",
        ),
        Row(
            f"{name}: text tower / floor",
            step.parts["text tower"] / floors["text tower"],
            "x",
        ),
        Row(f"{name}: products", total["flops"] / 1e9, "GFLOP", "counted"),
        Row(f"{name}: sigmoids", total["sigmoid"] / 1e9, "G values", "counted"),
        Row(f"{name}: bytes", total["bytes"] / 1e9, "GB", "counted, the least"),
        Row(
            f"{name}: visual module's sigmoids alone",
            visual.sigmoid / rates.sigmoid,
            "s",
            "at the measured rate",
        ),
    ]


def rate_rows(rates: Rates) -> list[Row]:
    """Return the device's rates."""
    return [
        Row(
            "rate: products",
            rates.flops / 1e9,
            "GFLOP/s",
            "a large product, bf16 on a GPU and else fp32, the best try",
        ),
        Row(
            "rate: bytes",
            rates.bytes / 1e9,
            "GB/s",
            "a large copy, read and written, the best try",
        ),
        Row(
            "rate: sigmoid",
            rates.sigmoid / 1e9,
            "G values/s",
            "a large array or pieces in a core's cache, the best try",
        ),
    ]
