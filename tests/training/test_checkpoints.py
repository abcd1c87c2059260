"""Checkpoints that were damaged are noticed and left out; those that were planted run no code. Either way the weights at the
end are those of a training that nothing disturbed, bit for bit."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from qalign import fingerprints
from qalign.errors import QAlignError
from qalign.progress import Bar
from qalign.training import checkpoints, loop, manifest
from qalign.training.checkpoints import Checkpoints
from qalign.training.launch import job_from_json, job_to_json, launch
from qalign.training.loop import Job

CHECKPOINT = [
    "manifest.json",
    "metrics.jsonl",
    "model.safetensors",
    "optimizer.bin",
    "progress.json",
    "random-00000.safetensors",
]
TOKENS = ["counts.json", "ids.npy", "manifest.json", "prompt_tokens.npy", "starts.npy"]
EARLIER = [
    "custom_checkpoint_0.pkl",
    "random_states_0.pkl",
    "pytorch_model.bin",
    "scheduler.bin",
    "sampler.bin",
    "scaler.pt",
]
"""What earlier versions left in a checkpoint, or accelerate would have read there."""


def interrupt(job: Job, steps: int) -> None:
    """Trains up to the report of a step and breaks off."""

    class Interrupted(Exception):
        pass

    def breaks(bar: Bar, amount: int, text: str = "") -> None:
        bar.done += amount
        if bar.done >= steps:
            raise Interrupted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bar, "advance", breaks)
        with pytest.raises(Interrupted):
            launch(job)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Made once for this file: the scratch folder of a training that was interrupted, and the weights of one that was not."""
    return {"folder": tmp_path_factory.mktemp("held")}


@pytest.fixture
def job(make_job: Any, held: dict[str, Any]) -> Job:
    """A training of 30 steps that was interrupted in its last ones, after checkpoints at 10 and 20."""
    config = {"epochs": 3, "max_steps": 30}
    if "weights" not in held:
        undisturbed = make_job("undisturbed", **config)
        launch(undisturbed)
        held["weights"], held["rows"] = outcome(undisturbed)
        interrupted = make_job("interrupted", {"seconds_per_checkpoint": 0.0}, **config)
        interrupt(interrupted, 30)
        shutil.copytree(interrupted.scratch, held["folder"] / "scratch")
    made: Job = make_job("run", {"seconds_per_checkpoint": 0.0}, **config)
    shutil.copytree(held["folder"] / "scratch", made.scratch, dirs_exist_ok=True)
    return made


def outcome(job: Job) -> tuple[bytes, list[dict[str, Any]]]:
    """The trained weights, and the metrics without their times."""
    rows = [json.loads(line) for line in (job.output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in rows:
        del row["tokens_per_second"]
    return (job.output / "model.safetensors").read_bytes(), rows


def assert_ends_as_undisturbed(job: Job, held: dict[str, Any]) -> None:
    launch(job)
    weights, rows = outcome(job)
    assert rows == held["rows"]
    assert weights == held["weights"]


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def removed(path: Path) -> None:
    path.unlink()


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3] ^= 4
    path.write_bytes(content)


def linked(path: Path) -> None:
    path.rename(path.parents[2] / path.name)
    path.symlink_to(path.parents[2] / path.name)


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES = [cut, emptied, removed, flipped, linked, piped]
Damage = Callable[[Path], None]


# --- what a checkpoint holds ------------------------------------------------------------------------------------------


def test_the_last_two_checkpoints_are_kept_each_with_its_manifest(job: Job) -> None:
    assert sorted(path.name for path in job.scratch.glob("step-*")) == ["step-000000010", "step-000000020"]
    for checkpoint in job.scratch.glob("step-*"):
        assert sorted(path.name for path in checkpoint.iterdir()) == CHECKPOINT
        assert manifest.fault(checkpoint) is None
    assert sorted(path.name for path in (job.scratch / loop.TOKENS).iterdir()) == TOKENS


def test_a_job_comes_back_from_json(job: Job) -> None:
    assert job_from_json(job_to_json(job)) == job
    for change in ({"config": None}, {"title": 1}, {"placement": {"device": 3}}):
        with pytest.raises(ValueError, match="Expected"):
            job_from_json(json.dumps({**json.loads(job_to_json(job)), **change}))


def test_every_block_of_a_file_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "BLOCK", 16)
    path, found = tmp_path / "file", set()
    for content in (b"", b"\0" * 16, b"\0" * 17, b"\0" * 32, b"\0" * 31 + b"\1", b"\1" + b"\0" * 31):
        path.write_bytes(content)
        found.add(fingerprints.block_sha256(path))
    assert len(found) == 6


# --- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", CHECKPOINT)
def test_any_damage_to_a_checkpoint_is_noticed_and_said_in_one_line(
    job: Job, capsys: pytest.CaptureFixture[str], name: str, damage: Damage
) -> None:
    damage(job.scratch / "step-000000020" / name)
    found = checkpoints.latest(job.scratch, manifest.digest(job.scratch / loop.TOKENS))
    assert found == job.scratch / "step-000000010"
    (line,) = capsys.readouterr().err.splitlines()
    assert line[9:].startswith("the checkpoint step-000000020 was removed, for ") and name in line
    assert line.endswith("; training goes on from step-000000010")
    assert not (job.scratch / "step-000000020").exists()


