"""Starts a training stage: in this process, under torchrun, or by a launcher.

The processes read the job from a JSON file: `python -m qalign.training.launch JOB.json` is what each of them runs.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from ..errors import ModelError, QAlignError, SettingError
from ..pipeline.workers import end_with
from .loop import Job, finetune
from .memory import out_of_memory_in_one_line

ERROR = "error.txt"
LESS_MEMORY = "a lower --tokens-per-micro-batch, --activation-checkpointing or fewer --jobs"
"""What takes less memory in training, and changes no result."""


def launch(job: Job) -> None:
    """Trains in the processes that the placement asks for, on this node or by its launcher.

    The launcher is given `-m qalign.training.launch JOB.json` to run. All its nodes must see the folder of runs.
    Raises QAlignError as `finetune` does, also in one of several processes, and where the launcher cannot be started.
    """
    if job.placement.processes == 1 and not job.placement.launcher:
        with out_of_memory_in_one_line(LESS_MEMORY):
            finetune(job)
        return
    launcher = job.placement.launcher
    try:
        command = shlex.split(os.path.expandvars(launcher))  # a job knows its nodes by variables
    except ValueError as reason:
        raise SettingError(f"the launcher {launcher!r} is not a command ({reason}); close its quotes") from reason
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={job.placement.processes}"]
    command = command or [sys.executable, *torchrun]
    path, error = job.scratch / "job.json", job.scratch / ERROR
    error.unlink(missing_ok=True)
    path.write_text(job_to_json(job), encoding="utf-8")
    try:
        finished = subprocess.run([*command, "-m", "qalign.training.launch", str(path)], preexec_fn=_die_with_parent)
    except OSError as reason:
        what = f"the launcher '{command[0]}' cannot be started ({reason.strerror})"
        raise SettingError(f"{what}; name another") from reason
    finally:
        path.unlink()
    if finished.returncode != 0:
        message = error.read_text(encoding="utf-8") if error.is_file() else ""
        raise ModelError(message or "training on several processes failed; their messages stand above")


def job_to_json(job: Job) -> str:
    """A job as JSON."""
    return msgspec.json.encode(job, enc_hook=str).decode()


def job_from_json(text: str) -> Job:
    """The job that `job_to_json` wrote. ValueError if a value is missing, or of another type."""
    return msgspec.json.decode(text, type=Job, dec_hook=lambda kind, value: kind(value))


def _die_with_parent() -> None:
    """Ends the launcher when its parent is killed, on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _main() -> None:
    end_with(os.getppid())
    job = job_from_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        with out_of_memory_in_one_line(LESS_MEMORY):
            _trainer = finetune(job)  # kept: torch can wait for ever where it frees the groups of processes
    except QAlignError as error:
        (job.scratch / ERROR).write_text(str(error), encoding="utf-8")
        raise SystemExit(2) from error
    # Without Python's teardown: threads of torch's communication abort in it now and then, and the launcher then ends the
    # process that still saves.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    _main()
