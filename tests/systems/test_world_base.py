"""The world's base: its text is the same on any number of cores, and its training goes on after a kill to the same weights."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from qalign import pipeline
from qalign.errors import SettingError
from qalign.languages import STUDY
from qalign.pipeline import Work
from qalign.placement import Placement
from qalign.systems import SCALES, Study, world
from qalign.systems.bases import MakeTinyModel
from qalign.systems.study import study
from qalign.world import VERSION
from qalign.world.text import CHUNK, SUMS, WORKED, documents


def text(documents: int, sums: float = SUMS) -> world.WriteText:
    return world.WriteText(
        name="text", revision="world", languages=tuple(STUDY), documents=documents, sums=sums, worked=WORKED
    )


def written(stage: world.WriteText, folder: Path, quiet: bool = True) -> Path:
    folder.mkdir(parents=True)
    stage.run(Work(folders={}, output=folder, scratch=folder, placement=Placement(runs=folder, quiet=quiet)))
    return folder


def test_it_is_the_same_on_any_number_of_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = []
    for cores in (1, 3):
        monkeypatch.setattr(world, "cores", lambda cores=cores: cores)
        files.append((written(text(2 * CHUNK + 7), tmp_path / str(cores)) / "examples.jsonl").read_bytes())
    assert files[0] == files[1]
    rows = [json.loads(line) for line in files[0].splitlines()]
    assert [row["id"] for row in rows] == [str(place) for place in range(2 * CHUNK + 7)]
    assert [row["response"] for row in rows] == [one.text for one in documents(2 * CHUNK + 7, STUDY)]
    mixture = json.loads((tmp_path / "3" / "mixture.json").read_text())
    assert {row["language"]: row["examples"] for row in mixture} == Counter(row["language"] for row in rows)
    assert sum(row["utf8_bytes"] for row in mixture) == sum(len(row["response"].encode()) for row in rows)


def test_fewer_are_its_beginning(tmp_path: Path) -> None:
    few, many = (written(text(count), tmp_path / str(count)) / "examples.jsonl" for count in (30, CHUNK + 30))
    assert many.read_bytes().startswith(few.read_bytes())


def test_shares_are_part_of_its_identity_and_of_the_text() -> None:
    assert text(100).fingerprint != text(100, sums=0.0).fingerprint
    kinds = Counter(one.kind for one in documents(2_000, ["en"], sums=0.5, worked=0.0))
    assert 0.45 < kinds["sums"] / 2_000 < 0.55
    assert not kinds["worked"]
    with pytest.raises(SettingError, match="0 to 1 together"):
        next(documents(1, ["en"], sums=0.9, worked=0.2))


def test_a_gpu_gets_larger_batches() -> None:
    study = Study(base_name="world", scale=SCALES["toy"], runs=Path("runs"))
    small, large = (world.world_base(study, 100, device).training for device in ("cpu", "cuda"))
    assert small.global_batch_size < large.global_batch_size
    assert (small.precision, large.precision) == ("float32", "bfloat16")


def test_settings_change_text_shape_and_training() -> None:
    settings = {"text.sums": "0.01", "tiny.layers": "2", "training.learning_rate": "0.001"}
    stage = world.world_base(study(settings=settings), 100, "cpu")
    assert isinstance(stage.examples, world.WriteText)
    assert isinstance(stage.model, MakeTinyModel)
    assert (stage.examples.sums, stage.model.tiny.layers, stage.training.learning_rate) == (0.01, 2, 0.001)
    with pytest.raises(SettingError, match="no stage 'txt'"):
        world.world_base(study(settings={"txt.sums": "0.01"}), 100, "cpu")


@pytest.mark.slow
def test_after_a_kill_it_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    """Killed in the middle of training, between two checkpoints; then asked for again."""
    environment: Mapping[str, str] = {**os.environ, "OMP_NUM_THREADS": "1"}

    def command(runs: str) -> list[str]:
        words = ["--documents", "1600", "--processes", "1", "--device", "cpu", "--runs", str(tmp_path / runs)]
        return [sys.executable, "-m", "qalign", "world", "base", str(tmp_path / f"{runs}-base"), *words]

    subprocess.run([*command("whole"), "--quiet"], check=True, env=environment)
    # Two tokenizers of one text are the same; what is made once need not be made again.
    stages = tmp_path / "whole" / "stages"
    (tmp_path / "killed" / "stages").mkdir(parents=True)
    for folder in stages.iterdir():
        if folder.is_dir() and not folder.name.startswith("train-"):
            shutil.copytree(folder, tmp_path / "killed" / "stages" / folder.name)
    process = subprocess.Popen([*command("killed"), "--seconds-per-checkpoint", "0"], env=environment)
    while not list((tmp_path / "killed" / "stages").glob("train-*.partial/scratch/step-*")):
        assert process.poll() is None, "it ended before its first checkpoint"
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run([*command("killed"), "--quiet"], check=True, env=environment)
    weights = [(tmp_path / f"{runs}-base" / "model.safetensors").read_bytes() for runs in ("whole", "killed")]
    assert weights[0] == weights[1]
    assert "--documents 1600" in (tmp_path / "whole-base" / "README.md").read_text(encoding="utf-8")


def test_stages_of_an_older_world_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A corpus that was read when the world had another version."""
    study = Study(base_name="world", scale=SCALES["toy"], runs=tmp_path)
    monkeypatch.setattr("qalign.world.VERSION", VERSION - 1)
    old = study.corpus("english", "world-gsm8k")
    pipeline.run([old], tmp_path, Placement(runs=tmp_path, quiet=True))
    monkeypatch.undo()
    now = study.corpus("english", "world-gsm8k")
    assert now.source.revision == f"world-{VERSION}"
    assert pipeline.of_earlier_versions([now], tmp_path) == [old.folder_name]
