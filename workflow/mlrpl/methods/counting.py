"""What a method takes, counted on the method itself; nothing is computed.

The method is built of tensors that have a shape and no numbers, and takes one step with
them: torch counts the products, and says what is kept for the backward pass. An
operation is a multiplication or an addition in a product of matrices, or of a matrix
and a vector; functions of single numbers are not counted.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mlrpl.config.options import Options
from mlrpl.methods.base import Batch
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.kernels import bilinear_attention
from mlrpl.methods.method import Method

# Images that are scored at once: the products of weights alone are taken once for them.
TOGETHER = 256
# Tokens of which the 2x2 pooling makes one location.
POOLED = 4


@dataclass(frozen=True)
class Shapes:
    """The sizes that a training gives its method.

    Attributes:
        channels: K, the channels of the cached map.
        locations: L of the map.
        embed_dim: D, the dimension of CLIP's joint space.
        classes: C.
        glove: G, the length of a class vector.
        images: of the training split.
        width: of the text tower.
        layers: its blocks.
        heads: of its attention.
        context_length: the longest prompt, in tokens.
        name_tokens: tokens of a class name.
    """

    channels: int
    locations: int
    embed_dim: int
    classes: int
    glove: int
    images: int
    width: int
    layers: int
    heads: int
    context_length: int
    name_tokens: int


@dataclass(frozen=True)
class Count:
    """What a method takes.

    Attributes:
        reads: the cached feature that it takes (`Head.reads`).
        parameters: how many are trained.
        state: bytes of all its tensors, the frozen ones too.
        step: operations of the loss of a batch and of its gradients.
        prepare: operations of what a test makes once, such as text features.
        image: operations of scoring one image with that, of many at once.
        kept: bytes that the backward pass of a step needs, besides `state`.
    """

    reads: str
    parameters: int
    state: int
    step: int
    prepare: int
    image: float
    kept: int


class _Text:
    """Stands for `ClipText`: tensors of the same shapes on the current device."""

    def __init__(self, shapes: Shapes):
        self._shapes = shapes
        self.classes = tuple(f"class {number}" for number in range(shapes.classes))
        self.class_tokens = [[0] * shapes.name_tokens for _ in self.classes]
        self.logit_scale = 100.0
        self.metadata = {
            "activation": "quick_gelu",
            "heads": str(shapes.heads),
            "layers": str(shapes.layers),
            **dict.fromkeys(("sot", "eot", "period"), "0"),
            "map_channels": str(shapes.channels),
            "embed_dim": str(shapes.embed_dim),
        }

    def tensor(self, name: str) -> Tensor:
        """Return a tensor of the file."""
        width = self._shapes.width
        found = {
            "positional_embedding": (self._shapes.context_length, width),
            "text_projection": (width, self._shapes.embed_dim),
            "attn.in_proj_weight": (3 * width, width),
            "attn.in_proj_bias": (3 * width,),
            "attn.out_proj.weight": (width, width),
            "mlp.c_fc.weight": (4 * width, width),
            "mlp.c_fc.bias": (4 * width,),
            "mlp.c_proj.weight": (width, 4 * width),
        }
        name = name.split(".", 2)[2] if name.startswith("blocks.") else name
        return torch.empty(found.get(name, (width,)))

    def embed(self, tokens: list[int]) -> Tensor:
        """Return the embeddings of tokens."""
        return torch.empty(len(tokens), self._shapes.width)

    def visual_projection(self) -> tuple[Tensor, Tensor]:
        """Return CLIP's map of the spatial features."""
        channels, width = self._shapes.channels, self._shapes.embed_dim
        return torch.empty(channels, width), torch.empty(width)


def count(options: Options, shapes: Shapes) -> Count | None:
    """Count what a method takes; None if it cannot be counted without numbers."""
    try:
        if shapes.layers <= 2 or "prompts" not in options:
            return _count(options, shapes)
        # All blocks but the last are alike, and to count each takes seconds.
        one, two = (_count(options, replace(shapes, layers=n)) for n in (1, 2))
    except Exception:  # whatever tensors without numbers do not allow
        return None
    more = {
        name: value + (shapes.layers - 1) * (getattr(two, name) - value)
        for name, value in vars(one).items()
        if name != "reads"
    }
    return replace(one, **more)


def parameters(options: Options, shapes: Shapes) -> int | None:
    """Count the trained parameters alone; None if they need numbers."""
    try:
        return _build(options, shapes).parameter_counts()["total"]
    except Exception:  # as above
        return None


