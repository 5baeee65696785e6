"""Whether the fused kernels can be trusted on this machine: they are tried first.

Before a process uses the fused attention on a device, for a J and a C, it computes one
small problem twice, by the fused function in fp32 and by the plain one in fp64, and
compares five tensors: the attention, the mean and the gradients of the locations, the
classes and the direction. The inputs, and the gradients that come from above, are
random numbers, the same each time: two images of three locations, but all of the
setting's J and C, on which the compiled code depends. In each tensor the largest
difference may be `TOLERANCE` of the largest value.

If one is larger, or if anything on the way fails (the import of Triton, a compiler, the
call itself), the process goes on with the plain function, which is slower and gives the
same results, and one line on stderr says why. Nothing is retried. Only a lack of memory
is an error as everywhere else: the plain function would meet it, too.
"""

import os
import sys

import torch
from torch import Tensor

# A function of locations, classes and direction that gives attention and mean.
Attention = type[torch.autograd.Function]

# The widest J; beyond it a program's tile would not fit its registers.
MAX_WIDTH = 4096
# Compute capability, that of Volta.
OLDEST = (7, 0)
# Largest difference, relative to the largest value; right kernels are within 1e-6.
TOLERANCE = 1e-4
# The small problem's images and locations.
IMAGES, LOCATIONS = 2, 3

# What is compared: the outputs and the gradients.
NAMES = (
    "the attention",
    "the mean",
    "the gradient of the locations",
    "the gradient of the classes",
    "the gradient of the direction",
)

# Of (device, J, C): whether the kernels are used there.
_usable: dict[tuple[int, int, int], bool] = {}
# The lines that were printed: a Triton that is missing is so for each J and C.
_said: set[str] = set()


def usable(
    fused: Attention, plain: Attention, locations: Tensor, classes: Tensor
) -> bool:
    """Return whether `fused` can stand for `plain` on these tensors.

    It can on a CUDA device, in fp32, where the check above passes; it is made once a
    process, device, J and C. The answer is the same each time on the same machine.
    MLRPL_FUSED=0 in the environment is a no without a check.

    Args:
        fused: the function that is tried.
        plain: the function that is right.
        locations: u, [B, L, J].
        classes: [C, J].
    """
    if not _eligible(locations):
        return False
    (count, width), device = classes.shape, locations.device
    key = (device.index, width, count)
    if key not in _usable:
        reason = why_not(fused, plain, device, width, count)
        _usable[key] = not reason
        line = f"{device}: attention without the fused kernels, slower: {reason}"
        if reason and line not in _said:
            _said.add(line)
            print(line, file=sys.stderr, flush=True)
    return _usable[key]


def _eligible(locations: Tensor) -> bool:
    wanted = os.environ.get("MLRPL_FUSED", "1") != "0"
    return wanted and locations.is_cuda and locations.dtype == torch.float32


def why_not(
    fused: Attention, plain: Attention, device: torch.device, width: int, count: int
) -> str:
    """Return why `fused` cannot be used on a device; nothing, if it can.

    Args:
        fused: the function that is tried.
        plain: the function that is right.
        device: a CUDA device.
        width: J.
        count: C.

    Raises:
        torch.OutOfMemoryError: when there is no memory for the small problem.
    """
    if width > MAX_WIDTH:
        return f"they are made for J up to {MAX_WIDTH}, not {width}"
    if torch.version.hip:
        return "they are made for NVIDIA's GPUs"
    capability = torch.cuda.get_device_capability(device)
    if capability < OLDEST:
        return f"compute capability {capability[0]}.{capability[1]}, 7.0 is needed"
    try:
        return disagreement(fused, plain, device, width, count)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever Triton or its compilers raise
        text = " ".join(str(error).split())[:200]
        return f"{type(error).__name__}: {text}"


def disagreement(
    fused: Attention, plain: Attention, device: torch.device, width: int, count: int
) -> str:
    """Return where `fused` is not `plain` in fp64; nothing, if it is nowhere.

    torch's own generators are left alone, so that the check changes no training.

    Args:
        fused: the function that is tried.
        plain: the function that is right.
        device: where to compute.
        width: J.
        count: C.
    """
    inputs, grads = _small_problem(device, width, count)
    found = _outputs(fused, inputs, grads)
    exact = ([t.double() for t in tensors] for tensors in (inputs, grads))
    expected = _outputs(plain, *exact)
    for name, ours, theirs in zip(NAMES, found, expected, strict=True):
        difference = ((ours - theirs).abs().max() / theirs.abs().max()).item()
        if not difference <= TOLERANCE:  # nor where it is not a number
            return f"{name} differs by {difference:.1e} of its largest value"
    return ""


def _small_problem(
    device: torch.device, width: int, count: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Return locations, classes and direction, and the gradients of both outputs."""
    generator = torch.Generator().manual_seed(0)
    shapes = [
        (IMAGES, LOCATIONS, width),
        (count, width),
        (width,),
        (IMAGES, count, LOCATIONS),
        (IMAGES, count, width),
    ]
    drawn = [torch.randn(shape, generator=generator).to(device) for shape in shapes]
    return drawn[:3], drawn[3:]


def _outputs(
    function: Attention, inputs: list[Tensor], grads: list[Tensor]
) -> list[Tensor]:
    """Return the attention, the mean and the three gradients; in any mode of torch."""
    with torch.inference_mode(False), torch.enable_grad():
        locations, classes, direction = inputs
        # Logits of about 1, whatever J is.
        scaled = (locations, classes, direction / len(direction) ** 0.5)
        leaves = [tensor.clone().requires_grad_() for tensor in scaled]
        outputs = function.apply(*leaves)
        gradients = torch.autograd.grad(
            outputs, leaves, [grad.clone() for grad in grads]
        )
    return [*(output.detach() for output in outputs), *gradients]