def test_a_flipped_bit_is_noticed_wherever_it_is(job: Job) -> None:
    for name in ("manifest.json", "progress.json"):
        path = job.scratch / "step-000000020" / name
        whole = path.read_bytes()
        for place in range(len(whole)):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << place % 8
            path.write_bytes(damaged)
            assert manifest.fault(path.parent) is not None
        path.write_bytes(whole)
        assert manifest.fault(path.parent) is None


@pytest.mark.parametrize(("name", "damage"), [*zip(CHECKPOINT, DAMAGES, strict=True), ("optimizer.bin", emptied)])
def test_training_goes_on_from_the_checkpoint_before_a_damaged_one(
    job: Job, held: dict[str, Any], name: str, damage: Damage
) -> None:
    damage(job.scratch / "step-000000020" / name)
    assert_ends_as_undisturbed(job, held)


def test_without_a_good_checkpoint_training_begins_from_the_beginning(
    job: Job, held: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    flipped(job.scratch / "step-000000010" / "model.safetensors")
    removed(job.scratch / "step-000000020" / "manifest.json")
    assert_ends_as_undisturbed(job, held)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "checkpoint" in line]
    assert line.endswith("; training begins from the beginning")


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", TOKENS)
def test_damaged_tokens_are_made_again(
    job: Job,
    held: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    damage: Damage,
) -> None:
    damage(job.scratch / loop.TOKENS / name)
    if (name, damage) in zip(TOKENS, DAMAGES, strict=False):
        assert_ends_as_undisturbed(job, held)
    else:
        monkeypatch.setattr(Checkpoints, "resume", lambda _: pytest.skip("the tokens are made again by now"))
        with pytest.raises(pytest.skip.Exception):
            launch(job)
    assert manifest.fault(job.scratch / loop.TOKENS) is None
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "tokenized" in line]
    assert name in line and "are made again" in line


def test_damaged_metrics_beside_the_checkpoints_change_nothing(job: Job, held: dict[str, Any]) -> None:
    flipped(job.scratch / "metrics.jsonl")
    assert_ends_as_undisturbed(job, held)


def test_a_checkpoint_of_other_examples_is_not_gone_on_from(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    assert checkpoints.latest(job.scratch, "0" * 64) is None
    assert "it belongs to other examples" in capsys.readouterr().err


@pytest.mark.slow
def test_several_processes_go_on_from_the_same_good_checkpoint(
    job: Job, make_job: Any, held: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    flipped(job.scratch / "step-000000020" / "model.safetensors")
    several = make_job("run", {"processes": 2}, epochs=3, max_steps=30)
    launch(several)
    _, rows = outcome(several)
    assert [row["loss"] for row in rows] == pytest.approx([row["loss"] for row in held["rows"]], abs=1e-4)
    lines = [line for line in capfd.readouterr().err.splitlines() if "was removed" in line]
    assert len(lines) == 1 and lines[0].endswith("; training goes on from step-000000010")


# --- what is planted --------------------------------------------------------------------------------------------------


class Evil:
    """What `pickle.load` would make a call of `os.system` of."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.proof}",)


def test_the_planted_object_would_run_code(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Evil(tmp_path / "proof")))
    assert (tmp_path / "proof").exists()


def told(job: Job) -> str:
    """What a training says that is refused; nothing if it ends well."""
    try:
        launch(job)
    except QAlignError as error:
        return str(error)
    return ""


def plant(folder: Path, names: list[str], proof: Path, zipped: bool = False) -> None:
    """Puts the evil object into files, as pickle or as torch saves it, and writes their hashes as a planter would."""
    for name in names:
        torch.save(Evil(proof), folder / name) if zipped else (folder / name).write_bytes(pickle.dumps(Evil(proof)))
    if manifest.MANIFEST not in names:
        (folder / manifest.MANIFEST).unlink()
        manifest.seal(folder)


@pytest.mark.parametrize(
    ("names", "zipped"),
    [*(([name], False) for name in CHECKPOINT), (["optimizer.bin"], True), (EARLIER, False), (EARLIER, True)],
    ids=str,
)
def test_no_file_of_a_checkpoint_runs_code_even_with_its_hash(
    job: Job, tmp_path: Path, names: list[str], zipped: bool
) -> None:
    for checkpoint in job.scratch.glob("step-*"):
        plant(checkpoint, names, tmp_path / "proof", zipped)
    said = told(job)
    assert not (tmp_path / "proof").exists()
    assert "\n" not in said
    assert not said or str(job.scratch) in said


@pytest.mark.parametrize("name", TOKENS)
def test_no_file_of_the_tokens_runs_code_even_with_its_hash(job: Job, tmp_path: Path, name: str) -> None:
    plant(job.scratch / loop.TOKENS, [name], tmp_path / "proof")
    said = told(job)
    assert not (tmp_path / "proof").exists()
    assert "\n" not in said
    assert not said or str(job.scratch / loop.TOKENS) in said


def test_a_checkpoint_of_an_earlier_version_is_left_out_with_a_line(
    job: Job, held: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for checkpoint in job.scratch.glob("step-*"):
        (checkpoint / manifest.MANIFEST).unlink()
        (checkpoint / "custom_checkpoint_0.pkl").write_bytes(pickle.dumps(Evil(tmp_path / "proof")))
    assert_ends_as_undisturbed(job, held)
    assert "manifest.json is missing; training begins from the beginning" in capsys.readouterr().err
    assert not (tmp_path / "proof").exists()
