"""The command behind `make hostile`: deals trials to workers, keeps each outcome as it comes, and ends in a table."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

from .catalogue import everything
from .fixtures import build
from .server import serving
from .trial import BAD, GOOD, Trial
from .worker import SOURCE, Worker, serve, warm_up

HERE = Path(__file__).parent
WAITING_AT_ONCE = 12


def main() -> int:
    """Runs the trials; returns 1 if one of them ended badly."""
    parser = argparse.ArgumentParser(prog="make hostile", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("runs/hostile"), help="where outcomes are kept")
    parser.add_argument("--only", action="append", metavar="ID", help="one trial, shown with what it says")
    parser.add_argument("--kind", action="append", help="the trials of a kind only")
    parser.add_argument("--sample", type=int, help="so many of each kind, evenly spread")
    parser.add_argument("--list", action="store_true", help="print the ids")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1", COLUMNS="200")
    output: Path = given.output.resolve()
    fixtures = output / f"fixtures-{_state([HERE / 'fixtures.py'])}"
    if given.worker is not None:
        serve(everything(fixtures, given.seed), given.seed, given.worker)
        return 0
    with tempfile.TemporaryDirectory(prefix="qalign-hostile-logs-") as logs, serving(Path(logs)) as address:
        os.environ.update(HOSTILE_SERVER=address, HOSTILE_LOGS=logs)
        build(fixtures)
        return _dispatch(given, fixtures, output)


def _dispatch(given: argparse.Namespace, fixtures: Path, output: Path) -> int:
    """Lists, shows or runs the trials that were asked for."""
    trials = everything(fixtures, given.seed)
    if given.list:
        print("\n".join(name for name, trial in trials.items() if not given.kind or trial.kind in given.kind))
        return 0
    if given.only:
        return _show(trials, given.only, given.seed, output)
    chosen = [trial for trial in trials.values() if not given.kind or trial.kind in given.kind]
    if given.sample:
        chosen = _sample(chosen, given.sample)
    kept = output / f"outcomes-{_state(HERE.glob('*.py'))}-{given.seed}.jsonl"
    outcomes = _run(chosen, kept, given, output)
    return _tell(chosen, outcomes, given.seed)


def _sample(trials: Sequence[Trial], count: int) -> list[Trial]:
    """So many trials of each kind, evenly spread over them."""
    by_kind: dict[str, list[Trial]] = {}
    for trial in trials:
        by_kind.setdefault(trial.kind, []).append(trial)
    counts = {kind: min(count, len(same)) for kind, same in by_kind.items()}
    return [same[len(same) * place // counts[kind]] for kind, same in by_kind.items() for place in range(counts[kind])]


def _state(trials: Iterable[Path]) -> str:
    """A hash of the package and of files of these trials: outcomes of another state are not gone on with."""
    total = hashlib.sha256()
    for path in sorted([*(SOURCE / "qalign").rglob("*"), *trials]):
        if path.suffix in (".py", ".js", ".html", ".j2"):
            total.update(path.read_bytes())
    return total.hexdigest()[:8]


def _show(trials: dict[str, Trial], names: Sequence[str], seed: int, output: Path) -> int:
    """Runs single trials in this process and shows what they say."""
    warm_up()
    worker = Worker(trials, seed, output / "shown", keep=True)
    bad = 0

    def tell(row: dict[str, Any]) -> None:
        nonlocal bad
        bad += row["verdict"] in BAD
        for call in sorted((output / "shown" / row["id"]).glob("call-*")):
            for name in ("stdout", "stderr"):
                text = (call / name).read_bytes().decode("utf-8", "replace")
                print(f"--- {call.name} {name}\n{text[-3000:].encode('unicode_escape').decode()}".replace("\\n", "\n"))
        print(f"=== {row['id']}: {row['verdict']} ({row['seconds']} s) {row['why']}")
        print(f"    its files: {output / 'shown' / row['id']}")

    for name in names:
        worker.begin(name, tell)
        while worker.under_way:
            worker.wait(0.05, tell)
    return min(bad, 1)


def _run(chosen: Sequence[Trial], kept: Path, given: argparse.Namespace, output: Path) -> dict[str, dict[str, Any]]:
    """The outcomes of trials: those that are kept, and those that are run now."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    outcomes = {row["id"]: row for row in map(json.loads, kept.read_text().splitlines())} if kept.exists() else {}
    left = [trial for trial in chosen if trial.id not in outcomes]
    print(f"{len(chosen)} trials, {len(chosen) - len(left)} of them done before", file=sys.stderr)
    waiting = [trial.id for trial in left if trial.waits]
    working = [trial.id for trial in left if not trial.waits]
    answers: Queue[dict[str, Any] | None] = Queue()
    started = last = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="qalign-hostile-") as place, kept.open("a") as file:
        hands = [Hand(given, Path(place), working, 1, answers) for _ in range(given.jobs if working else 0)]
        hands += [Hand(given, Path(place), waiting, WAITING_AT_ONCE, answers)] if waiting else []
        try:
            while any(hand.busy for hand in hands) or not answers.empty():
                try:
                    row = answers.get(timeout=5.0)
                except Empty:
                    continue
                if row is None:
                    raise RuntimeError("a worker of the trials ended; see above")
                outcomes[row["id"]] = row
                file.write(json.dumps(row) + "\n")
                file.flush()
                if time.monotonic() - last > 30:
                    last = time.monotonic()
                    bad = sum(row["verdict"] in BAD for row in outcomes.values())
                    print(f"{last - started:.0f} s: {len(outcomes)} done, {bad} bad", file=sys.stderr, flush=True)
        finally:
            for hand in hands:
                hand.close()
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    return outcomes


