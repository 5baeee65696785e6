"""What stands in for the fused kernels where they cannot be used."""

import sys
from types import SimpleNamespace

import pytest
import torch

from mlrpl.methods.kernels import bilinear_attention as bilinear
from mlrpl.methods.kernels import fused_attention as fused
from mlrpl.methods.kernels import self_check
from mlrpl.methods.kernels.bilinear_attention import _BilinearAttention
from mlrpl.methods.kernels.fused_attention import FusedAttention
from support.kernels import needs_triton, python

# ------------------------------------------------------- what stands in for the kernels


def problem() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    shapes = [(3, 5, 8), (4, 8), (8,)]
    return [torch.randn(s, generator=generator).requires_grad_() for s in shapes]


def attend(tensors) -> list[torch.Tensor]:
    attention, mean = bilinear.bilinear_attention(*tensors)
    gradients = torch.autograd.grad(attention.sin().sum() + mean.sin().sum(), tensors)
    return [attention, mean, *gradients]


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """CPU tensors taken for a GPU's, on which the kernels cannot run."""
    monkeypatch.setattr(bilinear, "KEEP", 0)
    monkeypatch.setattr(self_check, "_usable", {})
    monkeypatch.setattr(self_check, "_said", set())
    monkeypatch.setattr(self_check, "_eligible", lambda tensor: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))


def assert_plain_with_one_line(capsys, monkeypatch, *words):
    found, printed = attend(problem()), capsys.readouterr()
    attend(problem())
    again = capsys.readouterr()
    assert printed.out == again.out == again.err == ""
    assert len(printed.err.splitlines()) == 1
    for word in ("without the fused kernels", *words):
        assert word in printed.err
    monkeypatch.setattr(self_check, "_eligible", lambda tensor: False)
    assert all(map(torch.equal, found, attend(problem())))


class Wrong(torch.autograd.Function):
    """The attention with a mean that is a little off."""

    @staticmethod
    def forward(ctx, *tensors):
        attention, mean = _BilinearAttention.forward(ctx, *tensors)
        return attention, mean * 1.001

    @staticmethod
    def backward(ctx, *grads):
        return _BilinearAttention.backward(ctx, *grads)


def test_wrong_values_give_the_plain_path_and_one_line(
    as_on_a_gpu, monkeypatch, capsys
):
    monkeypatch.setattr(fused, "FusedAttention", Wrong)
    assert_plain_with_one_line(capsys, monkeypatch, "mean differs by 1.0e-03")


class NotANumber(Wrong):
    @staticmethod
    def backward(ctx, *grads):
        u, x, v = _BilinearAttention.backward(ctx, *grads)
        return u, x * float("nan"), v


def test_values_that_are_no_numbers_are_wrong(monkeypatch):
    monkeypatch.setattr(Wrong, "forward", _BilinearAttention.forward)
    reason = self_check.disagreement(
        NotANumber, _BilinearAttention, torch.device("cpu"), 8, 4
    )
    assert reason.startswith("the gradient of the classes differs by nan")


@needs_triton
def test_triton_without_a_device_gives_the_plain_path_and_one_line(
    as_on_a_gpu, monkeypatch, capsys
):
    assert_plain_with_one_line(capsys, monkeypatch, "Error: ")


@pytest.fixture
def without_kernels(monkeypatch):
    """The module of the kernels is not imported yet, nor is Triton."""
    name = "mlrpl.methods.kernels.fused_kernels"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delattr(name, raising=False)
    for module in [m for m in sys.modules if m.partition(".")[0] == "triton"]:
        monkeypatch.delitem(sys.modules, module)


def test_no_triton_gives_the_plain_path_and_one_line(
    as_on_a_gpu, without_kernels, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "triton", None)
    assert_plain_with_one_line(capsys, monkeypatch, "ModuleNotFoundError", "triton")


# Of a Triton that torch did not ask for, in the file triton/__init__.py.
OTHER_TRITONS = {
    "raises": ("raise RuntimeError('made for another LLVM')", "made for another LLVM"),
    "lacks its library": ("raise OSError('libtriton.so: not found')", "libtriton.so"),
    "asserts": ("assert False, 'no driver'", "AssertionError: no driver"),
    "is empty": ("", "ModuleNotFoundError"),
    "has no knobs": ("def jit(*a, **k): return lambda f: f", "AttributeError"),
    "does not compile": (
        """
class knobs:
    class runtime:
        interpret = False

class Kernel:
    def __getitem__(self, grid):
        def call(*arguments, **options):
            raise ValueError("no such target: sm_999")
        return call

def jit(*arguments, **options):
    return Kernel() if arguments else lambda function: Kernel()
""",
        "ValueError: no such target: sm_999",
    ),
}


