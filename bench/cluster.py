"""A large grid without the hardware: a study's stages planned, then scheduled as jobs that do nothing but leave a file.

    python bench/cluster.py                  # 500, 1,000 and 2,000 stages, a minute or two
    python bench/cluster.py --stages 500 --no-publish

The grid is of all systems, on bases of several seeds and shapes. Planning is what `qalign plan` does before it prints: the
stages, which of them are done, what is known to fail, their costs. Then each stage is replaced by a stand-in with the same
inputs, and `pipeline.run` gives them to a cluster of 100 jobs at once. A job takes the lock, writes one line and records it, as
a real one does. Calls of the file system are counted where Python makes them, for the run that submits and for the jobs. Each
size has a process of its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common

from qalign import pipeline
from qalign.pipeline import Artifact, Node, Stage, Work, in_order, local, needed
from qalign.pipeline.cluster import Jobs, Needs, work
from qalign.placement import Placement
from qalign.systems import SCALES, SYSTEMS, Study, costs, readiness
from qalign.systems.comparison import compare
from qalign.systems.evaluated import Evaluated, scores_of
from qalign.systems.machines import machine_of
from qalign.systems.running import StageLines
from qalign.systems.settings import parse_settings

SIZES = (500, 1000, 2000)
AT_ONCE = 100
LAYERS = (2, 4, 6, 8)
"""The bases of the grid: `tiny`, of several depths."""
CALLS = (
    *(
        "stat",
        "lstat",
        "mkdir",
        "rename",
        "replace",
        "unlink",
        "remove",
        "rmdir",
        "scandir",
        "listdir",
        "chmod",
        "fsync",
    ),
    *("utime", "readlink", "statvfs"),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class StandIn(Stage[Artifact]):
    """A stage of the grid that does nothing."""

    own = False
    digest: str
    parts: Mapping[str, Node] = local()

    @property
    def inputs(self) -> dict[str, Node]:  # type: ignore[override]
        return dict(self.parts)

    def run(self, work: Work) -> None:
        """Leaves a line."""
        (work.output / "out.txt").write_text(self.digest, encoding="utf-8")


class HereAndNow(Jobs):
    """Jobs that run in the threads that submit them."""

    has_gpus = False

    def attempt(self, stage: Node, needs: Needs, file: Path, arguments: list[Any]) -> Any:
        """Does the work of a job at once."""
        counted.side = "jobs"
        try:
            return work(*arguments, {})
        finally:
            counted.side = "run"


class _Side(threading.local):
    side = "run"


counted, calls = _Side(), Counter[str]()


def count_calls() -> None:
    """Counts what Python asks of the file system from here on."""

    def counting(function: Any) -> Any:
        def wrapped(*values: Any, **named: Any) -> Any:
            calls[counted.side] += 1
            return function(*values, **named)

        return wrapped

    def heard(event: str, _: object) -> None:
        if event == "open":
            calls[counted.side] += 1

    for name in CALLS:
        setattr(os, name, counting(getattr(os, name)))
    sys.addaudithook(heard)


def grid(stages: int, runs: Path) -> list[Evaluated]:
    """As many systems as have so many stages together."""
    rows: list[Evaluated] = []
    known = set[str]()
    for seed, layers in ((seed, layers) for seed in itertools.count(1) for layers in LAYERS):
        settings = parse_settings([f"tiny.layers={layers}"], SYSTEMS)
        study = Study(base_name="tiny", scale=SCALES["toy"], runs=runs, seed=seed, settings=settings)
        for name in SYSTEMS:
            rows += compare(study, [f"{name}-{seed}-{layers}={name}"])
            known |= {stage.fingerprint for stage in in_order(scores_of(rows[-1:]))}
            if len(known) >= stages:
                return rows
    raise AssertionError


def stand_ins(targets: list[Node]) -> list[Node]:
    """The same tree of stages that do nothing."""
    made: dict[str, Node] = {}
    for stage in in_order(targets):
        parts = {name: made[inner.fingerprint] for name, inner in stage.inputs.items()}
        made[stage.fingerprint] = StandIn(name=stage.name, digest=stage.fingerprint, parts=parts)
    return [made[stage.fingerprint] for stage in targets]


def measured(stages: int, runs: Path) -> common.Measured:
    """All figures of one size."""
    placement = Placement(runs=runs, device="cpu", cluster="slurm", jobs=AT_ONCE, quiet=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, busy = time.perf_counter(), time.process_time()
    rows = grid(stages, runs)
    targets = scores_of(rows)
    waiting = needed(targets, runs)
    readiness.check(rows, runs, placement)
    costs.disk(costs.costs(waiting, runs, machine_of(placement), placement), runs, AT_ONCE)
    StageLines(rows, runs, placement, waiting).opening()
    planning, planning_busy = time.perf_counter() - began, time.process_time() - busy
    planned = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    trees = stand_ins(targets)
    count_calls()
    began = time.perf_counter()
    pipeline.run(trees, runs, placement, workers=HereAndNow(placement, lambda stage, gpus: Needs()), jobs=AT_ONCE)
    scheduling, first = time.perf_counter() - began, Counter(calls)
    calls.clear()
    began = time.perf_counter()
    pipeline.run(trees, runs, placement, workers=HereAndNow(placement, lambda stage, gpus: Needs()), jobs=AT_ONCE)
    return {
        "stages": len(waiting),
        "planning": planning,
        "planning_cpu": planning_busy,
        "plan_mib": (planned - before) / 2**10,
        "scheduling": scheduling,
        "again": time.perf_counter() - began,
        "calls_run": first["run"] / len(waiting),
        "calls_jobs": first["jobs"] / len(waiting),
        "calls_again": calls["run"] / len(waiting),
    }


def table(rows: Mapping[str, common.Measured]) -> str:
    """One line a size."""
    header = ["stages", "planning", "processor time", "memory", "a stage", "file calls of the run", "of a job", "again"]
    lines = [
        [
            f"{row['stages']:,.0f}",
            f"{row['planning']:.1f} s",
            f"{row['planning_cpu']:.1f} s",
            f"{row['plan_mib']:.0f} MiB",
            f"{1000 * row['scheduling'] / row['stages']:.0f} ms",
            f"{row['calls_run']:.0f}",
            f"{row['calls_jobs']:.0f}",
            f"{row['again']:.1f} s",
        ]
        for row in rows.values()
    ]
    return common.table(header, lines)


def main() -> None:
    """Measures each size in a process of its own, prints, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-publish", action="store_true", help="print only; write nothing")
    parser.add_argument("--stages", type=int, help="one size")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measured(options.one, Path(folder) / "runs")))
        return
    rows = {}
    for size in [options.stages] if options.stages else SIZES:
        words = [sys.executable, __file__, "--one", str(size)]
        rows[str(size)] = json.loads(
            subprocess.run(words, capture_output=True, check=True, text=True).stdout.splitlines()[-1]
        )
        print(size, rows[str(size)], flush=True)
    if options.no_publish:
        print(table(rows))
    else:
        common.publish("cluster", {"rows": rows}, table(rows), common.ROOT / "docs" / "devices.md")


if __name__ == "__main__":
    main()
