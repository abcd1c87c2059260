"""Parallel stages: which one starts next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from .stage import Node
from .workers import interrupt_workers


def run_together(to_run: Sequence[Node], make: Callable[[Node], None], jobs: int) -> None:
    """Calls `make` on each node once its inputs are made, on up to `jobs` threads.

    Of the ready nodes, the one with the longest chain after it starts first, so that no long chain is left for the end. After
    a fault no node starts, and the first fault is raised.

    Args:
        to_run: the nodes, each after its inputs.
        make: makes one node.
        jobs: the number of threads.
    """
    waiting = {node.fingerprint: node for node in to_run}
    unfinished = set(waiting)
    behind = _stages_behind(to_run)
    running: dict[Future[None], str] = {}
    faults: list[BaseException] = []
    with ThreadPoolExecutor(jobs) as threads:
        try:
            while running or (waiting and not faults):
                ready = [n for n in waiting.values() if not any(i.fingerprint in unfinished for i in n.inputs.values())]
                ready.sort(key=lambda node: -behind[node.fingerprint])
                for node in ready[: 0 if faults else jobs - len(running)]:
                    running[threads.submit(make, node)] = waiting.pop(node.fingerprint).fingerprint
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    unfinished.discard(running.pop(future))
                    if (fault := future.exception()) is not None:
                        faults.append(fault)
        except BaseException:  # an interruption that may have reached this process alone
            interrupt_workers()
            raise
    if faults:
        raise faults[0]


def _stages_behind(to_run: Sequence[Node]) -> dict[str, int]:
    """The length of the longest chain that starts with each node."""
    behind: dict[str, int] = {}
    for node in reversed(to_run):
        length = behind.setdefault(node.fingerprint, 0)
        for inner in node.inputs.values():
            behind[inner.fingerprint] = max(behind.get(inner.fingerprint, 0), length + 1)
    return behind