@pytest.mark.parametrize("kind", OTHER_TRITONS)
def test_another_triton_gives_the_plain_path_and_one_line(
    kind, as_on_a_gpu, without_kernels, monkeypatch, capsys, tmp_path
):
    text, word = OTHER_TRITONS[kind]
    (tmp_path / "triton").mkdir()
    (tmp_path / "triton/__init__.py").write_text(text)
    if kind != "is empty":
        language = "constexpr = float\n" if kind == "does not compile" else ""
        (tmp_path / "triton/language.py").write_text(language)
    monkeypatch.syspath_prepend(tmp_path)
    assert_plain_with_one_line(capsys, monkeypatch, word)


def test_what_is_missing_for_all_sizes_is_said_once(
    as_on_a_gpu, without_kernels, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "triton", None)
    u, x, v = problem()
    for count in (2, 3, 4):
        bilinear.bilinear_attention(u, x[:count], v)
    assert len(self_check._usable) == 3
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_long_error_is_one_line(as_on_a_gpu, monkeypatch, capsys):
    def apply(*tensors):
        raise RuntimeError("ptxas\n" + "failed\n" * 1000)

    monkeypatch.setattr(FusedAttention, "apply", apply)
    assert_plain_with_one_line(capsys, monkeypatch, "RuntimeError: ptxas failed failed")


def test_no_memory_is_no_reason(as_on_a_gpu, monkeypatch):
    def apply(*tensors):
        raise torch.OutOfMemoryError("none left")

    monkeypatch.setattr(FusedAttention, "apply", apply)
    with pytest.raises(torch.OutOfMemoryError):
        attend(problem())


@pytest.mark.parametrize(
    ("width", "capability", "word"),
    [(4097, (9, 0), "4097"), (8, (6, 1), "6.1"), (8, (3, 5), "3.5")],
)
def test_what_the_kernels_are_not_made_for(width, capability, word, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    card = torch.device("cuda", 0)
    assert word in self_check.why_not(
        FusedAttention, _BilinearAttention, card, width, 4
    )


def test_right_values_are_used(as_on_a_gpu, monkeypatch, capsys):
    class Right(Wrong):
        used = 0

        @staticmethod
        def forward(ctx, *tensors):
            Right.used += 1
            return _BilinearAttention.forward(ctx, *tensors)

    monkeypatch.setattr(fused, "FusedAttention", Right)
    state = torch.random.get_rng_state()
    with torch.no_grad():
        bilinear.bilinear_attention(*problem())
    assert Right.used == 2  # the check and the use
    attend(problem())
    assert Right.used == 3
    assert capsys.readouterr().err == ""
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_cpu_fp64_and_who_asks_for_it_get_the_plain_path(monkeypatch):
    def never(*arguments):
        raise AssertionError("tried")

    monkeypatch.setattr(bilinear, "KEEP", 0)
    monkeypatch.setattr(self_check, "why_not", never)
    attend(problem())
    attend([tensor.detach().double().requires_grad_() for tensor in problem()])
    double = SimpleNamespace(is_cuda=True, dtype=torch.float64)
    assert not fused.usable(_BilinearAttention, double, torch.zeros(4, 8))
    single = SimpleNamespace(is_cuda=True, dtype=torch.float32)
    monkeypatch.setenv("MLRPL_FUSED", "0")
    assert not fused.usable(_BilinearAttention, single, torch.zeros(4, 8))


def test_the_plain_path_does_not_import_triton(repository):
    code = """
import sys
import torch
from mlrpl.methods.kernels import bilinear_attention
bilinear_attention.KEEP = 0
u = torch.randn(3, 5, 8, requires_grad=True)
_, mean = bilinear_attention.bilinear_attention(u, torch.randn(4, 8), torch.randn(8))
mean.sum().backward()
print([name for name in sys.modules if name.partition(".")[0] == "triton"])
"""
    assert python(repository, "-c", code).stdout == "[]\n"
