"""A warm process that runs trials: each command is a fork of it, with a time limit, so that hundreds cost no import.

It reads ids from stdin, one a line, and writes an outcome a line. Trials that wait go several at once.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .trial import Call, Outcome, Result, Run, Trial

SOURCE = Path(__file__).parents[2] / "src"


def warm_up() -> None:
    """Imports what commands import, so that their forks need not. Starts no thread."""
    import accelerate
    import matplotlib.figure
    import openai
    import pyarrow.parquet
    import scipy.stats
    import tokenizers
    import torch
    import transformers
    from transformers.models.llama import modeling_llama

    import qalign.cli
    import qalign.generation.endpoint
    import qalign.generation.local
    import qalign.results.figures
    import qalign.results.page
    import qalign.systems.comparison
    import qalign.training.loop

    torch.set_num_threads(1)
    assert all((accelerate, matplotlib, openai, pyarrow, scipy, tokenizers, transformers, modeling_llama, qalign))


@dataclass
class Child:
    """A command under way."""

    process: int
    handle: int
    started: float
    call: Call
    output: Path
    killed: bool = False


def start(call: Call, folder: Path, output: Path) -> Child:
    """Begins a command in a folder; its stdout and stderr go to files of `output`."""
    output.mkdir(parents=True, exist_ok=True)
    if call.real:
        environment = {**os.environ, "PYTHONPATH": str(SOURCE), **call.environment}
        process = subprocess.Popen(
            [*call.real, *call.words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=(output / "stdout").open("wb"),
            stderr=(output / "stderr").open("wb"),
            start_new_session=True,
        ).pid
    else:
        sys.stdout.flush()
        process = os.fork()
        if process == 0:
            _become(call, folder, output)
    return Child(process, os.pidfd_open(process), time.monotonic(), call, output)


def _become(call: Call, folder: Path, output: Path) -> None:
    """Turns a fork into the command, as a shell would have started it. Does not return."""
    os.setsid()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it ends with this process
    atexit._clear()  # what this process would tidy up at its end is not the command's
    for stream, path in ((0, Path(os.devnull)), (1, output / "stdout"), (2, output / "stderr")):
        handle = os.open(path, os.O_RDONLY if stream == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(handle, stream)
    os.chdir(folder)
    os.environ.update(call.environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["qalign", *call.words]
    status = 0
    try:
        if call.prepare is not None:
            call.prepare()
        from qalign.cli import main

        main()
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1
        if leaving.code is not None and not isinstance(leaving.code, int):
            print(leaving.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        atexit._run_exitfuncs()
    finally:
        os._exit(status)


def overdue(child: Child) -> bool:
    """Ends a command that is past its time; whether it was."""
    waited = time.monotonic() - child.started
    limit = child.call.killed_after
    if limit is not None and waited > limit and not child.killed:
        child.killed = True
        os.kill(child.process, signal.SIGKILL)
    elif waited > child.call.seconds:
        os.killpg(child.process, signal.SIGKILL)
        return True
    return False


def finish(child: Child, hung: bool) -> Result:
    """What an ended command left; what it started ends with it."""
    seconds = time.monotonic() - child.started
    _, status, usage = os.wait4(child.process, 0)
    os.close(child.handle)
    if not child.killed:  # what it started then has to end by itself
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process, signal.SIGKILL)
    texts = [(child.output / name).read_bytes().decode("utf-8", "surrogateescape") for name in ("stdout", "stderr")]
    return Result(
        os.waitstatus_to_exitcode(status), texts[0], texts[1], seconds, hung, usage.ru_maxrss // 1024
    )  # fmt: skip


@dataclass
class UnderWay:
    """A trial between two of its commands' ends."""

    trial: Trial
    folder: Path
    run: Run
    started: float
    child: Child | None = None
    calls: int = 0


class Worker:
    """Runs trials in folders under `place`, several at once if asked."""

    def __init__(self, trials: Mapping[str, Trial], seed: int, place: Path, keep: bool = False) -> None:
        self.trials, self.seed, self.place, self.keep = trials, seed, place, keep
        self.under_way: list[UnderWay] = []

    def begin(self, name: str, tell: Callable[[dict[str, Any]], None]) -> None:
        """Starts a trial."""
        folder = self.place / name
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "here").mkdir(parents=True)
        trial = self.trials[name]
        run = trial.run(folder / "here", random.Random(f"{self.seed}/{name}"))
        one = UnderWay(trial, folder, run, time.monotonic())
        self.under_way.append(one)
        self._step(one, None, tell)

    def wait(self, seconds: float, tell: Callable[[dict[str, Any]], None]) -> None:
        """Waits for commands to end, so many seconds at most, and goes on with their trials."""
        handles = {one.child.handle: one for one in self.under_way if one.child is not None}
        ended, _, _ = select.select(list(handles), [], [], seconds)
        for handle, one in handles.items():
            assert one.child is not None
            hung = handle not in ended and overdue(one.child)
            if handle in ended or hung:
                result = finish(one.child, hung)
                one.child = None
                self._step(one, result, tell)

    def _step(self, one: UnderWay, result: Result | None, tell: Callable[[dict[str, Any]], None]) -> None:
        try:
            call = next(one.run) if result is None else one.run.send(result)
            one.calls += 1
            if self.keep:
                print(f"# {' '.join(map(repr, call.words))}", file=sys.stderr)
            one.child = start(call, one.folder / "here", one.folder / f"call-{one.calls}")
            return
        except StopIteration as ended:
            outcome: Outcome = ended.value
        except Exception:  # a fault of the trial itself: it must not pass for a good end
            outcome = Outcome("refused badly", f"THE TRIAL ITSELF FAILED: {traceback.format_exc()[-600:]}")
        self.under_way.remove(one)
        if not self.keep:
            shutil.rmtree(one.folder, ignore_errors=True)
        seconds = round(time.monotonic() - one.started, 2)
        tell({"id": one.trial.id, "verdict": outcome.verdict, "why": outcome.why, "seconds": seconds})


def serve(trials: Mapping[str, Trial], seed: int, place: Path) -> None:
    """Runs the trials whose ids come on stdin, until it closes."""
    warm_up()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever prints here by mistake is no answer
    worker = Worker(trials, seed, place)

    def tell(row: dict[str, Any]) -> None:
        answers.write(json.dumps(row) + "\n")
        answers.flush()

    waiting = b""
    open_ = True
    while open_ or worker.under_way:
        if open_ and select.select([0], [], [], 0 if worker.under_way else 1.0)[0]:
            data = os.read(0, 65536)
            open_ = bool(data)
            *lines, waiting = (waiting + data).split(b"\n")
            for line in lines:
                worker.begin(line.decode(), tell)
        worker.wait(0.05, tell)
