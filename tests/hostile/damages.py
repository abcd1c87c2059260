"""A file of what a killed or finished run left is cut, emptied, removed, or has one bit flipped: noticed, and never another result."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from .kills import KEPT, at_checkpoint, same_results, when_kept, words_of
from .trial import Call, Outcome, Run, Trial, fault_of_refusal, mishap


def trials(fixtures: Path, seed: int) -> Iterator[Trial]:
    """All damages."""
    for number in range(48):
        how = ("cut", "empty", "remove", "flip")[number % 4]
        yield damaged(f"damages-checkpoint/{how}-{number // 4}", fixtures, "training", how, number // 4, "**/*", 2)
    for number in range(16):
        how = ("cut", "empty", "remove", "flip")[number % 4]
        yield damaged(f"damages-kept/{how}-{number // 4}", fixtures, "endpoint", how, number // 4, f"**/{KEPT}", None)
    for number in range(24):
        how = ("cut", "empty", "remove", "flip")[number % 4]
        yield finished_damaged(f"damages-finished/{how}-{number // 4}", fixtures, how, number // 4)


def damaged(
    name: str, fixtures: Path, pipeline: str, how: str, which: int, pattern: str, checkpoint: int | None
) -> Trial:
    """A pipeline that is killed, one file of what it left is damaged, and it goes on."""

    def run(folder: Path, draw: random.Random) -> Run:
        words = words_of(fixtures, pipeline, folder)
        moment = at_checkpoint(checkpoint, signal.SIGKILL) if checkpoint else when_kept(8, signal.SIGKILL)
        result = yield Call(words, prepare=moment)
        if result.status != -signal.SIGKILL:
            return Outcome(
                "refused badly", f"THE TRIAL ITSELF FAILED: it ended with {result.status}, {result.stderr[-300:]!r}"
            )
        files = sorted(p for p in folder.glob(f"runs/stages/*.partial/{pattern}") if p.is_file())
        files += sorted(p for p in folder.glob(f"runs/stages/*.scratch/{pattern}") if p.is_file())
        if not files:
            return Outcome("answers lost", "the kill left nothing to go on from")
        path = files[which % len(files)]
        damage(path, how, draw)
        result = yield Call(words)
        if result.status == 2 and not mishap(result):
            fault = fault_of_refusal(result, (path.name, path.parent.name, "checkpoint"))
            return Outcome("refused badly", f"{path}: {fault}") if fault else Outcome("refused rightly")
        outcome = mishap(result) or same_results(folder, result, fixtures, pipeline)
        return Outcome(outcome.verdict, f"{how} {path.relative_to(folder)}: {outcome.why}")

    return Trial(name, run)


def finished_damaged(name: str, fixtures: Path, how: str, which: int) -> Trial:
    """A file of a finished stage is damaged; a later stage is removed, and the run has to make it again."""

    def run(folder: Path, draw: random.Random) -> Run:
        shutil.copytree(fixtures / "undisturbed" / "training" / "runs", folder / "runs")
        files = sorted(
            p for p in folder.glob("runs/stages/*/*") if p.is_file() and not p.parent.name.startswith((".", "score"))
        )
        path = files[(which * 7 + ("cut", "empty", "remove", "flip").index(how) * 3) % len(files)]
        damage(path, how, draw)
        shutil.rmtree(next(folder.glob("runs/stages/score-*")))
        result = yield Call(words_of(fixtures, "training", folder))
        if outcome := mishap(result):
            return Outcome(outcome.verdict, f"{how} {path.relative_to(folder)}: {outcome.why}")
        if result.status == 2:
            fault = fault_of_refusal(result, (path.parent.name,))
            return Outcome("refused badly", f"{path}: {fault}") if fault else Outcome("refused rightly")
        outcome = same_results(folder, result, fixtures, "training")
        return Outcome(outcome.verdict, f"{how} {path.relative_to(folder)}: {outcome.why}")

    return Trial(name, run)


def damage(path: Path, how: str, draw: random.Random) -> None:
    """Cuts, empties or removes a file, or flips one bit of it."""
    data = path.read_bytes()
    if how == "remove":
        path.unlink()
    elif how == "empty" or not data:
        path.write_bytes(b"")
    elif how == "cut":
        path.write_bytes(data[: draw.randrange(len(data))])
    else:
        place = draw.randrange(len(data))
        path.write_bytes(data[:place] + bytes((data[place] ^ 1 << draw.randrange(8),)) + data[place + 1 :])
