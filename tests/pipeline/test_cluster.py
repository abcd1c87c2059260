"""Stages as jobs of a cluster, without one: what is submitted, what is tried again, what the user reads."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qalign import pipeline
from qalign.errors import DataError, QAlignError, SettingError, StageError
from qalign.pipeline import Stage
from qalign.pipeline.cluster import TRIES, Jobs, Needs, Slurm, log_of_job, work
from qalign.placement import JOBS_IN_QUEUE, Placement
from steps import Step, Task


class AtOnce(Jobs):
    """Jobs that run where they are submitted, after some that are lost."""

    def __init__(self, lost: int = 0) -> None:
        super().__init__(Placement(cluster="slurm"), lambda stage, gpus: Needs())
        self.lost, self.submitted = lost, 0

    def attempt(self, stage: Stage, needs: Needs, file: Path, arguments: list[Any]) -> QAlignError | str | None:
        self.submitted += 1
        if self.submitted <= self.lost:
            return None
        folder, path, pickled = arguments
        return work(folder, path, pickled, {})

    def cancel(self) -> object:
        return []


@pytest.fixture(autouse=True)
def _same_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["qalign", "run"])


def write(work: Task) -> None:
    (work.output / "out.txt").write_text("made")


def fail(work: Task) -> None:
    raise DataError("line 3 has no question; fix it")


def run(runs: Path, jobs: Jobs, *stages: Stage) -> list[tuple[str, str]]:
    events: list[tuple[str, str]] = []
    pipeline.run(stages, runs, on_event=lambda event, stage: events.append((event, stage.name)), workers=jobs, jobs=4)
    return events


def test_a_job_makes_its_stage_with_the_record_of_the_command(tmp_path: Path) -> None:
    first = Step("first", 1, {}, write)
    second = Step("second", 1, {}, write, {"x": first})
    assert run(tmp_path, AtOnce(), second) == [
        ("running", "first"), ("finished", "first"), ("running", "second"), ("finished", "second"),
    ]  # fmt: skip
    record = pipeline.run.__globals__["stage_record"].read_record(second.folder(tmp_path))
    assert record.command == ["qalign", "run"]
    assert log_of_job(second, tmp_path).parent.is_dir()
    assert (tmp_path / "jobs").stat().st_mode & 0o077 == 0, "pickles lie there that are run"


def test_a_lost_job_is_submitted_again_so_many_times(tmp_path: Path) -> None:
    stage = Step("stage", 1, {}, write)
    assert run(tmp_path, AtOnce(TRIES - 1), stage) == [
        ("running", "stage"), *[("lost", "stage")] * (TRIES - 1), ("finished", "stage"),
    ]  # fmt: skip
    jobs = AtOnce(TRIES)
    other = Step("other", 1, {}, write)
    with pytest.raises(StageError, match=rf"was not done when its job ended, {TRIES} times; read .*log.txt"):
        run(tmp_path, jobs, other)
    assert jobs.submitted == TRIES


def test_the_error_of_a_stage_is_that_of_the_run_and_no_other_job_is_tried(tmp_path: Path) -> None:
    jobs = AtOnce()
    with pytest.raises(DataError, match="line 3 has no question"):
        run(tmp_path, jobs, Step("stage", 1, {}, fail))
    assert jobs.submitted == 1


def test_what_the_hub_has_is_fetched_without_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Step("stage", 1, {}, write)
    monkeypatch.setattr(type(stage), "fetched", property(lambda self: ("repository", "commit")))
    jobs = AtOnce()
    assert ("finished", "stage") in run(tmp_path, jobs, stage)
    assert jobs.submitted == 0


# --- Slurm, with commands that only write down what they are asked ------------------------------------------------------

SBATCH = """#!/bin/sh
cp "$1" {folder}/submitted.sh
echo Submitted batch job 7
"""


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Puts a command of Slurm on the path, as a shell script."""
    pytest.importorskip("submitit")
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def put(name: str, script: str) -> None:
        (folder / name).write_text(script.format(folder=tmp_path))
        (folder / name).chmod(0o755)

    put("srun", "#!/bin/sh\n")
    put("squeue", "#!/bin/sh\n")
    put("sbatch", SBATCH)
    return put


GPU = Needs(gpus=2, bytes=2.0**33, seconds=5400.0)


