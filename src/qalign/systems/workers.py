"""Worker processes, so that several stages run at once: two trainings with one thread each are faster than one with two."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from multiprocessing.context import SpawnContext, SpawnProcess

from ..progress import LINES

SECONDS_BETWEEN_LOOKS = 1.0
INTERRUPTED = 130


class _Worker(SpawnProcess):
    """A process that Ctrl-C ends without a word, also while it starts or is idle: a terminal sends it to all of a run."""

    def start(self) -> None:
        held_back = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited, until it can be caught
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held_back)

    def run(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until it works: there is nothing to tidy up yet
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            super().run()
        except BaseException:
            # Once interrupted, any failure is its end too: another worker may have left half of a message to read.
            if signal.getsignal(signal.SIGINT) is _end_at_once:
                raise SystemExit(INTERRUPTED) from None
            raise


def _interrupt_once(*_: object) -> None:
    """A second Ctrl-C would interrupt the handling of the first: it ends the process there and then."""
    signal.signal(signal.SIGINT, _end_at_once)
    raise KeyboardInterrupt


def _end_at_once(*_: object) -> None:
    os._exit(INTERRUPTED)


class _Context(SpawnContext):
    Process = _Worker


def open_workers(jobs: int) -> AbstractContextManager[ProcessPoolExecutor | None]:
    """So many processes that share the cores; None for one job, which needs no process of its own."""
    if jobs == 1:
        return nullcontext()
    threads = max(1, (os.cpu_count() or 1) // jobs)
    return ProcessPoolExecutor(jobs, mp_context=_Context(), initializer=_begin, initargs=(threads, os.getpid()))


def _begin(threads: int, parent: int) -> None:
    os.environ["OMP_NUM_THREADS"] = str(threads)  # before torch is imported
    os.environ[LINES] = "1"
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    signal.signal(signal.SIGINT, _interrupt_once)


def _end_with(parent: int) -> None:
    """Ends this process when its parent is gone, so that no orphan goes on writing when a run is killed."""
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)
