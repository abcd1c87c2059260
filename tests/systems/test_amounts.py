"""Trainings of few steps: when something is said, and whether the settings that are named give what they say."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from own_data import write_own_data
from qalign.cli import app
from qalign.systems.amounts import advice
from qalign.training.config import FEW_STEPS, TrainingConfig


@pytest.mark.parametrize("examples", [1, 7, 60, 240, 1000])
@pytest.mark.parametrize("config", [TrainingConfig(), TrainingConfig(epochs=1, global_batch_size=32, max_steps=3)])
def test_the_settings_that_are_named_give_the_steps_that_are_said(examples: int, config: TrainingConfig) -> None:
    line = advice(config, "response-alignment", examples)
    assert line is not None
    assert f"takes only {config.steps(examples)} optimizer step" in line
    named = {name: int(value) for name, value in re.findall(r"--set response-alignment\.(\w+)=(\d+)", line)}
    steps = replace(config, **named).steps(examples)
    assert f"{steps} steps with --set" in line
    assert 150 <= steps <= 260


def test_nothing_is_said_of_enough_steps_or_of_a_limit_that_was_asked_for() -> None:
    config = TrainingConfig(epochs=1, global_batch_size=1)
    assert advice(config, "stage", FEW_STEPS) is None
    assert advice(config, "stage", FEW_STEPS - 1) is not None
    assert advice(replace(config, max_steps=5), "stage", 1000) is None
    assert advice(config, "stage", 0) is None


def test_plan_and_run_say_it_of_a_users_own_rows(tmp_path: Path) -> None:
    data = write_own_data(tmp_path / "data", ("de",))
    words = ["monoreason", "--base", "tiny", "--scale", "sample", "--languages", "de", "--runs", str(tmp_path / "runs"),
             *data.options("questions", "english", "test"), "--set", "training.max_length=200",
             "--set", "generation.max_new_tokens=4"]  # fmt: skip
    plan, run = (CliRunner().invoke(app, [verb, *words], catch_exceptions=False) for verb in ("plan", "run"))
    says = "response-alignment takes only 2 optimizer steps, few to learn from"
    assert (plan.exit_code, run.exit_code) == (0, 0)
    assert says in plan.stdout.replace("\n", " ")
    assert run.stderr.count(says) == 1
    assert "Few optimizer steps to learn from: response-alignment 2." in " ".join(run.stdout.split())
    again = CliRunner().invoke(app, ["run", *words], catch_exceptions=False)
    assert says not in again.stderr
    quiet = CliRunner().invoke(app, ["run", *words, "--seed", "2", "--quiet"], catch_exceptions=False)
    assert (quiet.exit_code, quiet.stderr) == (0, "")
