"""Several stages at once: which starts next, and the processes that share the cores and GPUs of the machine.

Two trainings with one thread each are faster than one with two. Where there are GPUs, each stage that computes on one gets a
worker of its own GPUs: CUDA lets a process see those that `CUDA_VISIBLE_DEVICES` names when torch is imported, so a worker
keeps its GPUs for life.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext, suppress
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from multiprocessing import active_children
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, ParamSpec, TypeVar

from ..placement import Placement
from ..progress import LINES
from ..resources import cores, cores_by_affinity, gpus
from .stage import Node

P = ParamSpec("P")
T = TypeVar("T")
SECONDS_BETWEEN_LOOKS = 1.0
INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""What interrupts the work of a process."""
ONE_SIGNAL = 2.0
"""Seconds within which signals count as one: a terminal, a run and a launcher may each send it."""


class _Worker(SpawnProcess):
    """A process that Ctrl-C interrupts while it works. One that starts or is idle goes on, until its pool or the run ends it:
    the end of one worker is that of all others in its pool, which may be writing what they keep."""

    def start(self) -> None:
        held_back = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited, until it can be caught
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held_back)

    def run(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        super().run()


def _interrupt_once(*_: object) -> None:
    """A second signal would interrupt the handling of the first. It ends the process at once."""
    since = time.monotonic()

    def end_at_once(*_: object) -> None:
        if time.monotonic() - since > ONE_SIGNAL:
            os._exit(INTERRUPTED)

    for number in SIGNALS:
        signal.signal(number, end_at_once)
    raise KeyboardInterrupt


def interruptible(function: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> T:
    """Calls a function that signals interrupt."""
    try:
        for number in SIGNALS:
            signal.signal(number, _interrupt_once)
        return function(*arguments, **named)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class _Pool(ProcessPoolExecutor):
    """Processes whose work signals interrupt."""

    def submit(self, function: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Starts a function in a worker."""
        return super().submit(interruptible, function, *arguments, **named)


class _Context(SpawnContext):
    Process = _Worker


def interrupt_workers() -> None:
    """Has the processes of this machine end what they do: an interruption may have reached their parent alone."""
    for child in active_children():
        if isinstance(child, _Worker) and child.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGINT)


def run_together(
    to_run: Sequence[Node], make: Callable[[Node], None], jobs: int, interrupt: Callable[[], None] = interrupt_workers
) -> None:
    """Calls `make` on each stage once its inputs are made, on up to `jobs` threads; `to_run` has inputs first. Of the ready
    stages, the one with the longest chain after it starts first, so that no long chain is left for the end. After a fault no
    stage starts, and the first fault is raised. An interruption calls `interrupt`."""
    behind, place = _stages_behind(to_run), {stage.fingerprint: number for number, stage in enumerate(to_run)}
    inputs = [[place[i.fingerprint] for i in stage.inputs.values() if i.fingerprint in place] for stage in to_run]
    order = TopologicalSorter(dict(enumerate(inputs)))
    order.prepare()
    ready: list[tuple[int, int]] = []
    running: dict[Future[None], int] = {}
    faults: list[BaseException] = []
    with ThreadPoolExecutor(jobs) as threads:
        try:
            while order.is_active() and (running or not faults):
                for number in order.get_ready():
                    heappush(ready, (-behind[to_run[number].fingerprint], number))
                while ready and len(running) < jobs and not faults:
                    number = heappop(ready)[1]
                    running[threads.submit(make, to_run[number])] = number
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    order.done(running.pop(future))
                    if (fault := future.exception()) is not None:
                        faults.append(fault)
        except BaseException:
            interrupt()
            raise
    if faults:
        raise faults[0]


def _stages_behind(to_run: Sequence[Node]) -> dict[str, int]:
    """The length of the longest chain that starts with each stage."""
    behind: dict[str, int] = {}
    for stage in reversed(to_run):
        length = behind.setdefault(stage.fingerprint, 0)
        for inner in stage.inputs.values():
            behind[inner.fingerprint] = max(behind.get(inner.fingerprint, 0), length + 1)
    return behind


def open_workers(jobs: int, gpu_groups: Sequence[str] = ()) -> AbstractContextManager[Executor | None]:
    """Processes that share the cores, one for each of `jobs` stages at once; None for one job, which needs no other process.
    `gpu_groups` are the GPUs of one stage each, as `CUDA_VISIBLE_DEVICES` names them; none where all stages see the same."""
    if jobs == 1:
        if cores() < cores_by_affinity():  # torch knows the affinity, and nothing of control groups
            os.environ.setdefault("OMP_NUM_THREADS", str(cores()))
        return nullcontext()
    if gpu_groups:
        return _WorkersOnGpus(jobs, gpu_groups)
    return _pool(jobs, jobs, None)


def gpu_groups(placement: Placement) -> list[str]:
    """The GPUs of the stages that run at once, a text for `CUDA_VISIBLE_DEVICES` each; empty where nothing is to be shared
    out. A stage that trains in several processes gets a GPU for each. A launcher shares GPUs out itself."""
    if placement.jobs == 1 or placement.device not in ("auto", "cuda") or placement.launcher:
        return []
    visible, each = gpus(), placement.gpus_per_stage
    groups = [",".join(visible[first : first + each]) for first in range(0, len(visible) - each + 1, each)]
    return groups if len(groups) > 1 else []


class _WorkersOnGpus(Executor):
    """Workers of one process each, begun when they are needed. A stage gets an idle worker on the GPUs that the fewest other
    stages compute on; one that needs no GPU gets a worker that sees none."""

    def __init__(self, jobs: int, groups: Sequence[str]) -> None:
        self.jobs, self.groups = jobs, groups
        self.workers: dict[_Pool, tuple[str, Future[Any]]] = {}
        """Each worker with its GPUs and its last stage."""
        self.lock = threading.Lock()

    def submit(self, function: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Starts a function in a worker. Its first argument may be the stage that it runs."""
        with self.lock:
            busy = [group for group, last in self.workers.values() if not last.done()]
            group = min(self.groups, key=busy.count) if getattr(arguments[0], "on_device", True) else ""
            idle = (worker for worker, (its, last) in self.workers.items() if its == group and last.done())
            worker = next(idle, None) or _pool(1, self.jobs, group)
            future = worker.submit(function, *arguments, **named)
            self.workers[worker] = group, future
            return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the workers."""
        for worker in self.workers:
            worker.shutdown(wait, cancel_futures=cancel_futures)


def _pool(size: int, jobs: int, visible_gpus: str | None) -> _Pool:
    """Processes with their part of the cores, and the GPUs named (None: all)."""
    threads = max(1, cores() // jobs)
    arguments = (threads, os.getpid(), visible_gpus)
    return _Pool(size, mp_context=_Context(), initializer=_begin, initargs=arguments)


def _begin(threads: int, parent: int, visible_gpus: str | None) -> None:
    os.environ["OMP_NUM_THREADS"] = str(threads)  # before torch is imported
    if visible_gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible_gpus  # before torch is imported
    os.environ[LINES] = "1"
    end_with(parent)


def end_with(parent: int) -> None:
    """Ends this process once its parent is gone, so that no orphan goes on writing when a run is killed."""

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()
