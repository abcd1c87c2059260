"""A run says how far it is, and where an interrupted stage goes on: never from a checkpoint that was not written."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qalign import pipeline
from qalign.generation.run import KEPT
from qalign.pipeline.stage_record import SCRATCH
from qalign.placement import Placement
from qalign.systems import SCALES, Study
from qalign.systems.bases import training_stages
from qalign.systems.comparison import compare
from qalign.systems.evaluated import Evaluated
from qalign.systems.running import StageLines

PLACEMENT = Placement(jobs=2, seconds_per_checkpoint=60.0)


@pytest.fixture
def comparison(tmp_path: Path) -> list[Evaluated]:
    return compare(Study(base_name="world", scale=SCALES["toy"], runs=tmp_path), ["monoreason", "multireason"])


def scratch_of(stage: pipeline.Node, runs: Path) -> Path:
    folder = stage.folder(runs)
    scratch = folder.with_name(folder.name + ".partial") / SCRATCH
    scratch.mkdir(parents=True)
    return scratch


def test_lines_count_stages_and_name_their_systems(
    comparison: list[Evaluated], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = pipeline.needed([score for system in comparison for score in system.scores.values()], tmp_path)
    lines = StageLines(comparison, tmp_path, PLACEMENT, stages)
    lines.opening()
    (training,) = training_stages(comparison[0].model)
    problems = next(iter(comparison[0].scores.values())).problems
    for stage in (problems, training):
        lines.report("running", stage)
        lines.report("finished", stage)
    lines.closing()
    said = [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    total = len(stages)
    assert said == [
        f"{total} stages to run for MonoReason, MultiReason, 2 at once",
        f"start: {problems.folder_name} (1 of {total}; for all systems)",
        f"done: {problems.folder_name} (0 s)",
        f"start: {training.folder_name} (2 of {total}; for MonoReason)",
        f"done: {training.folder_name} (0 s)",
        "all stages are done, after 0 s",
    ]


def test_a_training_goes_on_from_a_checkpoint_alone(
    comparison: list[Evaluated], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (training,) = training_stages(comparison[0].model)
    lines = StageLines(comparison, tmp_path, PLACEMENT, [training])
    scratch = scratch_of(training, tmp_path)
    (scratch / "tokens").mkdir()
    lines.report("resuming", training)
    assert f"start: {training.folder_name}" in capsys.readouterr().err, "tokens are no checkpoint"
    with pytest.raises(KeyboardInterrupt), lines.interruptions_in_words():
        raise KeyboardInterrupt
    assert capsys.readouterr().err == (
        f"qalign: {training.folder_name} begins again: no checkpoint was written yet, one is every 1 min\n"
    )
    for step in (90, 1200):
        (scratch / f"step-{step:09d}").mkdir()
    lines.report("resuming", training)
    assert f"go on: {training.folder_name} (from step 1,200;" in capsys.readouterr().err


def test_answers_are_gone_on_with_where_there_are_some(comparison: list[Evaluated], tmp_path: Path) -> None:
    asked = next(iter(comparison[0].scores.values())).answers
    scratch = scratch_of(asked, tmp_path)
    assert pipeline.resume_point(asked, tmp_path) == ""
    (scratch / KEPT).write_text('{"settings": 1}\n')
    assert pipeline.resume_point(asked, tmp_path) == ""
    (scratch / KEPT).write_text('{"settings": 1}\n[]\n')
    assert pipeline.resume_point(asked, tmp_path) == "with the answers that it has"


def test_sigterm_ends_a_run_with_words(tmp_path: Path) -> None:
    """And `plan` knows meanwhile which stage is running."""
    command = [sys.executable, "-m", "qalign"]
    what = ["monoreason", "--base", "world", "--scale", "toy", "--limit", "2", "--jobs", "1", "--runs", "runs"]
    run = [*command, "run", *what, "--tracker", "none", "--device", "cpu"]
    process = subprocess.Popen(run, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("runs/stages/train-*.partial/scratch/metrics.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.1)
    planned = subprocess.run(
        [*command, "plan", *what[:-4], "--runs", "runs"], cwd=tmp_path, capture_output=True, text=True
    )
    os.kill(process.pid, signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "qalign: interrupted; give the same command again to go on"
    assert "response-alignment for MonoReason ends after this step and a checkpoint" in err
    assert re.search(r"train-response-alignment-\w+ goes on from step \d+\n", err), err
    assert " running     train-response-alignment-" in planned.stdout
    after = subprocess.run(
        [*command, "plan", *what[:-4], "--runs", "runs"], cwd=tmp_path, capture_output=True, text=True
    )
    assert " interrupted train-response-alignment-" in after.stdout
