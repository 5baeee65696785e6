"""Work shared out to processes, its results in order."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context

from mlrpl.runtime.memory import keep_freed_memory


@contextmanager
def workers(processes: int) -> Iterator[Callable[..., Iterator]]:
    """Start processes, and end them when the block is left.

    Args:
        processes: how many; 1 works in this one.

    Yields:
        a `map` of a function over numbers, by these processes.
    """
    if processes == 1:
        yield map
        return
    with get_context("spawn").Pool(processes, keep_freed_memory) as pool:
        yield partial(pool.imap, chunksize=16)
