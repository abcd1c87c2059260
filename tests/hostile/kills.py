"""Whole pipelines, killed or interrupted at a drawn moment, some then damaged: the same command must end in the same results.

A moment is a file event (the run opens a file to write, renames, removes, makes a folder), counted from the beginning, or
a number of answers that are kept, or a time.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .fixtures import COMMON, SMALL, eval_words, own
from .trial import Call, Outcome, Result, Run, Trial, mishap, without_time

CHECKPOINT = re.compile(r"(train-[a-z-]+-[0-9a-f]{8}).*step-\d+$")
KEPT = "predictions.partial.jsonl"
INTERRUPTED = 130

# What differs between undisturbed runs: times, speeds, and who made a folder where.
_NOT_COMPARED = ("stage.json", "metrics.jsonl")


def pipelines(server: str) -> dict[str, tuple[str, ...]]:
    """The commands of the runs that are disturbed, on the own data and the scripted model of their folder."""
    place = "own"
    training = (
        "run", "qalign-mono", "--base", "tiny", *COMMON, *SMALL, *own(place, "questions", "english", "test"),
        "--languages", "de,sw", "--set", "training.global_batch_size=4", "--set", "question-alignment.epochs=14",
        "--set", "response-alignment.epochs=20",
        "--set", "generation.max_new_tokens=48", "--seconds-per-checkpoint", "0", "--batch-size", "4", "--tracker", "none",
        "--runs", "runs", "--output", "results",
    )  # fmt: skip
    endpoint = (
        "eval", "served", *COMMON, *own(place, "test"), "--endpoint", server, "--requests-in-flight", "2",
        "--runs", "runs", "--output", "results",
    )  # fmt: skip
    scripted = (*eval_words("scripted"), "--runs", "runs", "--output", "results")
    return {"training": training, "endpoint": endpoint, "scripted": scripted}


def outcome_of(folder: Path) -> dict[str, str]:
    """What a finished run left, by file: all of its stages and its results, without times."""
    import hashlib

    found = {}
    for path in sorted([*folder.glob("runs/stages/*/**/*"), *folder.glob("results/*.*")]):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or "/.locks/" in name or path.name in _NOT_COMPARED or path.suffix in (".html", ".tmp"):
            continue
        found[name] = hashlib.sha256(_without_provenance(path)).hexdigest()
    for path in folder.glob("runs/stages/*/metrics.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        steps = [{key: value for key, value in row.items() if "second" not in key} for row in rows]
        found[path.relative_to(folder).as_posix()] = json.dumps(steps)
    return found


def _without_provenance(path: Path) -> bytes:
    """A file without date, command and folders (of models, of judgements), which differ from run to run."""
    content = path.read_bytes()
    if path.name == "results.json":
        values = json.loads(content)
        return json.dumps(
            {name: value for name, value in values.items() if name not in ("made", "models", "judgements")}
        ).encode()
    if path.name == "results.md":
        return min(
            (content.partition(f"**{title}**".encode())[0] for title in ("Models", "How this was made")), key=len
        )
    return content


# --- moments ----------------------------------------------------------------------------------------------------------


def watched(then: Callable[[int, str, str], None], log: Path) -> None:
    """Counts what this process does to files of its run; tells `then` the number, the event and the path, before it is done."""
    count = 0

    def hook(event: str, given: tuple[Any, ...]) -> None:
        nonlocal count
        if event == "open":
            path, _, flags = given
            if not isinstance(path, (str, Path)) or not (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"):
            path = given[1] if event == "os.rename" else given[0]
        else:
            return
        name = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
        if "runs" in name or "results" in name:
            count += 1
            if whole:
                os.write(handle, f"{whole.pop()}\n".encode())
            if event == "os.rename" and (found := CHECKPOINT.search(name)):
                whole.append(found[1])  # once this rename is done: at the next event
            then(count, event, name)

    whole: list[str] = []
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    sys.addaudithook(hook)


def counted(into: Path) -> Callable[[], None]:
    """Writes the number of file events of a whole run to a file."""

    def arm() -> None:
        handle = os.open(into, os.O_WRONLY | os.O_CREAT)
        watched(lambda count, event, name: os.pwrite(handle, f"{count:9}".encode(), 0) and None, Path("checkpoints"))

    return arm


def at_event(number: int, by: int) -> Callable[[], None]:
    """A signal to itself before the file event of this number."""
    return lambda: watched(
        lambda count, event, name: os.kill(os.getpid(), by) if count == number else None, Path("checkpoints")
    )


def at_checkpoint(number: int, by: int) -> Callable[[], None]:
    """A signal to itself when so many checkpoints are whole and one more is about to be."""
    seen: list[str] = []

    def then(count: int, event: str, name: str) -> None:
        if event == "os.rename" and CHECKPOINT.search(name):
            seen.append(name)
            if len(seen) > number:
                os.kill(os.getpid(), by)

    return lambda: watched(then, Path("checkpoints"))


def after(seconds: float, by: int) -> Callable[[], None]:
    """A signal to itself after a time."""
    return _beside(lambda started: time.monotonic() - started > seconds, by)


def when_kept(answers: int, by: int) -> Callable[[], None]:
    """A signal to itself once so many answers are kept."""
    return _beside(lambda _: sum(len(rows) for rows in kept(Path())) >= answers, by)


def _beside(ready: Callable[[float], bool], by: int) -> Callable[[], None]:
    def wait() -> None:
        started = time.monotonic()
        while not ready(started):
            time.sleep(0.002)
        os.kill(os.getpid(), by)

    def arm() -> None:
        watched(lambda count, event, name: None, Path("checkpoints"))
        threading.Thread(target=wait, daemon=True).start()

    return arm


def kept(folder: Path) -> list[list[Any]]:
    """The answers that interrupted stages have kept, chunk by chunk."""
    chunks: list[list[Any]] = []
    try:
        texts = [path.read_bytes() for path in folder.glob(f"runs/stages/*/**/{KEPT}")]
    except OSError:
        return chunks  # a stage has just been finished
    for text in texts:
        for line in text.split(b"\n")[1:-1]:
            with contextlib.suppress(ValueError):  # a torn line
                rows, _ = json.JSONDecoder().raw_decode(line[max(0, line.find(b"[[")) :].decode("utf-8", "replace"))
                chunks.append(rows)
    return chunks


# --- trials -----------------------------------------------------------------------------------------------------------


def trials(fixtures: Path, seed: int) -> Iterator[Trial]:
    """Kills and damages over the pipelines."""
    server = os.environ.get("HOSTILE_SERVER", "")
    draw = random.Random(seed)
    measured = json.loads((fixtures / "undisturbed.json").read_text())
    for name in ("training", "scripted"):
        events, seconds = measured[name]["events"], measured[name]["seconds"]
        for by in (signal.SIGKILL, signal.SIGINT):
            word = "kill" if by == signal.SIGKILL else "interrupt"
            count = {"training": 36, "scripted": 8}[name] // (1 if word == "kill" else 2)
            for number in range(count):
                moment = draw.randint(1 + events * number // count, events * (number + 1) // count)
                yield disturbed(f"kills-{name}/{word}-event-{moment}", fixtures, name, [at_event(moment, by)], by)
            for number in range(count // 4):
                moments = [after(draw.uniform(0, seconds), by) for _ in range(2)]
                yield disturbed(f"kills-{name}/{word}-time-{number}", fixtures, name, moments, by)
    for number in range(12):
        moments = [at_checkpoint(draw.randint(1, 3), signal.SIGKILL) for _ in range(3)]
        yield disturbed(f"kills-training/thrice-{number}", fixtures, "training", moments, signal.SIGKILL)
    if server:
        for number in range(16):
            by = signal.SIGKILL if number % 4 else signal.SIGINT
            moments = [when_kept(draw.randint(1, 8), by), when_kept(draw.randint(8, 22), by)]
            yield disturbed(f"kills-endpoint/kept-{number}", fixtures, "endpoint", moments, by)
    for number in range(6):
        yield with_workers(f"kills-jobs/parent-{number}", fixtures, measured["training"]["seconds"])


def disturbed(name: str, fixtures: Path, pipeline: str, moments: Sequence[Callable[[], None]], by: int) -> Trial:
    """A pipeline that is ended at some moments, one an attempt, and then left alone."""

    def run(folder: Path, draw: random.Random) -> Run:
        words = words_of(fixtures, pipeline, folder)
        answered: set[str] = set()
        for moment in moments:
            result = yield Call(words, prepare=moment)
            if fault := fault_of_end(result, by):
                return fault
            if lost := lost_between(folder, result, answered):
                return lost
            answered = asked_and_kept(folder)
            if result.status == 0:
                break  # the moment was behind the end
            (folder / "asked-before").write_text(str(len(log_of(folder, fixtures))))
        result = yield Call(words)
        return (
            mishap(result)
            or lost_between(folder, result, answered)
            or asked_again(folder, fixtures, answered)
            or same_results(folder, result, fixtures, pipeline)
        )

    return Trial(name, run)


def with_workers(name: str, fixtures: Path, seconds: float) -> Trial:
    """The training pipeline with two workers, killed without them: they end by themselves, and it goes on at once."""

    def run(folder: Path, draw: random.Random) -> Run:
        words = (*words_of(fixtures, "training", folder), "--jobs", "2")
        command = (sys.executable, "-m", "qalign")
        result = yield Call(words, real=command, killed_after=draw.uniform(1, 6 + 2 * seconds), seconds=180)
        if fault := fault_of_end(result, signal.SIGKILL):
            return fault
        result = yield Call(words, real=command, seconds=180)
        return mishap(result) or same_results(folder, result, fixtures, "training")

    return Trial(name, run)


def words_of(fixtures: Path, pipeline: str, folder: Path) -> tuple[str, ...]:
    """The command of a pipeline; a server is told the trial by its URL."""
    link(fixtures, folder)
    server = f"{os.environ.get('HOSTILE_SERVER', '')}/well/{trial_of(folder)}/v1"
    return pipelines(server)[pipeline]


def link(fixtures: Path, folder: Path) -> None:
    """Puts the own data and the models into a trial's folder, under the same names in each."""
    for name in ("own", "scripted", "model"):
        if not (folder / name).exists():
            (folder / name).symlink_to(fixtures / name)