def context_tokens(options: Options) -> int:
    """Return the number of context vectors, of a text about one a word."""
    text = options.get("context_init", "random")
    return options.get("n_ctx", 0) if text == "random" else text.count("_") + 1


def _count(options: Options, shapes: Shapes) -> Count:
    method = _build(options, shapes)
    own = {t.untyped_storage()._cdata: t for t in _tensors(method)}
    size = options.batch_size
    with _only_shapes():
        batch = Batch(
            _features(method, shapes, size),
            torch.empty(size, shapes.classes, dtype=torch.int8, device="meta"),
            torch.empty(size, dtype=torch.long, device="meta"),
            _further(method, shapes, size),
        )
        method.train()
        method.begin()
        kept: dict[int, Tensor] = {}

        def keep(tensor: Tensor) -> Tensor:
            kept[tensor.untyped_storage()._cdata] = tensor
            return tensor

        def step() -> None:
            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                loss = method.loss(batch)
            loss.backward()

        operations, _ = _operations(step)
        method.eval()
        with torch.no_grad():
            prepare, prepared = _operations(method.prepare)
            images = _features(method, shapes, TOGETHER)
            score = partial(method.score_images, images, prepared)
            # A head without anything to prepare does nothing twice.
            scoring, _ = _operations(score)
    return Count(
        reads=method.reads,
        parameters=method.parameter_counts()["total"],
        state=_bytes(own.values()),
        step=operations,
        prepare=prepare,
        image=scoring / TOGETHER,
        kept=_bytes(kept[key] for key in kept.keys() - own.keys()),
    )


def _build(options: Options, shapes: Shapes) -> Method:
    """Return a method whose tensors have no numbers."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"), _only_shapes():
        context = None
        if options.get("context_init", "random") != "random":
            context = torch.empty(context_tokens(options), shapes.width)
        inputs = Inputs(
            map_channels=shapes.channels,
            embed_dim=shapes.embed_dim,
            class_vectors=torch.empty(shapes.classes, shapes.glove),
            clip=_Text(shapes),
            known=torch.empty(shapes.images, shapes.classes, dtype=torch.int8),
            context=context,
            grid=(1, shapes.locations),  # only their number counts
            token_positions=torch.empty(
                1 + POOLED * shapes.locations, shapes.embed_dim
            ),
        )
        # What was worked out from values is on the CPU.
        return Method.from_options(options, inputs, seed=0).to("meta")


def _features(method: Method, shapes: Shapes, images: int) -> Tensor:
    shape = {
        "map": (images, shapes.locations, shapes.channels),
        "global": (images, shapes.embed_dim),
        "max": (images, shapes.channels),
        "tokens": (images, POOLED * shapes.locations, shapes.embed_dim),
    }[method.reads]
    return torch.empty(shape, device="meta")


def _further(method: Method, shapes: Shapes, images: int) -> Tensor | None:
    if not method.further_views:
        return None
    one = _features(method, shapes, images)
    return one.new_empty((method.further_views, *one.shape))


def _tensors(method: Method) -> list[Tensor]:
    return [*method.parameters(), *method.buffers()]


def _bytes(tensors: Iterable[Tensor]) -> int:
    """Return the bytes of the tensors' memory, each in another one."""
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors)


def _operations(compute: Callable[[], Any]) -> tuple[int, Any]:
    """Count the operations of a computation; return its result too."""
    with FlopCounterMode(display=False, custom_mapping=VECTORS) as counter:
        result = compute()
    return counter.get_total_flops(), result


def _matrix_vector(matrix: tuple[int, ...], *_: Any, **__: Any) -> int:
    return 2 * matrix[0] * matrix[1]


# What torch's counter leaves out.
VECTORS = {torch.ops.aten.mv: _matrix_vector}


@contextmanager
def _only_shapes() -> Iterator[None]:
    """Let a method compute with tensors that have no numbers.

    torch's device for them, "meta", has no autocast: all is counted in fp32. The
    attention makes its tensor at once, since a thousand pieces take seconds and count
    the same.
    """
    with (
        patch.object(torch, "autocast", lambda *_, **__: nullcontext()),
        patch.object(torch, "is_autocast_enabled", lambda *_: False),
        patch.object(bilinear_attention, "CHUNK_CPU", sys.maxsize),
    ):
        yield
