"""Loss and gradients of a batch; on a GPU replayed as one CUDA graph.

A step starts hundreds of small kernels, most of them the text tower's, and to start
them takes a GPU's host longer than the GPU needs for them. Captured as a graph they are
started at once. The graph is used only if it gives the bits of the steps that it is
captured from.
"""

import os
import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mlrpl.training_data import Batch

# Steps before the capture: libraries set themselves up in the first ones.
WARM_UP = 3

# Of a computation without arguments, returns what computes it again into the same
# tensors, and these tensors.
Capture = Callable[
    [Callable[[], list[Tensor]]], tuple[Callable[[], None], list[Tensor]]
]


class Gradients:
    """Computes a batch's loss, and leaves its gradients in the parameters."""

    def __init__(self, model: nn.Module, loss_function: Callable[..., Tensor]):
        """Take a recognizer and a loss.

        Args:
            model: the recognizer, on its device.
            loss_function: of its scores and labels.
        """
        self.model, self.loss_function = model, loss_function

    def __call__(self, batch: Batch) -> Tensor:
        """Return the loss, a scalar without gradient; the old gradients are dropped."""
        for parameter in self.model.parameters():
            parameter.grad = None
        loss = self.loss_function(self.model(batch.features), batch.labels)
        loss.backward()
        return loss.detach()


class GraphedGradients(Gradients):
    """The same from a graph that is captured at the first batch.

    Batches of another size than the first, as an epoch's last one, go without it. So do
    all if the capture fails or the graph's loss and gradients are not, bit for bit,
    those that it stands for; one line on stderr says so.
    """

    def __init__(
        self,
        model: nn.Module,
        loss_function: Callable[..., Tensor],
        capture: Capture | None = None,
    ):
        """Take a recognizer and a loss; nothing is captured yet.

        Args:
            model: the recognizer, on its device.
            loss_function: of its scores and labels.
            capture: how to capture, by default `capture_cuda`.
        """
        super().__init__(model, loss_function)
        self._capture = capture or capture_cuda
        self._inputs: Batch | None = None
        self._parameters: list[nn.Parameter] = []
        self._outputs: list[Tensor] = []
        self._replay: Callable[[], None] | None = None

    def __call__(self, batch: Batch) -> Tensor:
        """Return the loss, a scalar without gradient; the old gradients are dropped."""
        if self._inputs is None:
            self._start(batch)
        if self._replay is None or batch.features.shape != self._inputs.features.shape:
            return super().__call__(batch)
        self._inputs.features.copy_(batch.features)
        self._inputs.labels.copy_(batch.labels)
        self._replay()
        loss, *gradients = self._outputs
        for parameter in self.model.parameters():
            parameter.grad = None
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient
        return loss.clone()

    def _start(self, batch: Batch) -> None:
        """Capture the graph, and compare it with what it was captured from."""
        self._inputs = Batch(batch.features.clone(), batch.labels.clone())
        try:
            replay, outputs = self._capture(self._compute)
            for tensor in outputs:
                tensor.zero_()
            replay()
            expected = self._compute()
            same = all(map(torch.equal, expected, outputs))
            reason = "" if same else "it gives other numbers"
        except torch.OutOfMemoryError:
            reason = "not enough memory"
        except Exception as error:  # whatever a capture does not allow
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        if reason:
            line = f"steps without a CUDA graph, slower: {reason}"
            print(line, file=sys.stderr, flush=True)
        else:
            self._replay, self._outputs = replay, outputs

    def _compute(self) -> list[Tensor]:
        """Return the loss and the gradients of the inputs' place in memory."""
        loss = super().__call__(self._inputs)
        self._parameters = [p for p in self.model.parameters() if p.grad is not None]
        return [loss, *(p.grad for p in self._parameters)]


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


def gradients_of(
    model: nn.Module, loss_function: Callable[..., Tensor], device: torch.device
) -> Gradients:
    """Return what computes gradients on a device: on a GPU, the graph.

    MLRPL_GRAPH=0 in the environment leaves it out.
    """
    if device.type == "cuda" and os.environ.get("MLRPL_GRAPH", "1") != "0":
        return GraphedGradients(model, loss_function)
    return Gradients(model, loss_function)
