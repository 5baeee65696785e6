"""Time, memory and the machine's own rates."""

import gc
import multiprocessing
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from mlrpl.bench.sizes import Sizes
from mlrpl.errors import UserError
from mlrpl.runtime.cost import STATUS, host_peak, resident

# Elements (fp32) of a piece that stays in a core's cache, 1 MiB.
IN_CACHE = 2**18
# Seconds that a process has to end after its answer.
ENDING = 10


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(
    function: Callable[[], Any],
    device: torch.device,
    repeats: int,
    budget: float,
    warm_up: bool = True,
) -> float:
    """Return the median time of a call, in seconds.

    Args:
        function: what is measured.
        device: where it computes.
        repeats: how often at most, once at least.
        budget: seconds after which no further repeat begins.
        warm_up: call once before, without measuring.
    """
    if warm_up:
        function()
    times: list[float] = []
    while not times or (len(times) < repeats and sum(times) < budget):
        synchronize(device)
        start = time.perf_counter()
        function()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


class Stopwatch:
    """Times of named sections; the device is waited for at both ends of each."""

    def __init__(self, device: torch.device):
        self._device = device
        self._times: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Add the time of the block to the section's last pass."""
        synchronize(self._device)
        start = time.perf_counter()
        yield
        synchronize(self._device)
        self._times[name][-1] += time.perf_counter() - start

    def begin(self, *names: str) -> None:
        """Begin a pass through these sections."""
        for name in names:
            self._times[name].append(0.0)

    def medians(self) -> dict[str, float]:
        """Return the median of each section's passes, in seconds."""
        return {name: statistics.median(times) for name, times in self._times.items()}


def wake(device: torch.device) -> None:
    """Let torch load kernels and start threads, not in what is measured."""
    square = torch.randn(64, 64, device=device)
    (square @ square).softmax(dim=-1)


def peak_memory(function: Callable[[], Any], device: torch.device) -> int:
    """Return the bytes that a call takes at its peak above what was there before.

    On a GPU what torch's allocator gave out. On a CPU the resident set of this process,
    which is only right in a fresh one: memory that was freed before is used again
    without a trace.
    """
    gc.collect()
    if device.type == "cuda":
        synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        function()
        synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    if not STATUS.exists():  # macOS: the peak of the process's life
        before = host_peak()
        function()
        return host_peak() - before
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak to what is resident
    before = resident("VmRSS")
    function()
    return resident("VmHWM") - before


@contextmanager
def own_memory() -> Iterator[list[int]]:
    """Yield a list that gets the most bytes that the block takes besides mapped files.

    Those the system reads again when it needs their place. Looked at every hundredth of
    a second; the list stays empty where the system does not tell them apart.
    """
    peak: list[int] = []
    if not STATUS.exists():
        yield peak
        return
    gc.collect()
    before, ended = resident("RssAnon"), threading.Event()
    most = before

    def look() -> None:
        nonlocal most
        while not ended.wait(0.01):
            most = max(most, resident("RssAnon"))

    watch = threading.Thread(target=look)
    watch.start()
    try:
        yield peak
    finally:
        ended.set()
        watch.join()
        peak.append(max(most, resident("RssAnon")) - before)


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function of a module returns in a process of its own.

    Raises:
        UserError: when the system ended the process, most likely for its memory.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, function, arguments))
    process.start()
    sender.close()
    try:
        result = receiver.recv()
        process.join(ENDING)  # killed before, it would leave named semaphores
    except EOFError as error:
        raise UserError(
            f"bench: the system ended the process of {function.__name__}"
            f"{arguments[:2]}, most likely for its memory; give a smaller "
            "--literal-batch, or leave the part or the method out"
        ) from error
    finally:
        process.terminate()  # at an interruption it would go on for minutes
        process.join()
    if isinstance(result, Exception):
        raise result
    return result


def _answer(sender: Connection, function: Callable[..., Any], arguments: tuple) -> None:
    try:
        sender.send(function(*arguments))
    except Exception as error:
        sender.send(error)


@dataclass(frozen=True)
class Rates:
    """What a device can do in a second, in fp32: the best of several tries each.

    Attributes:
        flops: floating-point operations of a product of two large square matrices.
        bytes: bytes read and written by a copy of a large array.
        sigmoid: values of a sigmoid, the better of a large array and (on a CPU) of
            pieces that stay in a core's cache.
    """

    flops: float
    bytes: float
    sigmoid: float

    def best(self, other: "Rates") -> "Rates":
        """Return the better of two measurements of each rate."""
        return Rates(
            max(self.flops, other.flops),
            max(self.bytes, other.bytes),
            max(self.sigmoid, other.sigmoid),
        )


def measure_rates(sizes: Sizes, device: torch.device) -> Rates:
    """Measure the device, briefly; other programs only ever make it look slower."""
    # In the precision of a training's products (option `precision`: auto).
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    factor = torch.randn(sizes.matrix, sizes.matrix, device=device).to(dtype)
    result = torch.empty_like(factor)
    product = _least(lambda: torch.mm(factor, factor, out=result), device)
    source = torch.randn(sizes.copied, device=device)
    target = torch.empty_like(source)
    copy = _least(lambda: target.copy_(source), device)
    sigmoid = sizes.copied / _least(lambda: torch.sigmoid(source, out=target), device)
    if device.type == "cpu":
        pieces = target.split(IN_CACHE)

        def small() -> None:
            for _ in pieces:
                pieces[0].sigmoid_()

        sigmoid = max(sigmoid, sizes.copied / _least(small, device))
    return Rates(2 * sizes.matrix**3 / product, 8 * sizes.copied / copy, sigmoid)


def _least(function: Callable[[], Any], device: torch.device) -> float:
    """Return the shortest time of a call, in seconds."""
    function()
    return min(
        seconds(function, device, repeats=1, budget=0, warm_up=False) for _ in range(8)
    )