def trial_of(folder: Path) -> str:
    return "-".join(folder.parts[-3:-1])


def fault_of_end(result: Result, by: int) -> Outcome | None:
    """What is wrong with how a command ended that a signal was sent to."""
    if result.hung:
        return Outcome("hang", "no end after the signal")
    if "Traceback (most recent call last)" in result.stderr:
        return Outcome("traceback", result.stderr.strip().splitlines()[-1])
    expected = (0, -signal.SIGKILL) if by == signal.SIGKILL else (0, INTERRUPTED)
    if result.status not in expected:
        return Outcome(
            "refused badly", f"status {result.status} after the signal; stderr ends {result.stderr[-300:]!r}"
        )
    return None


def lost_between(folder: Path, result: Result, answered: set[str]) -> Outcome | None:
    """Whether a stage began anew that had left a whole checkpoint, or kept answers."""
    log = folder / "checkpoints"
    had = folder / "had-before"
    before = set(had.read_text().split()) if had.exists() else set()
    for line in result.stderr.splitlines():
        word, _, rest = without_time(line).partition(": ")
        stage = rest.partition(" ")[0]  # what stands behind it says which of how many it is
        if word == "start" and stage in before:
            return Outcome("answers lost", f"{stage} had a whole checkpoint, and began anew")
        if word == "start" and stage.startswith("generate-") and answered:
            return Outcome("answers lost", f"{stage} had kept {len(answered)} answers, and began anew")
    had.write_text(log.read_text() if log.exists() else "")
    return None


