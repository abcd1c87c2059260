"""What trackers hold after a training and after a run, read back from their own files. None of them gets a network.

`make test` has TensorBoard; `make test-trackers` has the others too.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from accelerate import tracking
from typer.testing import CliRunner

from own_data import TWO_LANGUAGES, OwnData
from qalign.cli import app
from qalign.training.checkpoints import Checkpoints
from qalign.training.launch import launch
from qalign.training.loop import Job
from qalign.training.reports import Reports

MakeJob = Callable[..., Job]
# trackio reads it when it is imported, so all tests share it, and each has groups of its own.
os.environ["TRACKIO_DIR"] = tempfile.mkdtemp()


@dataclass
class Run:
    """What a tracker holds of a run."""

    name: str
    group: str | None
    config: dict[str, Any]
    points: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    """Metric -> all steps and values that it got, in order."""

    def add(self, values: dict[str, Any], step: int) -> None:
        for name, value in values.items():
            self.points.setdefault(name, []).append((step, float(value)))


def of_tensorboard(place: Path, group: str) -> list[Run]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    runs = []
    for folder in sorted({path.parent for path in (place / "logs" / group).rglob("*tfevents*")}):
        events = EventAccumulator(str(folder), {"scalars": 0}, purge_orphaned_data=False).Reload()
        plugin = HParamsPluginData.FromString(
            events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
        )
        values = {
            name: getattr(value, value.WhichOneof("kind")) for name, value in plugin.session_start_info.hparams.items()
        }
        run = Run(f"{group}/{folder.relative_to(place / 'logs' / group)}", group, values)
        for tag in events.Tags()["scalars"]:
            for point in events.Scalars(tag):
                run.add({tag: point.value}, point.step)
        runs.append(run)
    return runs


def of_wandb(place: Path, group: str) -> list[Run]:
    """The runs by their id: one that was resumed has several files."""
    from wandb.proto.wandb_internal_pb2 import Record

    runs: dict[str, Run] = {}
    for file in sorted(place.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime):
        current: Run | None = None
        for content in records_of_log(file.read_bytes()):
            record = Record.FromString(content)
            if record.WhichOneof("record_type") == "run" and current is None:
                values = {item.key: json.loads(item.value_json) for item in record.run.config.update}
                current = runs.setdefault(
                    record.run.run_id, Run(record.run.display_name, record.run.run_group or None, values)
                )
            elif record.WhichOneof("record_type") == "history" and current is not None:
                row = {
                    (item.key or "/".join(item.nested_key)): json.loads(item.value_json) for item in record.history.item
                }
                step = int(row["_step"])
                current.add({name: value for name, value in row.items() if not name.startswith("_")}, step)
    return [run for run in runs.values() if run.group == group]


def records_of_log(content: bytes) -> Iterator[bytes]:
    """The records of a file in LevelDB's log format, behind wandb's header of 7 bytes."""
    block, place, parts = 32768, 7, b""
    while place + 7 <= len(content):
        if block - place % block < 7:
            place += block - place % block
            continue
        size, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        parts = (b"" if kind in (1, 2) else parts) + content[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):
            yield parts


def of_mlflow(place: Path, group: str) -> list[Run]:
    from mlflow import MlflowClient

    client = MlflowClient()
    (experiment,) = [one.experiment_id for one in client.search_experiments() if one.name == "qalign"]
    runs = []
    for one in client.search_runs([experiment]):
        run = Run(one.info.run_name, one.data.tags.get("group"), one.data.params)
        for name in one.data.metrics:
            for point in client.get_metric_history(one.info.run_id, name):
                run.add({name: point.value}, point.step)
        runs.append(run)
    return [run for run in runs if run.group == group]


def of_trackio(place: Path, group: str) -> list[Run]:
    runs: dict[str, Run] = {}
    with sqlite3.connect(Path(os.environ["TRACKIO_DIR"]) / "qalign.db") as base:
        for key, name, config in base.execute("select run_id, run_name, config from configs"):
            values = json.loads(config)
            runs[key] = Run(name, values["_Group"], values)
        for key, step, metrics in base.execute("select run_id, step, metrics from metrics order by id"):
            runs[key].add(json.loads(metrics), step)
    return [run for run in runs.values() if run.group == group]


READERS = {"tensorboard": of_tensorboard, "wandb": of_wandb, "mlflow": of_mlflow, "trackio": of_trackio}


@pytest.fixture(params=READERS)
def tracker(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    pytest.importorskip(name, reason=f"{name} is not installed: make test-trackers")
    for variable, value in {
        "WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "WANDB_SILENT": "true",
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
    }.items():  # fmt: skip
        monkeypatch.setenv(variable, value)
    forget(name)
    return name


def forget(tracker: str) -> None:
    """Has a tracker read its environment again."""
    if tracker == "wandb":
        import wandb

        wandb.teardown()
    if tracker == "mlflow":
        import mlflow

        mlflow.set_tracking_uri(None)


def metrics(job: Job) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (job.output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def break_off(job: Job, step: int) -> None:
    """Trains up to a step and breaks off behind its report, before its checkpoint."""

    class Broken(Exception):
        pass

    original = Checkpoints.save_if_due

    def saving(self: Checkpoints, at_once: bool = False) -> bool:
        if self.trainer.progress.step == step:
            raise Broken
        return original(self, at_once)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "save_if_due", saving)
        with pytest.raises(Broken):
            launch(job)


def test_a_resumed_training_goes_on_in_its_run(make_job: MakeJob, tmp_path: Path, tracker: str) -> None:
    """Its checkpoint lies before the last step that was reported, twice: no point is doubled, none is missing."""
    place = {
        "trackers": (tracker,), "seconds_per_checkpoint": 0.0,
        "systems": {"run": {"mine": "Mine", "qalign-mixed": "QAlign (mixed)"}},
    }  # fmt: skip
    job = make_job(placement=place, epochs=3, max_steps=21)
    break_off(job, 20)
    assert sorted(path.name for path in job.scratch.glob("step-*")) == ["step-000000010"]
    break_off(job, 20)
    launch(job)
    (run,) = READERS[tracker](tmp_path, "mine")
    assert run.name == "mine/run"
    rows = metrics(job)
    assert len(rows) == 21
    for name in ("loss", "learning_rate", "gradient_norm"):
        steps, values = zip(*run.points[name], strict=True)
        assert list(steps) == list(range(1, 22))
        assert values == pytest.approx([row[name] for row in rows], rel=1e-5)
    assert float(run.config["learning_rate"]) == job.config.learning_rate
    assert int(run.config["max_steps"]) == 21 and run.config["precision"] == "float32"
    assert run.config["systems"] == "mine, qalign-mixed"


def qalign_run(data: OwnData, runs: Path, *words: str) -> Any:
    """A run of two systems that share their first training; everything about it is small."""
    sizes = ("vocabulary=400", "hidden_size=32", "layers=1", "heads=2", "intermediate_size=64")
    small = [*(f"tiny.{size}" for size in sizes), "training.max_steps=1", "generation.max_new_tokens=4"]
    given = data.options("questions", "multilingual", "english", "test")
    settings = [word for text in small for word in ("--set", text)]
    command = [
        "run",
        "qalign-mixed",
        "qalign-mono",
        *TWO_LANGUAGES,
        "--device",
        "cpu",
        *given,
        *settings,
        "--runs",
        str(runs),
        *words,
    ]
    return CliRunner().invoke(app, command, catch_exceptions=False)


def test_scores_stand_in_the_group_of_their_system(own_data: OwnData, tmp_path: Path, tracker: str) -> None:
    result = qalign_run(own_data, tmp_path, "--tracker", tracker)
    assert result.exit_code == 0, result.stderr
    assert "* " not in result.stdout, "what a tracker prints is no result"
    (file,) = tmp_path.glob("results/*/results.json")
    for _ in range(2):
        content = json.loads(file.read_text(encoding="utf-8"))
        for system in ("qalign-mono", "qalign-mixed"):
            runs = {run.name: run for run in READERS[tracker](tmp_path, system)}
            scores = runs.pop(f"{system}/{file.parent.name}")
            expected = {
                f"{benchmark}/{code}": [(1, pytest.approx(score["accuracy"]["strict"], rel=1e-5))]
                for benchmark, by_code in content["systems"][system].items()
                for code, score in by_code.items()
            }
            assert scores.points == expected and "test/de" in str(expected)
            assert scores.config["base"] == "tiny" and scores.config["systems"] == system
            # A training that systems share is in the group of the first of them.
            own = [one["folder"] for one in content["trained_on"][system]]
            others = [one["folder"] for one in content["trained_on"]["qalign-mixed"]] if system == "qalign-mono" else []
            assert set(runs) == {f"{system}/{folder}" for folder in own if folder not in others}
        assert qalign_run(own_data, tmp_path, "--tracker", tracker).exit_code == 0  # it reports nothing twice


# --- trackers that fail -----------------------------------------------------------------------------------------------


def test_a_tracker_that_fails_loses_no_training(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a row, and at its end; another one goes on. No training without a tracker has other weights."""
    plain = make_job("plain", max_steps=20)
    launch(plain)

    class Failing(tracking.GeneralTracker):  # type: ignore[misc]
        name = "comet_ml"
        requires_logging_directory = False
        tracker = None

        def __init__(self, project: str) -> None:
            super().__init__()

        def store_init_configuration(self, values: dict[str, Any]) -> None:
            pass

        def log(self, values: dict[str, Any], step: int) -> None:
            if step > 12:
                raise ConnectionError("no route to\x1b[31m the host")

        def finish(self) -> None:
            raise ConnectionError("still none")

    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "comet_ml", Failing)
    job = make_job("failing", placement={"trackers": ("comet_ml", "tensorboard")}, max_steps=20)
    launch(job)
    said = capsys.readouterr().err.splitlines()
    ends = "; qalign/failing goes on without it"
    assert said == [
        f"qalign: the tracker comet_ml cannot be used ({reason}){ends}"
        for reason in (r"no route to\x1b[31m the host", "still none")
    ]
    assert (job.output / "model.safetensors").read_bytes() == (plain.output / "model.safetensors").read_bytes()
    (run,) = of_tensorboard(tmp_path, "qalign")
    assert [step for step, _ in run.points["loss"]] == list(range(1, 21))


