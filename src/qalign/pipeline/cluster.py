"""Stages as jobs of a cluster: of Slurm, submitted by submitit, or of Ray.

A job makes its stage from beginning to end, under the stage's lock and with its record. So it outlives the run that submitted
it, and two jobs never write to one stage. A Slurm job is named after its stage: a run that begins again finds it in the queue.
"""

from __future__ import annotations

import hashlib
import math
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import QAlignError, SettingError, StageError
from ..placement import Placement
from ..terminal import log
from ..untrusted import printable
from .run import Event, make
from .stage import Node, status
from .workers import interruptible

TRIES = 4
"""How often a stage is submitted before its run ends with an error."""
SECONDS_BETWEEN_LOOKS, SECONDS_TO_SEE, SECONDS_TO_END = 5, 10, 60
"""Between looks at Slurm's queue; until nodes see a new file; until a cancelled job ends (Slurm kills after 30)."""


class Needs(NamedTuple):
    """What the job of a stage needs, 0 where that is not known, and whether a launcher starts it, maybe on several nodes."""

    gpus: int = 0
    bytes: float = 0.0
    seconds: float = 0.0
    launched: bool = False


def log_of_job(stage: Node, runs: Path) -> Path:
    """The file with all that the jobs of a stage print."""
    return runs / "jobs" / stage.folder_name / "log.txt"


def work(
    folder: str, path: Sequence[str], pickled: bytes, environment: Mapping[str, str], file: Path | None = None
) -> QAlignError | None:
    """What a job does, in the folder and with the modules of its run; returns the error of a user. What it and its libraries
    print goes to the end of a file."""
    if file is not None:
        for stream in (1, 2):
            os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT), stream)
    os.chdir(folder)
    sys.path += [place for place in path if place not in sys.path]
    for name, value in environment.items():
        os.environ.setdefault(name, value)
    stage, runs, placement, sys.argv = pickle.loads(pickled)
    try:
        make(stage, runs, placement, lambda event, which: log(f"{event}: {which.folder_name}"))
    except QAlignError as error:
        return error
    return None


class Jobs(AbstractContextManager["Jobs"]):
    """The jobs of one run. `make` is called from several threads."""

    def __init__(self, placement: Placement, needs: Callable[[Node, bool], Needs]) -> None:
        """`needs` is told a stage, and whether there are GPUs."""
        pairs = (one.lstrip("-").partition("=") for one in placement.cluster_options)
        self.options: dict[str, Any] = {name.replace("-", "_"): value or True for name, _, value in pairs}
        self.needs, self.lock, self.ends, self.names = needs, threading.Lock(), math.inf, set[str]()
        self.has_gpus = placement.device in ("auto", "cuda")

    def __exit__(self, *_: object) -> None:
        return None

    def make(self, stage: Node, runs: Path, placement: Placement, on_event: Event) -> None:
        """Has a job make the stage, and another one where it is killed. What the hub has is fetched here: nodes of a cluster
        often have no network."""
        if stage.fetched is not None:
            return make(stage, runs, placement, on_event)
        needs = self.needs(stage, self.has_gpus)
        file, runs = log_of_job(stage, runs.absolute()), runs.absolute()
        file.parents[1].mkdir(mode=0o700, parents=True, exist_ok=True)  # the pickles in it are run
        file.parent.mkdir(exist_ok=True)
        systems = {name: its for name, its in placement.systems.items() if name == stage.folder_name}
        pickled = pickle.dumps((stage, runs, replace(placement, systems=systems), sys.argv))
        on_event("resuming" if status(stage, runs) == "interrupted" else "running", stage)
        for _ in range(TRIES):
            error = self.attempt(stage, needs, file, [str(Path.cwd()), sys.path, pickled])
            if status(stage, runs) == "done":
                for path in set(file.parent.iterdir()) - {file}:
                    path.unlink()
                return on_event("finished", stage)
            if self.ends < math.inf:
                raise KeyboardInterrupt
            on_event("failed" if error else "lost", stage)
            if error:
                raise error
        what = f"{stage.folder_name} was not done when its job ended, {TRIES} times"
        raise StageError(f"{what}; read {file}, then run the same command again: it goes on from what there is")

    def interrupt(self) -> None:
        """Cancels the jobs of this run, and waits until they have kept what they did."""
        with self.lock:  # nothing is just being submitted, and nothing will be
            self.ends = time.monotonic() + SECONDS_TO_END
        while self.cancel() and time.monotonic() < self.ends:
            time.sleep(1)

    @abstractmethod
    def attempt(self, stage: Node, needs: Needs, file: Path, arguments: list[Any]) -> QAlignError | None:
        """Returns when a job of the stage has ended, with the error that it met if it could still say one."""

    @abstractmethod
    def cancel(self) -> object:
        """Cancels the jobs of this run. Returns those that have not ended."""


