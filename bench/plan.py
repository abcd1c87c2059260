"""What `qalign plan` predicts beside what a run takes: memory, disk at the peak and afterwards, time of training and answers.

    python bench/plan.py                 # four configurations of the embedded world on a CPU, some minutes
    python bench/plan.py --only adapter --no-publish

Each configuration is planned with `--measure`, then run in a process of its own. Memory is the most that this process held
until answers began, disk the most that its folder of runs held (looked at ten times a second). Times are those of
the finished stages.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import common

from qalign.pipeline import needed
from qalign.pipeline.stage_record import read_record
from qalign.placement import Placement
from qalign.systems import SCALES, SYSTEMS, Study, costs, trial
from qalign.systems.comparison import compare
from qalign.systems.evaluated import scores_of
from qalign.systems.machines import machine_of
from qalign.systems.settings import parse_settings

SYSTEM = "multireason"
"""It is trained in all languages. Others answer the rest of them with half of the tokens, which no plan knows."""
TOKENS, EVERY = 1024, 2.0
"""Tokens at once, and seconds between checkpoints."""
SMALL = ("data.problems_per_language=30", "generation.max_new_tokens=60")
OF_20M = ("tiny.hidden_size=512", "tiny.intermediate_size=1376", "tiny.layers=6", "tiny.heads=8")
"""Wide and not many tokens: the world's texts give a tokenizer no more than some thousands."""
OF_5M = ("tiny.hidden_size=256", "tiny.intermediate_size=688", "tiny.layers=4", "tiny.heads=4")
CONFIGURATIONS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "world": ("the world's base", "world", ("multilingual-alignment.max_steps=300",)),
    "20m": ("20M, full", "tiny", (*OF_20M, "multilingual-alignment.max_steps=60")),
    "adapter": ("an adapter on it", "world", ("training.adapter=on", "multilingual-alignment.max_steps=200")),
    "5m": (
        "5M, longer answers",
        "tiny",
        (*OF_5M, "multilingual-alignment.max_steps=120", "generation.max_new_tokens=120"),
    ),
}
"""In words, the base, and its settings. The last chose no figure of the package: it checks those that the others chose."""
MIB = 2**20


def planned(base: str, settings: tuple[str, ...], runs: Path) -> common.Measured:
    """What the plan of a run says."""
    study = Study(base_name=base, scale=SCALES["toy"], runs=runs, settings=parse_settings([*SMALL, *settings], SYSTEMS))
    placement = Placement(runs=runs, device="cpu", tokens_per_micro_batch=TOKENS, seconds_per_checkpoint=EVERY)
    waiting = needed(scores_of(compare(study, [SYSTEM])), runs)
    found = trial.measured(costs.costs(waiting, runs, machine_of(placement), placement), runs, placement)
    left, most = costs.disk(found, runs)
    answers = [cost for cost in found if cost.stage.name.startswith("generate-")]
    return {
        "memory": max(cost.fit.bytes for cost in found if cost.fit) / MIB,
        "disk_peak": most / MIB,
        "disk_left": left / MIB,
        "training": sum(cost.seconds or 0.0 for cost in found if cost.stage.name.startswith("train-")),
        "answers": sum(cost.seconds or 0.0 for cost in answers),
        "to_the_limit": sum(costs.to_the_limit(cost).seconds or 0.0 for cost in answers),
    }


def run(base: str, settings: tuple[str, ...], runs: Path) -> common.Measured:
    """What the run takes."""
    words = [word for setting in (*SMALL, *settings) for word in ("--set", setting)]
    words += ["--tokens-per-micro-batch", str(TOKENS), "--seconds-per-checkpoint", str(EVERY), "--tracker", "none"]
    command = [sys.executable, "-m", "qalign", "run", SYSTEM, "--base", base, "--scale", "toy", "--device", "cpu"]
    process = subprocess.Popen([*command, *words, "--runs", str(runs), "--quiet"], stdout=subprocess.DEVNULL)
    most, memory, ended = 0.0, 0.0, threading.Event()

    def look() -> None:
        nonlocal most, memory
        while not ended.is_set():
            most = max(most, size(runs / "stages"))
            if not any((runs / "stages").glob("generate-*")):
                memory = held(process.pid) or memory
            time.sleep(0.1)

    watcher = threading.Thread(target=look)
    watcher.start()
    status = process.wait()
    ended.set()
    watcher.join()
    if status:
        raise SystemExit(f"the run of {base} failed; its message stands above")
    seconds = {
        path.name: read_record(path).seconds for path in (runs / "stages").iterdir() if (path / "stage.json").is_file()
    }
    return {
        "memory": memory / MIB,
        "disk_peak": most / MIB,
        "disk_left": size(runs / "stages") / MIB,
        "training": sum(taken for name, taken in seconds.items() if name.startswith("train-")),
        "answers": (taken := sum(taken for name, taken in seconds.items() if name.startswith("generate-"))),
        "to_the_limit": taken,
    }


def held(process: int) -> float:
    """The most bytes that a process has held so far; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return 2**10 * float(next((line.split()[1] for line in lines if line.startswith("VmHWM")), 0))


def size(folder: Path) -> float:
    """The bytes of all files in a folder, some of which, and some of its folders, may just be going."""
    total = 0
    for place, _, names in os.walk(folder):  # which passes over a folder that is gone
        for name in names:
            with suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_size
    return float(total)


def main() -> None:
    """Plans, runs, prints, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-publish", action="store_true", help="print only; write nothing")
    parser.add_argument("--only", choices=list(CONFIGURATIONS), help="one of the configurations")
    options = parser.parse_args()
    rows: dict[str, dict[str, common.Measured]] = {}
    for name in [options.only] if options.only else CONFIGURATIONS:
        _, base, settings = CONFIGURATIONS[name]
        with tempfile.TemporaryDirectory() as folder:
            predicted = planned(base, settings, Path(folder) / "runs")
            rows[name] = {"planned": predicted, "measured": run(base, settings, Path(folder) / "runs")}
        print(name, rows[name], flush=True)
    if options.no_publish:
        print(table(rows))
    else:
        common.publish("plan", {"rows": rows}, table(rows))


def table(rows: dict[str, dict[str, common.Measured]]) -> str:
    """Planned and measured side by side."""
    units = {
        "memory": "MiB",
        "disk_peak": "MiB",
        "disk_left": "MiB",
        "training": "s",
        "answers": "s",
        "to_the_limit": "s",
    }
    lines = []
    for name, sides in rows.items():
        for side in ("planned", "measured"):
            figures = [f"{sides[side][key]:,.0f} {unit}" for key, unit in units.items()]
            lines.append([f"{CONFIGURATIONS[name][0]}, {side}", *figures])
        ratios = [f"{sides['planned'][key] / sides['measured'][key]:.2f}" for key in units]
        lines.append(["planned / measured", *ratios])
    heads = ["memory", "disk at the peak", "disk that stays", "training", "answers", "answers that do not end"]
    return common.table(["", *heads], lines)


if __name__ == "__main__":
    main()
