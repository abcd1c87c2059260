"""Parallel iterators, each in its own thread.

A small model's step on a CPU is many short operations. Between them the cores wait for Python and for each other. Two
loops with half the cores each keep them busy: torch lets other threads run while it computes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event
from typing import TypeVar

T = TypeVar("T")


def side_by_side(iterators: Sequence[Iterator[T | None]]) -> Iterator[T]:
    """The items of all iterators as they arrive, without None.

    Each iterator runs in a thread with its share of torch's threads. It can be stopped between two items.

    Raises:
        BaseException: that of an iterator. The others end after their current item.
    """
    import torch

    threads = torch.get_num_threads()
    made: SimpleQueue[tuple[T] | BaseException | None] = SimpleQueue()
    stop = Event()

    def work(iterator: Iterator[T | None]) -> None:
        torch.set_num_threads(max(1, threads // len(iterators)))
        try:
            for item in iterator:
                if stop.is_set():
                    return
                if item is not None:
                    made.put((item,))
            made.put(None)
        except BaseException as error:  # raised again in the consumer
            made.put(error)

    try:
        with ThreadPoolExecutor(len(iterators)) as pool:
            try:
                running = len([pool.submit(work, iterator) for iterator in iterators])
                while running:
                    item = made.get()
                    if isinstance(item, BaseException):
                        raise item
                    if item is None:
                        running -= 1
                    else:
                        yield item[0]
            finally:
                stop.set()
    finally:
        torch.set_num_threads(threads)