class Slurm(Jobs):
    """Jobs in the queue of Slurm."""

    queue: list[list[str]] | None = None
    """The id and name of each job of the user; None before the first look."""
    next_look = 0.0

    def ids(self, names: set[str]) -> list[str]:
        """The jobs with one of the names, as the queue last had them."""
        with self.lock:
            if time.monotonic() >= self.next_look:
                command = ["squeue", "--noheader", f"--user={os.getuid()}", "--format=%i %j"]
                try:  # in a session of its own: Ctrl-C of a terminal is not for it
                    said = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=True)
                    self.queue = [line.split(" ", 1) for line in said.stdout.splitlines()]
                except (OSError, subprocess.CalledProcessError) as error:
                    if self.queue is None:  # else its controller restarts, say, and the jobs are there as before
                        reason = _last(getattr(error, "stderr", error))
                        raise SettingError(f"squeue fails ({reason}); run this where Slurm's commands work") from error
                self.next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS
            return [number for number, name in self.queue or () if name in names]

    def attempt(self, stage: Node, needs: Needs, file: Path, arguments: list[Any]) -> QAlignError | None:
        """Waits for the job that is in the queue, or for a new one."""
        name = f"{stage.folder_name}.{hashlib.sha256(os.fsencode(file.resolve())).hexdigest()[:6]}"
        self.names.add(name)
        job = next(iter(self.ids({name})), None) or self.submit(name, needs, file, arguments)
        while self.ids({name}) and time.monotonic() < self.ends:
            time.sleep(1)
        result, end = file.with_name(f"{job}_0_result.pkl"), min(self.ends, time.monotonic() + SECONDS_TO_SEE)
        while not result.is_file():
            if time.monotonic() >= end:
                return None
            time.sleep(1)
        outcome, error = pickle.loads(result.read_bytes())
        return _failed(stage, error, file) if outcome == "error" else error

    def submit(self, name: str, needs: Needs, file: Path, arguments: list[Any]) -> str:
        """Submits a job with what its stage needs, as far as no option says otherwise."""
        import submitit

        left_out = {"gpu": not needs.gpus, "node": not needs.launched, "ntask": not needs.launched}
        given = {name: value for name, value in self.options.items() if not left_out.get(_kind(name))}
        mem, minutes = needs.bytes and f"{needs.bytes / 2**20:.0f}M", round(needs.seconds / 60)
        known = {"gpus_per_node": needs.gpus, "mem": mem, "time": minutes}
        wanted = {name: value for name, value in known.items() if value and _kind(name) not in map(_kind, given)}
        conf = {name: value for name, value in os.environ.items() if name == "SLURM_CONF"}
        with self.lock, submitit.helpers.clean_env():  # without the variables of a job that this run is itself
            if self.ends < math.inf:
                raise KeyboardInterrupt
            os.environ.update(conf)
            try:
                executor = submitit.SlurmExecutor(file.parent)
                executor.update_parameters(
                    job_name=name, time=None, wckey=None, use_srun=False, stderr_to_stdout=True,  # a launcher may call srun
                    setup=["export PYTHONSAFEPATH=1 SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}"],
                    additional_parameters={"output": file, "signal": "TERM@90", **wanted, **given},
                )  # fmt: skip
                job = str(executor.submit(interruptible, work, *arguments, {}).job_id)
            except RuntimeError as error:
                how = "see --cluster-option, and --device cpu where Slurm has no GPUs"
                raise SettingError(f"sbatch refuses the job {name} ({_last(error)}); {how}") from error
            assert self.queue is not None
            self.queue.append([job, name])
        return job

    def cancel(self) -> object:
        """Has Slurm end the jobs."""
        self.next_look = 0.0
        if left := self.ids(self.names):
            subprocess.run(["scancel", *left], capture_output=True, start_new_session=True)
        return left


class Ray(Jobs):
    """Tasks of a Ray cluster. They end with the run, whatever ends it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        import ray
        import yaml

        self.ray, self.tasks, at_sigterm = ray, set[Any](), signal.getsignal(signal.SIGTERM)
        address = str(self.options.pop("address", os.environ.get("RAY_ADDRESS") or "auto"))
        host, _, port = address.removeprefix("ray://").rpartition(":")
        try:
            if host and port.isdigit():  # Ray itself tries for minutes
                socket.create_connection((host.strip("[]"), int(port)), SECONDS_TO_SEE).close()
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True)
        except (OSError, RuntimeError, ValueError, OverflowError) as error:
            how = "start one with `ray start --head`, or name its head: --cluster-option address=HOST:PORT"
            raise SettingError(f"there is no Ray cluster ({_last(error)}); {how}") from error
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, at_sigterm)  # Ray's exits at once
        self.has_gpus &= "GPU" in ray.cluster_resources()
        self.options = {name: yaml.safe_load(str(value)) for name, value in self.options.items()}
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}

    def __exit__(self, *_: object) -> None:
        self.ray.shutdown()

    def attempt(self, stage: Node, needs: Needs, file: Path, arguments: list[Any]) -> QAlignError | None:
        """Waits for a task."""
        faults, options = self.ray.exceptions, {"num_cpus": 1, "num_gpus": needs.gpus, "max_retries": 0, **self.options}
        with self.lock:
            if self.ends < math.inf:
                raise KeyboardInterrupt
            task = self.ray.remote(**options)(work).remote(*arguments, self.environment, file)
            self.tasks.add(task)
        error: QAlignError | None = None
        try:
            while task not in self.ray.wait([task], timeout=1)[0] and time.monotonic() < self.ends:
                pass
            error = self.ray.get(task, timeout=0)
        except faults.RayTaskError as fault:
            error = None if isinstance(fault.cause, KeyboardInterrupt) else _failed(stage, fault, file)
        except faults.RayError:  # its node died, or its process, or it does not end
            pass
        self.tasks.discard(task)
        return error

    def cancel(self) -> object:
        """Interrupts the tasks."""
        for task in list(self.tasks):
            self.ray.cancel(task)
        return self.tasks


CLUSTERS: Mapping[str, type[Jobs]] = {"slurm": Slurm, "ray": Ray}


def _failed(stage: Node, message: object, file: Path) -> StageError:
    return StageError(f"the job of {stage.folder_name} failed ({_last(message)}); read {file}")


def _kind(option: str) -> str:
    """What an option of sbatch is about: `gpu` of `gpus_per_node` and `gres`, `mem` of `mem_per_cpu`."""
    return option.partition("_")[0].rstrip("s").replace("gre", "gpu")


def _last(text: object) -> str:
    """The last line of a message of others."""
    return printable(str(text).strip().rpartition("\n")[2])[:200]