class Hand:
    """A worker process and the ids that it was given; it takes the next ones from a shared list."""

    def __init__(
        self, given: argparse.Namespace, place: Path, ids: list[str], at_once: int, answers: Queue[Any]
    ) -> None:
        words = ["--worker", str(place), "--seed", str(given.seed), "--output", str(given.output)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hostile", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ids, self.answers, self.busy = ids, answers, 0
        for _ in range(at_once):
            self._next()
        Thread(target=self._listen, daemon=True).start()

    def _next(self) -> None:
        try:
            name = self.ids.pop(0)  # another hand may have taken the last one
        except IndexError:
            return
        assert self.process.stdin is not None
        self.busy += 1
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.answers.put(json.loads(line))
            self._next()
            self.busy -= 1
        if self.busy:
            self.answers.put(None)

    def close(self) -> None:
        """Ends the worker; what it has under way is not kept."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        if self.busy:
            self.process.kill()
        self.process.wait()


def _tell(chosen: Sequence[Trial], outcomes: dict[str, dict[str, Any]], seed: int) -> int:
    """Prints the bad ends, then the table; returns 1 if there are bad ends."""
    rows: dict[str, Counter[str]] = {}
    bad = []
    for trial in chosen:
        outcome = outcomes[trial.id]
        rows.setdefault(trial.kind, Counter())[outcome["verdict"]] += 1
        if outcome["verdict"] in BAD:
            bad.append(outcome)
    for outcome in bad:
        print(f"{outcome['verdict']}: {outcome['why'].splitlines()[-1] if outcome['why'] else ''}")
        print(f"    PYTHONPATH=tests .venv/bin/python -m hostile --seed {seed} --only {outcome['id']}")
    columns = (*GOOD, *BAD)
    rows["all"] = sum(rows.values(), Counter())
    print(f"{'kind':24}{'tried':>8}" + "".join(f"{name:>19}" for name in columns))
    for kind, counts in rows.items():
        print(f"{kind:24}{sum(counts.values()):>8}" + "".join(f"{counts[name]:>19}" for name in columns))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
