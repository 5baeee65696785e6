"""The bilinear attention of `bilinear_attention` in three kernels of a GPU.

The tensor s [B, C, L, J] is never in memory, not even in parts: at the paper's sizes
its 257 million values would be written and read several times a step. The kernels make
it three times instead, once forward and twice backward: the first backward kernel needs
all of J for the gradient of a logit, which the second needs for that of every value.

They are written in Triton, which is imported, and compiles them, when a process first
attends on a CUDA device. `self_check` then says whether they are used.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mlrpl.methods.kernels import self_check

# Entries of the parts of the gradient of u that are in memory at once: 256 MiB.
PARTS = 2**26
# Classes of a program that sums over J; values of s in a program that does not, and
# registers of its threads, for 10 warps a multiprocessor instead of 8.
CLASSES, TILE, REGISTERS = 4, 1024, 192


def usable(
    plain: type[torch.autograd.Function], locations: Tensor, classes: Tensor
) -> bool:
    """Return whether `FusedAttention` can stand for `plain` on these tensors.

    Args:
        plain: the function that is right.
        locations: u, [B, L, J].
        classes: [C, J].
    """
    return self_check.usable(FusedAttention, plain, locations, classes)


def launch_options(width: int, count: int) -> dict[str, dict[str, int]]:
    """Return, for each kernel, the sizes of its tile and how Triton compiles it.

    Where a kernel sums over J, a program has all of J for up to 4 classes, 32 values of
    s a thread from J 1024 on. In `to_inputs`, which does not, it is one warp with 1024
    values. The more classes these are of, the fewer parts of the gradient of u there
    are; by the bytes, one is written and read in about the time of 5 classes, those
    that only fill a tile included.

    Args:
        width: J.
        count: C.
    """
    wide = _power_of_2(width)
    rows = {
        "WIDTH": width,
        "COLUMNS": wide,
        "CLASSES": min(CLASSES, _power_of_2(count)),
        "num_warps": min(16, max(1, wide // 256)),
    }
    together = min((16, 8, 4), key=lambda k: -(-count // k) * (k + 5))
    part = {
        "WIDTH": width,
        "COLUMNS": min(TILE // together, wide),
        "CLASSES": together,
        "num_warps": 1,
        "maxnreg": REGISTERS,
    }
    return {"attend": rows, "to_attention": rows, "to_inputs": part}


def _power_of_2(number: int) -> int:
    """Return the least power of 2 that is not below a number."""
    return 1 << (number - 1).bit_length()


def _launcher(kernel: str, batch: int, count: int, options: dict[str, int]) -> Callable:
    """Return what starts a kernel for each image, block of classes and of columns.

    Args:
        kernel: its name.
        batch: B.
        count: how many classes it is for.
        options: its own of `launch_options`.
    """
    from mlrpl.methods.kernels import fused_kernels  # imports Triton

    blocks = -(-count // options["CLASSES"])
    columns = -(-options["WIDTH"] // options["COLUMNS"])
    return partial(
        getattr(fused_kernels, kernel)[(batch * blocks * columns,)], **options
    )


class FusedAttention(torch.autograd.Function):
    """softmax(s . direction) and the mean of s that it weights, of s = sigmoid(u x).

    With x = 2 V x_c and the direction 2 v it is Eq. 3-6 of arXiv 2412.10843, as
    `bilinear_attention` says. The sigmoid is computed three times, once forward and
    twice backward. The same inputs give the same bits, also of the gradients.
    """

    @staticmethod
    def forward(
        ctx, locations: Tensor, classes: Tensor, direction: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the attention [B, C, L] and the mean of s [B, C, J].

        Args:
            ctx: torch's.
            locations: u, [B, L, J], like all others in fp32 and on one CUDA device.
            classes: x, [C, J].
            direction: [J].
        """
        inputs = [t.contiguous() for t in (locations, classes, direction)]
        batch, length, width = locations.shape
        count = len(classes)
        options = launch_options(width, count)
        # The classes last, and zeros where a tile of to_inputs goes beyond them.
        together = options["to_inputs"]["CLASSES"]
        stride = -(-count // together) * together
        logits = locations.new_zeros(batch, length, stride)
        mean = locations.new_empty(batch, count, width)
        attend = _launcher("attend", batch, count, options["attend"])
        with torch.cuda.device_of(locations):
            attend(*inputs, logits, mean, length, count, stride)
        spread = torch.softmax(logits, dim=1)
        ctx.save_for_backward(*inputs, spread)
        attention = spread[:, :, :count].transpose(1, 2)
        return attention.clone(memory_format=torch.contiguous_format), mean

    @staticmethod
    @once_differentiable
    def backward(
        ctx, grad_attention: Tensor, grad_mean: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of u, x and the direction.

        Args:
            ctx: torch's.
            grad_attention: [B, C, L].
            grad_mean: [B, C, J].
        """
        locations, classes, direction, spread = ctx.saved_tensors
        batch, length, width = locations.shape
        count, stride = len(classes), spread.shape[2]
        options = launch_options(width, count)
        grad_mean = grad_mean.contiguous()
        grad_spread = torch.zeros_like(spread)
        to_attention = _launcher("to_attention", batch, count, options["to_attention"])
        with torch.cuda.device_of(locations):
            to_attention(
                *(locations, classes, grad_mean, grad_attention, grad_spread),
                *(length, count, stride, *grad_attention.stride()),
            )
        grad_logits = torch.ops.aten._softmax_backward_data(
            grad_spread, spread, 1, spread.dtype
        )
        # Parts that no two programs share, summed here: atomics would have no order.
        class_parts = torch.empty_like(grad_mean)
        together = options["to_inputs"]["CLASSES"]
        step = together * max(1, PARTS // locations.numel())
        for first in range(0, count, step):
            last = min(first + step, count)
            blocks = -(-(last - first) // together)
            parts = locations.new_empty(blocks, batch, length, width)
            direction_parts = locations.new_empty(batch, blocks, width)
            to_inputs = _launcher(
                "to_inputs", batch, last - first, options["to_inputs"]
            )
            with torch.cuda.device_of(locations):
                to_inputs(
                    *(locations, classes, direction, spread, grad_logits, grad_mean),
                    *(parts, class_parts, direction_parts),
                    *(batch, length, count, first, last, stride),
                )
            if first == 0:
                grad_locations = parts.sum(0)
                grad_direction = direction_parts.sum((0, 1))
            else:
                grad_locations += parts.sum(0)
                grad_direction += direction_parts.sum((0, 1))
        return grad_locations, class_parts.sum(0), grad_direction