def test_a_tracker_that_cannot_be_used_is_refused_before_anything_is_made(
    own_data: OwnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Locked(tracking.GeneralTracker):  # type: ignore[misc]
        name = "comet_ml"
        requires_logging_directory = False

        def __init__(self, project: str) -> None:
            raise ValueError("api_key not configured")

    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "comet_ml", Locked)
    monkeypatch.setitem(sys.modules, "comet_ml", ModuleType("comet_ml"))
    result = qalign_run(own_data, tmp_path, "--tracker", "comet_ml")
    assert result.exit_code == 2
    assert result.stderr == (
        "qalign: error: the tracker comet_ml cannot be used (api_key not configured); see to its key and server, or name "
        "another with --tracker\n"
    )
    assert not (tmp_path / "stages").exists()


def test_wandb_without_a_key_is_refused(own_data: OwnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed: make test-trackers")
    for variable in ("WANDB_MODE", "WANDB_API_KEY", "NETRC"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    forget("wandb")
    result = qalign_run(own_data, tmp_path, "--tracker", "wandb")
    assert result.exit_code == 2 and "the tracker wandb cannot be used (" in result.stderr
    assert not (tmp_path / "stages").exists()


def test_only_the_main_process_reports(make_job: MakeJob, tmp_path: Path) -> None:
    launch(make_job(placement={"trackers": ("tensorboard",), "processes": 2}, max_steps=3))
    (run,) = of_tensorboard(tmp_path, "qalign")
    assert [step for step, _ in run.points["loss"]] == [1, 2, 3]


def test_what_was_reported_is_no_part_of_a_stage(tmp_path: Path) -> None:
    """A file that was damaged begins new runs; a group's name leads to no other folder."""
    from qalign.placement import Placement

    kept = tmp_path / "trackers.json"
    kept.write_text('{"tensorboard": "nothing"}', encoding="utf-8")
    reports = Reports(Placement(runs=tmp_path / "runs", trackers="tensorboard"), ["../../up"], "run", {}, kept)
    reports.report([{"step": 1, "loss": 1.0}])
    reports.close()
    assert [path.name for path in tmp_path.iterdir()] == ["trackers.json", "runs"]
    assert list(json.loads(kept.read_text(encoding="utf-8"))) == ["tensorboard"]
