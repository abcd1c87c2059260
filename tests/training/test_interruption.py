"""Signals in a training: a checkpoint is written where that takes seconds, and the training goes on from it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qalign.training import checkpoints
from qalign.training.checkpoints import Checkpoints
from qalign.training.launch import launch
from qalign.training.loop import Job
from qalign.training.trainer import Trainer

MakeJob = Callable[..., Job]


def weights(job: Job) -> bytes:
    return (job.output / "model.safetensors").read_bytes()


def steps_kept(job: Job) -> list[str]:
    return sorted(path.name for path in job.scratch.glob("step-*"))


def signal_within_step(monkeypatch: pytest.MonkeyPatch, step: int, *numbers: int, later: float = 0.0) -> None:
    """Has signals come within a step, the second ones `later` seconds after the first."""
    original = Trainer.step

    def stepping(self: Trainer, *arguments: Any) -> Any:
        result = original(self, *arguments)
        if self.progress.step == step:
            for number in numbers:
                signal.raise_signal(number)
                time.sleep(later)
        return result

    monkeypatch.setattr(Trainer, "step", stepping)


@pytest.fixture
def sigterm_as_run() -> Any:
    """SIGTERM interrupts, as a run has it."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint_to_go_on_from(
    make_job: MakeJob, number: int, sigterm_as_run: None, capsys: pytest.CaptureFixture[str]
) -> None:
    undisturbed, job = make_job("undisturbed", max_steps=12), make_job(max_steps=12)
    launch(undisturbed)
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    with pytest.MonkeyPatch.context() as patch:
        signal_within_step(patch, 7, number, number)  # a terminal and a launcher may both send it
        with pytest.raises(KeyboardInterrupt):
            launch(job)
    assert steps_kept(job) == ["step-000000007"]
    assert (
        "test ends after this step and a checkpoint; the same signal again ends it at once" in capsys.readouterr().err
    )
    assert handlers == [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    launch(job)
    assert weights(job) == weights(undisturbed)


def test_a_signal_in_the_last_step_is_no_lost_one(make_job: MakeJob) -> None:
    job = make_job(max_steps=5)
    with pytest.MonkeyPatch.context() as patch:
        signal_within_step(patch, 5, signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            launch(job)
    assert steps_kept(job) == ["step-000000005"] and not job.output.exists()
    launch(job)
    assert len((job.output / "metrics.jsonl").read_text().splitlines()) == 5


def test_a_second_signal_ends_at_once(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "ONE_SIGNAL", 0.01)
    signal_within_step(monkeypatch, 3, signal.SIGINT, signal.SIGINT, later=0.02)
    job = make_job(max_steps=5)
    with pytest.raises(KeyboardInterrupt):
        launch(job)
    assert steps_kept(job) == []


@pytest.mark.parametrize("placement", [{}, {"seconds_per_checkpoint": float("inf")}])
def test_no_checkpoint_that_takes_long_or_is_not_wanted(
    make_job: MakeJob, placement: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not placement:
        monkeypatch.setattr(Checkpoints, "seconds_to_save", lambda self: 90.0)
    signal_within_step(monkeypatch, 3, signal.SIGINT)
    job = make_job(placement=placement, max_steps=5)
    with pytest.raises(KeyboardInterrupt):
        launch(job)
    assert steps_kept(job) == []
    said = "" if placement else "qalign: test ends without a checkpoint, which would take 2 min\n"
    assert capsys.readouterr().err == said


def test_the_time_of_a_checkpoint_is_that_of_the_last_one(make_job: MakeJob, tmp_path: Path) -> None:
    times: list[float] = []
    original = Checkpoints.save

    def saved(self: Checkpoints) -> None:
        times.append(self.seconds_to_save())
        original(self)
        times.append(self.seconds_to_save())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "save", saved)
        launch(make_job(placement={"seconds_per_checkpoint": 0.0}, max_steps=11))
    by_size, measured = times
    assert 0 < by_size < 1 and 0 < measured != by_size