def asked_and_kept(folder: Path) -> set[str]:
    """The answers that are kept, as language/id."""
    return {f"{language}/{key}" for rows in kept(folder) for language, key, *_ in rows}


def log_of(folder: Path, fixtures: Path) -> list[list[str]]:
    """What the server was asked in this trial, and what it answered."""
    logs = os.environ.get("HOSTILE_LOGS")
    path = Path(logs or "/nonexistent") / f"{trial_of(folder)}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def asked_again(folder: Path, fixtures: Path, answered: set[str]) -> Outcome | None:
    """Whether the server was asked for answers that had been kept before the last kill."""
    mark = folder / "asked-before"
    if not mark.exists():
        return None
    later = {question for event, question in log_of(folder, fixtures)[int(mark.read_text()) :] if event == "asked"}
    questions = {}
    for path in (fixtures / "own" / "test").glob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            questions[f"{path.stem}/{row['id']}"] = row["question"]
    again = [key for key in answered if questions[key] in later]
    return Outcome("answers lost", f"{len(again)} kept answers were asked again: {again[:3]}") if again else None


def same_results(folder: Path, result: Result, fixtures: Path, pipeline: str) -> Outcome:
    """Whether the run ended well, in the results of an undisturbed one, and left nothing half done."""
    if result.status != 0:
        return Outcome("refused badly", f"status {result.status}: {result.stderr[-300:]!r}")
    expected = json.loads((fixtures / "undisturbed.json").read_text())[pipeline]["outcome"]
    found = outcome_of(folder)
    differing = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    if differing:
        return Outcome("result differs", f"{len(differing)} files: {', '.join(sorted(differing)[:4])}")
    left = [path for path in folder.rglob("*") if path.name.endswith((".partial", ".tmp", ".scratch"))]
    if left:
        return Outcome("refused badly", f"left behind: {left[0].relative_to(folder)}")
    return Outcome("accepted rightly")
