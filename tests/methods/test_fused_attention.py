"""The fused kernels: values, gradients, code for a GPU, and what stands in for them."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import torch

from mlrpl.methods.kernels import fused_attention as fused
from mlrpl.methods.kernels import self_check
from mlrpl.methods.kernels.bilinear_attention import _BilinearAttention
from mlrpl.methods.kernels.fused_attention import FusedAttention
from support.kernels import needs_triton, python

NAMES = ("attention", "mean", "locations", "classes", "direction")
SHAPES = [
    *["1x1x1x1", "3x7x5x19", "2x4x17x100", "1x3x20x128"],
    *["2x3x5x1024", "1x2x4x2048", "2x49x3x33", "1x3x80x40"],
]


# ----------------------------------------------------- the kernels in the interpreter


@pytest.fixture(scope="module")
def interpreted(repository) -> dict:
    script = Path(__file__).parents[1] / "support/interpreted_attention.py"
    return json.loads(python(repository, script).stdout)


@needs_triton
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_those_of_fp64(shape, interpreted):
    found = interpreted["errors"][shape]
    assert set(found) == set(NAMES)
    for name, error in found.items():
        assert error < 1e-5, (name, error)


@needs_triton
def test_saturated_values_and_steep_logits_too(interpreted):
    for name, error in interpreted["saturated"].items():
        assert error < 1e-5, (name, error)
    # Logits of hundreds: what fp32 rounds off them is a relative error of the weights.
    for name, error in interpreted["steep"].items():
        assert error < 1e-4, (name, error)


@needs_triton
def test_no_product_is_too_large(interpreted):
    attention, mean, *gradients = interpreted["far"]
    # The second location has the logit 2, the first 1.
    first = 1 / (1 + torch.e)
    assert attention == pytest.approx([first, 1 - first])
    assert mean == pytest.approx([1, 1 - first])
    u, x, v = gradients
    assert u == [0] * 4 and x == [0, 0]
    assert v == pytest.approx([0, first * (1 - first)], abs=1e-7)


@needs_triton
def test_no_layout_and_no_number_of_launches_changes_the_values(interpreted):
    assert interpreted["other layouts"] is True
    assert interpreted["parts"] is True


@needs_triton
def test_the_check_passes_in_every_mode_of_torch(interpreted):
    assert interpreted["checked"] == ["", "", ""]


# -------------------------------------------------------------- the kernels' real code


def compiled(kernel: str, width: int, count: int, capability: int) -> tuple[int, int]:
    """Compile a kernel without a device; return registers and bytes spilled."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from mlrpl.methods.kernels import fused_kernels

    function = getattr(fused_kernels, kernel)
    options = dict(fused.launch_options(width, count)[kernel])
    constants = {key: options.pop(key) for key in ("WIDTH", "COLUMNS", "CLASSES")}
    signature, attributes = {}, {}
    for i, name in enumerate(function.arg_names):
        if name in constants:
            signature[name] = "constexpr"
        elif name.endswith("_ptr"):
            signature[name] = "*fp32"
            attributes[(i,)] = [["tt.divisibility", 16]]
        else:
            signature[name] = "i32"
    done = triton.compile(
        ASTSource(function, signature, constants, attributes),
        target=GPUTarget("cuda", capability, 32),
        options=options,
    )
    assert done.asm["cubin"]
    return registers_and_spills(done.asm["ptx"])


def registers_and_spills(ptx: str) -> tuple[int, int]:
    """Ask ptxas, which comes with Triton."""
    from triton import knobs

    target = re.search(r"^\.target (\w+)", ptx, re.MULTILINE).group(1)
    done = subprocess.run(
        [knobs.nvidia.ptxas.path, "-v", "--gpu-name", target, "-", "-o", os.devnull],
        input=ptx,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    spills = re.findall(r"(\d+) bytes spill", done.stderr)
    registers = re.search(r"Used (\d+) registers", done.stderr).group(1)
    return int(registers), sum(map(int, spills))


@needs_triton
@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize(
    ("kernel", "most"), [("attend", 160), ("to_attention", 128), ("to_inputs", 192)]
)
@pytest.mark.parametrize(("width", "count"), [(1024, 80), (1024, 20), (128, 80)])
def test_compiles_without_spilling_registers(
    kernel, most, width, count, capability, tmp_path, monkeypatch
):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    registers, spilled = compiled(kernel, width, count, capability)
    assert spilled == 0
    # 3 or 4 blocks of 4 warps, or 10 of one, in a multiprocessor's 65536 registers.
    assert registers <= most


@pytest.mark.parametrize("count", [1, 3, 7, 20, 79, 80, 1000])
@pytest.mark.parametrize("width", [1, 100, 128, 1024, 2048, 4096])
def test_tiles_cover_j_and_waste_few_classes(width, count):
    for kernel, options in fused.launch_options(width, count).items():
        columns, classes = options["COLUMNS"], options["CLASSES"]
        for number in (columns, classes, options["num_warps"]):
            assert number & (number - 1) == 0, kernel
        if kernel != "to_inputs":
            assert width <= columns < 2 * width or width == columns
        assert columns * classes <= 1024 * options["num_warps"]
        assert -count % classes <= max(3, count // 4)


# ------------------------------------------------------------------------- on a device


@pytest.fixture(scope="module")
def paper() -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """A batch of COCO: B 64, L 49, C 80, J 1024."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(64, 49, 1024), (80, 1024), (1024,), (64, 80, 49), (64, 80, 1024)]
    drawn = [torch.randn(shape, generator=generator).cuda() for shape in shapes]
    drawn[2] /= 32
    return drawn[:3], drawn[3:]


def run(function, tensors, grads) -> list[torch.Tensor]:
    inputs = [tensor.clone().requires_grad_() for tensor in tensors]
    outputs = function.apply(*inputs)
    return [*outputs, *torch.autograd.grad(outputs, inputs, grads)]


@needs_triton
@pytest.mark.gpu
def test_a_device_gives_what_the_plain_path_gives(paper, capsys):
    assert fused.usable(_BilinearAttention, *paper[0][:2])
    assert capsys.readouterr().err == ""
    ours, theirs = (run(f, *paper) for f in (FusedAttention, _BilinearAttention))
    for name, a, b in zip(NAMES, ours, theirs, strict=True):
        assert ((a - b).abs().max() / b.abs().max()).item() < 1e-5, name


@needs_triton
@pytest.mark.gpu
def test_a_device_gives_the_same_bits_twice(paper):
    assert all(map(torch.equal, *(run(FusedAttention, *paper) for _ in range(2))))


@needs_triton
@pytest.mark.gpu
@pytest.mark.parametrize(
    ("width", "count"), [(100, 20), (128, 7), (1024, 1), (1024, 20), (2048, 80)]
)
def test_a_device_agrees_at_other_sizes(width, count):
    card = torch.device("cuda", 0)
    functions = FusedAttention, _BilinearAttention
    assert self_check.why_not(*functions, card, width, count) == ""
