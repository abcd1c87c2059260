"""Stages as jobs of a real Slurm of two nodes: the same bits, whatever is killed on the way."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
import small_slurm
from small_slurm import SmallSlurm, variable
from small_study import CHECKPOINT, TRAINING, Driver, log_of_training, prepared, results

from waiting import wait_for

pytest.importorskip("submitit", reason="needs submitit: make test-slurm")
pytestmark = [
    pytest.mark.skipif("QALIGN_CLUSTER" not in os.environ, reason="starts daemons: make test-slurm"),
    pytest.mark.skipif(bool(small_slurm.lacking()), reason=small_slurm.lacking()),
]
ON_SLURM = ("--cluster", "slurm", "--cluster-option", "partition=all")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallSlurm]:
    cluster = SmallSlurm(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def job_that_trains(slurm: SmallSlurm, runs: Path) -> tuple[str, str]:
    """The id and node of the job that trains, once it has written a checkpoint."""
    wait_for("a checkpoint", lambda: list(runs.glob(CHECKPOINT)))
    (job,) = [
        number
        for number, name in (line.split() for line in slurm.say("squeue", "-h", "-o", "%i %j").splitlines())
        if name.startswith(TRAINING)
    ]
    return job, slurm.queue()[job].split()[1]


def test_a_study_gives_the_same_bits_and_each_stage_is_a_job(slurm: SmallSlurm, alone: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    said = Driver(runs, slurm.variables, *ON_SLURM).ends()
    assert results(runs) == results(alone)
    logs = {path.parent.name: path for path in runs.glob("jobs/*/log.txt")}
    for stage in (runs / "stages").glob("*-????????"):
        assert str(logs[stage.name]) in said
        assert f"finished: {stage.name}" in logs[stage.name].read_text()
    assert [path for path in runs.glob("jobs/*/*") if path.name != "log.txt"] == [], "no pickle stays"
    assert (runs / "jobs").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("by", ["scancel", "a kill of its process"])
def test_a_job_that_is_killed_is_submitted_again_and_goes_on(
    slurm: SmallSlurm, alone: Path, tmp_path: Path, by: str
) -> None:
    runs = prepared(alone, tmp_path / "runs")
    driver = Driver(runs, slurm.variables, *ON_SLURM)
    job, _ = job_that_trains(slurm, runs)
    if by == "scancel":
        slurm.say("scancel", job)
    else:
        for pid in small_slurm.processes():
            if variable(pid, "SLURM_JOB_ID") == job and "submitit" in small_slurm.command(pid):
                os.kill(pid, signal.SIGKILL)
    said = driver.ends()
    assert "lost: train-" in said
    assert "resuming: train-" in log_of_training(runs)
    assert results(runs) == results(alone)


def test_the_jobs_of_a_node_that_dies_go_on_on_another(slurm: SmallSlurm, alone: Path, tmp_path: Path) -> None:
    runs = prepared(alone, tmp_path / "runs")
    driver = Driver(runs, slurm.variables, *ON_SLURM)
    _, node = job_that_trains(slurm, runs)
    slurm.kill_node(node)
    try:
        driver.ends()
    finally:
        slurm.start_node(node)
    assert "resuming: train-" in log_of_training(runs)
    assert results(runs) == results(alone)


def test_a_run_that_is_killed_finds_its_jobs_when_it_begins_again(
    slurm: SmallSlurm, alone: Path, tmp_path: Path
) -> None:
    runs = prepared(alone, tmp_path / "runs")
    driver = Driver(runs, slurm.variables, *ON_SLURM)
    job, _ = job_that_trains(slurm, runs)
    driver.signal(signal.SIGKILL)
    driver.process.wait()
    assert job in slurm.queue()
    Driver(runs, slurm.variables, *ON_SLURM).ends()
    assert log_of_training(runs).count("running: train-") == 1
    assert "resuming" not in log_of_training(runs), "the first job has made the whole stage"
    assert results(runs) == results(alone)


def test_ctrl_c_leaves_no_job_and_the_next_run_goes_on(slurm: SmallSlurm, alone: Path, tmp_path: Path) -> None:
    runs = prepared(alone, tmp_path / "runs")
    driver = Driver(runs, slurm.variables, *ON_SLURM)
    job_that_trains(slurm, runs)
    driver.signal(signal.SIGINT)
    said = driver.ends(130)
    assert slurm.queue() == {}
    assert "goes on from step" in said
    Driver(runs, slurm.variables, *ON_SLURM).ends()
    assert "resuming: train-" in log_of_training(runs)
    assert results(runs) == results(alone)


def test_what_sbatch_refuses_is_one_line(slurm: SmallSlurm, alone: Path, tmp_path: Path) -> None:
    runs = prepared(alone, tmp_path / "runs")
    said = Driver(runs, slurm.variables, "--cluster", "slurm", "--cluster-option", "partition=nowhere").ends(2)
    (line,) = [line for line in said.splitlines() if "error" in line and "qalign" in line]
    assert "sbatch refuses the job train-" in line and "Invalid partition" in line and "--cluster-option" in line
    assert slurm.queue() == {}


def test_training_over_two_nodes_is_one_stage(slurm: SmallSlurm, alone: Path, tmp_path: Path) -> None:
    runs = prepared(alone, tmp_path / "runs")
    torchrun = f"{sys.executable} -m torch.distributed.run --nnodes=2 --nproc-per-node=1 --rdzv-backend=c10d"
    where = f"--rdzv-id=$SLURM_JOB_ID --rdzv-endpoint=127.0.0.1:{small_slurm.free_ports(1)[0]}"
    launcher = ("--launcher", f"srun {torchrun} {where}", "--set", "training.max_steps=20")
    driver = Driver(runs, slurm.variables, *ON_SLURM, "--cluster-option", "nodes=2", *launcher)
    nodes: dict[str, str] = {}

    def ended() -> bool:
        lines = slurm.say("squeue", "-h", "-t", "R", "-o", "%j %D").splitlines()
        nodes.update((name.partition("-")[0], count) for name, count in (line.split() for line in lines))
        return driver.process.poll() is not None

    wait_for("the end of the run", ended)
    driver.ends()
    assert (nodes["train"], nodes["generate"]) == ("2", "1")
    assert list(runs.glob("stages/train-*/stage.json"))