@pytest.mark.parametrize(
    ("needs", "options", "there", "absent"),
    [
        (GPU, (), ["--gpus-per-node=2", "--mem=8192M", "--time=90"], ["--partition"]),
        (GPU, ("partition=big", "time=8:00:00"), ["--partition=big", "--time=8:00:00", "--gpus-per-node=2"], ["--time=90"]),
        (GPU, ("gres=gpu:a100:4", "mem-per-cpu=2G"), ["--gres=gpu:a100:4", "--mem-per-cpu=2G"], ["--gpus-per", "--mem="]),
        (GPU, ("--exclusive",), ["--exclusive\n"], []),
        (GPU, ("nodes=2", "ntasks-per-node=1"), ["--nodes=1\n"], ["--nodes=2", "--ntasks"]),
        (Needs(), ("gpus-per-node=8", "account=mine"), ["--account=mine"], ["gpu", "--mem", "--time"]),
        (Needs(gpus=1, launched=True), ("nodes=2", "gpus-per-node=8"), ["--nodes=2", "--gpus-per-node=8"], ["node=1"]),
    ],
)  # fmt: skip
def test_a_job_asks_for_what_its_stage_needs_and_options_overrule(
    commands: object, tmp_path: Path, needs: Needs, options: tuple[str, ...], there: list[str], absent: list[str]
) -> None:
    jobs = Slurm(Placement(cluster="slurm", cluster_options=options), lambda stage, gpus: needs)
    assert jobs.ids({"name"}) == []
    assert jobs.submit("name", needs, tmp_path / "jobs" / "stage" / "log.txt", [str(tmp_path), [], b""]) == "7"
    assert jobs.ids({"name"}) == ["7"], "before the next look at the queue"
    script = (tmp_path / "submitted.sh").read_text()
    assert [text for text in there if text not in script] == []
    assert [text for text in absent if text in script] == []
    assert f"--output={tmp_path}/jobs/stage/log.txt" in script and "--job-name=name" in script


def test_a_job_of_an_earlier_run_is_found_and_no_second_one_submitted(
    commands: Callable[[str, str], None], tmp_path: Path
) -> None:
    """The queue names it once, and then no more: it has ended, with an error that it left."""
    stage = Step("stage", 1, {}, write)
    file = log_of_job(stage, tmp_path)
    file.parent.mkdir(parents=True)
    jobs = Slurm(Placement(cluster="slurm"), lambda stage, gpus: Needs())
    commands("sbatch", "#!/bin/sh\nexit 1\n")
    commands("squeue", "#!/bin/sh\nprintf '%s' '12 other'")
    jobs.ids(set())
    jobs.names.add("other")
    with pytest.raises(SettingError, match="sbatch refuses the job stage-"):
        jobs.attempt(stage, Needs(), file, [str(tmp_path), [], b""])
    (name,) = jobs.names - {"other"}
    commands(
        "squeue",
        f"#!/bin/sh\nif mv {{folder}}/seen {{folder}}/gone 2>/dev/null; then :; else touch {{folder}}/seen; echo '12 {name}'; fi",
    )
    (file.parent / "12_0_result.pkl").write_bytes(pickle.dumps(("success", DataError("found"))))
    jobs.next_look = 0.0
    error = jobs.attempt(stage, Needs(), file, [str(tmp_path), [], b""])
    assert isinstance(error, DataError) and str(error) == "found"


def test_a_queue_that_does_not_answer_is_an_error_at_first_and_then_waited_for(
    commands: Callable[[str, str], None], tmp_path: Path
) -> None:
    commands("squeue", "#!/bin/sh\necho 'squeue: error: no controller' >&2; exit 1\n")
    jobs = Slurm(Placement(cluster="slurm"), lambda stage, gpus: Needs())
    with pytest.raises(SettingError, match=r"squeue fails \(squeue: error: no controller\)"):
        jobs.ids({"name"})
    jobs.queue, jobs.next_look = [["3", "name"]], 0.0
    assert jobs.ids({"name"}) == ["3"], "its jobs are there as before"


# --- options ----------------------------------------------------------------------------------------------------------


def test_a_cluster_has_more_jobs_at_once_than_a_machine() -> None:
    assert Placement(cluster="ray").jobs == JOBS_IN_QUEUE
    assert Placement(cluster="ray", jobs=3).jobs == 3
    with pytest.raises(SettingError, match="unknown cluster 'slum': did you mean 'slurm'"):
        Placement(cluster="slum")
    with pytest.raises(SettingError, match="--cluster-option is about jobs of a cluster"):
        Placement(cluster_options=("partition=gpu",))


def test_many_stages_start_in_the_order_of_the_chains_behind_them(tmp_path: Path) -> None:
    """A wide tree of some hundreds: each stage once, after its inputs, the long chain first."""
    chain = [Step("chain-0", 1, {}, write)]
    for number in range(1, 20):
        chain.append(Step(f"chain-{number}", 1, {}, write, {"x": chain[-1]}))
    wide = [Step(f"wide-{number}", 1, {"n": number}, write) for number in range(100)]
    started: list[str] = []
    lock = threading.Lock()

    def note(event: str, stage: Stage) -> None:
        with lock:
            started.extend([stage.name] if event == "running" else [])

    pipeline.run([*wide, chain[-1]], tmp_path, on_event=note, workers=AtOnce(), jobs=2)
    assert sorted(started) == sorted(stage.name for stage in (*wide, *chain))
    assert [name for name in started if name.startswith("chain")] == [stage.name for stage in chain]
    assert started.index("chain-18") < started.index("wide-60"), "the chain is not left for the end"
