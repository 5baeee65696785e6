"""Loss and gradients of a batch; on a GPU replayed as one CUDA graph.

A step starts hundreds of small kernels, most of them the text tower's, and to start
them takes a GPU's host longer than the GPU needs for them. Captured as a graph they are
started at once. The graph is used only if it gives the bits of the steps that it is
captured from.
"""

import os
import sys
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mlrpl.methods.base import Batch
from mlrpl.methods.method import Method

# Steps before the capture: libraries set themselves up in the first ones.
WARM_UP = 3

# Of a computation without arguments, returns what computes it again into the same
# tensors, and these tensors.
Capture = Callable[
    [Callable[[], list[Tensor]]], tuple[Callable[[], None], list[Tensor]]
]


class Gradients:
    """Computes a batch's loss, and leaves its gradients in the parameters.

    Attributes:
        phase: what `Method.start_epoch` returned; set by the training loop.
    """

    def __init__(self, method: Method):
        self.method = method
        self.phase: Hashable = None

    def __call__(self, batch: Batch) -> Tensor:
        """Return the loss, a scalar without gradient; the old gradients are dropped."""
        for parameter in self.method.parameters():
            parameter.grad = None
        loss = self.method.loss(batch)
        loss.backward()
        return loss.detach()


@dataclass(frozen=True)
class _Graph:
    """One captured step: where its inputs lie, how it runs, where its results lie."""

    inputs: Batch
    parameters: list[nn.Parameter]
    replay: Callable[[], None]
    outputs: list[Tensor]


class GraphedGradients(Gradients):
    """The same from a graph that is captured at the first batch of a phase.

    Batches of another size than the first, as an epoch's last one, go without it. So do
    all of the phase if the capture fails or the graph's loss, gradients and state are
    not, bit for bit, those that it stands for; one line on stderr says so.
    """

    def __init__(self, method: Method, capture: Capture | None = None):
        """Take a method; nothing is captured yet.

        Args:
            method: the method, on its device.
            capture: how to capture, by default `capture_cuda`.
        """
        super().__init__(method)
        self._capture = capture or capture_cuda
        self._graphs: dict[Hashable, _Graph | None] = {}

    def __call__(self, batch: Batch) -> Tensor:
        """Return the loss, a scalar without gradient; the old gradients are dropped."""
        if self.phase not in self._graphs:
            self._graphs[self.phase] = self._start(batch)
        graph = self._graphs[self.phase]
        if graph is None or batch.features.shape != graph.inputs.features.shape:
            return super().__call__(batch)
        given = batch.tensors()
        for name, tensor in graph.inputs.tensors().items():
            tensor.copy_(given[name])
        graph.replay()
        loss, *gradients = graph.outputs
        for parameter in self.method.parameters():
            parameter.grad = None
        for parameter, gradient in zip(graph.parameters, gradients, strict=True):
            parameter.grad = gradient
        return loss.clone()

    def _start(self, batch: Batch) -> _Graph | None:
        """Capture a graph, and compare it with what it was captured from.

        The steps that this takes change nothing: the method's state and the random
        numbers that come next are put back.
        """
        inputs = Batch(**{name: t.clone() for name, t in batch.tensors().items()})
        before = State(self.method, inputs.features.device)
        try:
            replay, outputs = self._capture(lambda: self._compute(inputs))
            before.put_back()
            for tensor in outputs:
                tensor.zero_()
            replay()
            replayed = State(self.method, inputs.features.device)
            before.put_back()
            expected = self._compute(inputs)
            computed = State(self.method, inputs.features.device)
            same = all(map(torch.equal, expected, outputs)) and computed == replayed
            reason = "" if same else "it gives other numbers"
        except torch.OutOfMemoryError:
            reason = "not enough memory"
        except Exception as error:  # whatever a capture does not allow
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        finally:
            before.put_back()
        if reason:
            line = f"steps without a CUDA graph, slower: {reason}"
            print(line, file=sys.stderr, flush=True)
            return None
        parameters = [p for p in self.method.parameters() if p.grad is not None]
        return _Graph(inputs, parameters, replay, outputs)

    def _compute(self, inputs: Batch) -> list[Tensor]:
        """Return the loss and the gradients of the inputs' place in memory."""
        loss = super().__call__(inputs)
        gradients = [p.grad for p in self.method.parameters() if p.grad is not None]
        return [loss, *gradients]


class State:
    """What a step may change besides gradients: parameters, buffers, random numbers."""

    def __init__(self, method: nn.Module, device: torch.device):
        """Copy the state of a method, and of the generators of CPU and device."""
        self._method, self._device = method, device
        self._tensors = {n: t.detach().clone() for n, t in _tensors(method).items()}
        self._random = torch.get_rng_state()
        self._cuda = device.type == "cuda" and torch.cuda.get_rng_state(device)

    @torch.no_grad()
    def put_back(self) -> None:
        """Make the state what it was, at the same places in memory."""
        for name, tensor in _tensors(self._method).items():
            tensor.copy_(self._tensors[name])
        torch.set_rng_state(self._random)
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(self._cuda, self._device)

    def __eq__(self, other: object) -> bool:
        """Say whether all parameters and buffers have the same bits."""
        if not isinstance(other, State):
            return NotImplemented
        pairs = zip(self._tensors.values(), other._tensors.values(), strict=True)
        return all(torch.equal(mine, theirs) for mine, theirs in pairs)

    __hash__ = None


def _tensors(method: nn.Module) -> dict[str, Tensor]:
    """Return what a checkpoint keeps: a step changes nothing else."""
    return method.state_dict(keep_vars=True)


def capture_cuda(
    compute: Callable[[], list[Tensor]],
) -> tuple[Callable[[], None], list[Tensor]]:
    """Capture a computation as a CUDA graph, on a stream of its own after a warm-up.

    Returns:
        the graph's replay, and the tensors into which it computes.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            compute()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # thread_local: the thread that makes the next batch may meanwhile allocate.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        outputs = compute()
    return graph.replay, outputs


def gradients_of(method: Method, device: torch.device) -> Gradients:
    """Return what computes gradients on a device: on a GPU, the graph.

    MLRPL_GRAPH=0 in the environment leaves it out, and so does a method whose steps
    cannot be one (`Method.graph`).
    """
    wanted = os.environ.get("MLRPL_GRAPH", "1") != "0"
    if device.type == "cuda" and wanted and method.graph:
        return GraphedGradients(method)
    return Gradients(method)
