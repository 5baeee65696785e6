"""The training loop's own step of a method: its time and peak memory."""

import copy
from dataclasses import dataclass
from functools import partial

import torch

from mlrpl.bench.inputs import make_batch
from mlrpl.bench.measuring import peak_memory, seconds, wake
from mlrpl.bench.sizes import Sizes
from mlrpl.config.options import Options
from mlrpl.methods.base import Batch
from mlrpl.methods.method import Method
from mlrpl.text.clip_text import ClipText
from mlrpl.training.gradients import Gradients, gradients_of
from mlrpl.training.loop import make_optimizer, run_epoch
from mlrpl.training.optimizers import Optimizer


@dataclass(frozen=True)
class WholeStep:
    """A measured step, and what it was made with.

    Attributes:
        method: a copy of the method, on the device.
        batch: its images.
        optimizer: of the copy.
        time: seconds of a step; of a CUDA graph where it was asked for.
        memory: bytes at the peak of the first step, above model and batch.
    """

    method: Method
    batch: Batch
    optimizer: Optimizer
    time: float
    memory: int


def measure_whole(
    method: Method,
    options: Options,
    sizes: Sizes,
    texts: ClipText,
    images: int,
    device: torch.device,
    *,
    graph: bool,
) -> WholeStep:
    """Measure a method's step on so many images.

    Args:
        method: the method.
        options: of its optimiser.
        sizes: of everything else.
        texts: the text side of CLIP.
        images: B.
        device: where it runs.
        graph: whether a GPU runs it as a graph.
    """
    # A copy, since pages of the weights' file come and go while a step runs.
    method = copy.deepcopy(method).to(device)
    batch = make_batch(sizes, method, texts, images, device)
    optimizer = make_optimizer(options, method)
    wake(device)

    def step(gradients: Gradients) -> None:
        run_epoch(gradients, optimizer, options.lr, [batch])

    gradients = Gradients(method)
    memory = peak_memory(partial(step, gradients), device)
    if graph and device.type == "cuda":
        gradients = gradients_of(method, device)
        step(gradients)  # captures the graph
    time = seconds(
        partial(step, gradients), device, sizes.repeats, sizes.budget, warm_up=False
    )
    return WholeStep(method, batch, optimizer, time, memory)
