"""Reinforcement learning as a stage: it learns, refuses what cannot, and goes on after a kill as if nothing had been."""

from __future__ import annotations

import json
import multiprocessing
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import qalign
from qalign import pipeline
from qalign.alignment.augmentation import PROMPTS
from qalign.corpora import CORPORA
from qalign.errors import DataError, ModelError
from qalign.languages import LANGUAGES, as_rows
from qalign.pipeline import Stage, Work
from qalign.placement import Placement
from qalign.records import Example, Problem, write_jsonl
from qalign.results.schema import Trained
from qalign.systems.artifacts import RECORDS, Model, Records
from qalign.systems.bases import ModelOnDisk, training_stages
from qalign.systems.reinforce import Reinforce
from qalign.systems.table import build
from qalign.training.config import METRICS, TrainingConfig
from qalign.training.launch import launch
from qalign.training.loop import Job
from qalign.training.policy import ReinforceConfig

SUMS = [f"{a} + {b}?" for a in (1, 2, 3) for b in (4, 5)]
CONFIG = ReinforceConfig(
    steps=6,
    problems_per_step=3,
    samples=4,
    learning_rate=2e-3,
    max_new_tokens=4,
    probe_problems=6,
    precision="float32",
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Asked(Stage[Records]):
    """Problems of one answer."""

    gold: str | None

    def run(self, work: Work) -> None:
        problems = [Problem(str(n), "en", question, None, self.gold, "sums") for n, question in enumerate(SUMS)]
        write_jsonl(work.output / RECORDS, problems)


MakeModel = Callable[[Sequence[str]], Path]


@pytest.fixture(scope="session")
def answering(base: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """A function that makes a model which answers every sum by one of some digits, each as often."""
    made: dict[tuple[str, ...], Path] = {}

    def make(numbers: Sequence[str]) -> Path:
        key = tuple(numbers)
        if key not in made:
            folder = tmp_path_factory.mktemp("answering")
            rows = [
                Example(f"{question}/{number}", "en", "sums", question, number)
                for question in SUMS
                for number in numbers
            ]
            write_jsonl(folder / "examples.jsonl", rows)
            (folder / "scratch").mkdir()
            config = TrainingConfig(
                epochs=50, max_steps=100, global_batch_size=6, learning_rate=1e-2, precision="float32"
            )
            placement = Placement(runs=folder, device="cpu", trackers=(), quiet=True)
            launch(
                Job(
                    title="sft", model=base, examples=folder / "examples.jsonl", output=folder / "model",
                    scratch=folder / "scratch", config=config, placement=placement,
                )
            )  # fmt: skip
            made[key] = folder / "model"
        return made[key]

    return make


def stage_of(model: Path, gold: str | None = "7", config: ReinforceConfig = CONFIG) -> Reinforce:
    return Reinforce(
        name="train-reinforcement", step="reinforcement", model=ModelOnDisk(name="base", sha256="0", place=model),
        problems=(Asked(name="sums", gold=gold),), reinforce=config, languages=as_rows(["en"], LANGUAGES),
    )  # fmt: skip


def run(stage: Stage[Model], runs: Path, seconds_per_checkpoint: float = 300.0) -> None:
    placement = Placement(
        runs=runs, device="cpu", trackers=(), quiet=True, seconds_per_checkpoint=seconds_per_checkpoint
    )
    pipeline.run([stage], runs, placement)


def test_the_better_answers_become_more_probable(answering: MakeModel, tmp_path: Path) -> None:
    stage = stage_of(answering("78"), config=replace(CONFIG, steps=12, learning_rate=5e-3))
    run(stage, tmp_path)
    summary = stage.open(stage.folder(tmp_path)).summary()
    rewards = summary.rewards
    assert 0.2 < rewards["probe"]["right"] < 0.8
    assert rewards["last steps"]["right"] > max(0.85, rewards["first steps"]["right"])
    assert rewards["last steps"]["reward"] == rewards["last steps"]["right"] * rewards["last steps"]["instruction"]
    assert (summary.steps, summary.examples, stage.hyper_parameters.examples_seen(6)) == (12, 6, 36)
    rows = [json.loads(line) for line in (stage.folder(tmp_path) / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert {"reward", "instruction", "right", "steps", "truncated", "alike", "answer_tokens"} <= rows[0].keys()


@pytest.mark.parametrize(
    ("numbers", "gold", "changes", "said"),
    [
        ("78", "7", {"max_new_tokens": 1}, "reinforcement: 100% of 24 answers .* truncated at 1 tokens"),
        ("78", "99", {}, "reinforcement: none of 24 answers before the first step was right, .* give easier problems"),
        ("7", "7", {"temperature": 0.1}, "none of 24 answers before the first step was wrong, .* give harder problems"),
    ],
)
def test_the_probe_refuses_what_could_not_learn(
    answering: MakeModel, tmp_path: Path, numbers: str, gold: str, changes: dict[str, float], said: str
) -> None:
    stage = stage_of(answering(numbers), gold, replace(CONFIG, **changes))  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=said) as refusal:
        run(stage, tmp_path)
    assert "\n" not in str(refusal.value)
    assert not stage.folder(tmp_path).exists()


def test_problems_without_known_answers_are_refused(answering: MakeModel, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="reinforcement has no problem with a known answer"):
        run(stage_of(answering("78"), None), tmp_path)


def test_the_reference_holds_the_policy_back(answering: MakeModel, tmp_path: Path) -> None:
    near = stage_of(answering("78"), config=replace(CONFIG, steps=12, learning_rate=5e-3, beta=20.0))
    run(near, tmp_path)
    assert near.open(near.folder(tmp_path)).summary().rewards["last steps"]["right"] < 0.75


def test_a_killed_run_ends_in_the_same_weights(answering: MakeModel, tmp_path: Path) -> None:
    """Two real SIGKILLs, at different steps. The attempts are new processes: a fork of one with threads may end by itself."""
    model, quiet, killed = answering("78"), tmp_path / "quiet", tmp_path / "killed"
    stage = stage_of(model)

    def start(runs: Path) -> multiprocessing.process.BaseProcess:
        child = multiprocessing.get_context("spawn").Process(target=run, args=(stage, runs, 0.0))
        child.start()
        return child

    scratches = killed / "stages" / f"{stage.folder_name}.partial"
    for step in (2, 4):
        child = start(killed)
        while not list(scratches.glob(f"**/step-{step:09d}")):
            assert child.is_alive(), f"it ended before step {step}"
            time.sleep(0.01)
        child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL
    for runs in (quiet, killed):
        child = start(runs)
        child.join()
        assert child.exitcode == 0
    for name in ("model.safetensors", "metrics.jsonl"):
        results = [(stage.folder(runs) / name).read_bytes() for runs in (quiet, killed)]
        assert results[0] == results[1], name
    assert (stage.folder(quiet) / "model.safetensors").read_bytes() != (model / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_wizardmath_ends_in_a_table_that_says_what_it_is(tmp_path: Path) -> None:
    """In the world, by the real recipe with fewer steps. A setting reaches the stage."""
    settings = {
        "response-alignment.max_steps": 60, "reinforcement.steps": 2, "reinforcement.samples": 4,
        "reinforcement.problems_per_step": 2, "wizardmath.reinforcement.beta": 0.01,
    }  # fmt: skip
    made = qalign.study(
        base="world", scale="toy", runs=tmp_path, test_languages=["en"], limit=3, test=["world-mgsm"], settings=settings
    )
    results = qalign.run(made, "wizardmath", placement=Placement(trackers=(), quiet=True))
    first, last = results.data.trained_on["wizardmath"]
    assert isinstance(first, Trained) and isinstance(last, Trained)
    assert (first.stage, last.stage, last.steps, last.examples_seen) == ("response-alignment", "reinforcement", 2, 4)
    assert list(last.rewards) == ["probe", "first steps", "last steps"]
    words = "stand-in: the original's data, reward models and PPO settings were never published"
    tables = {table.title: table for table in results.tables()}
    assert words in tables["Results"].note
    assert tables["Rewards"].rows[0][0] == "WizardMath, stand-in: probe"
    stage = next(tmp_path.glob("stages/train-reinforcement-*/training.json"))
    assert json.loads(stage.read_text())["config"]["beta"] == 0.01


def test_answers_that_the_model_has_no_positions_for_are_refused(answering: MakeModel, tmp_path: Path) -> None:
    stage = stage_of(answering("78"), config=replace(CONFIG, max_new_tokens=2000))
    with pytest.raises(ModelError, match=r"positions.*set reinforcement\.max_new_tokens lower"):
        run(stage, tmp_path)


def test_the_published_scale_runs_on_the_published_layout(
    answering: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published count is set aside, and steps, answers and tokens are few. A teacher evolves one problem."""
    import datasets.config

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setitem(CORPORA, "gsm8k", replace(CORPORA["gsm8k"], published={}))
    folder = tmp_path / "data" / "openai" / "gsm8k" / "main"
    folder.mkdir(parents=True)
    card = "---\nconfigs:\n- config_name: main\n  data_files:\n  - split: train\n    path: main/train-*\n---\n"
    (folder.parent / "README.md").write_text(card, encoding="utf-8")
    rows = [{"question": question, "answer": "7\n#### 7"} for question in SUMS]
    datasets.Dataset.from_list(rows).to_parquet(str(folder / "train-00000-of-00001.parquet"))
    write_jsonl(tmp_path / "test.jsonl", [Problem("0", "en", SUMS[0], None, "7", "sums")])
    teacher = tmp_path / "teacher"
    teacher.mkdir()
    answers = {
        PROMPTS["harder"].format(question=SUMS[0]): "Harder: 1 + 6?",
        PROMPTS["answer"].format(question="1 + 6?"): "7",
    }
    (teacher / "script.json").write_text(json.dumps({"answers": answers, "otherwise": "I do not know."}))
    settings = {
        "training.max_steps": 5, "training.global_batch_size": 4, "reinforcement.steps": 5, "reinforcement.samples": 4,
        "reinforcement.problems_per_step": 2, "reinforcement.max_new_tokens": 4, "teacher.backend": "scripted",
    }  # fmt: skip
    made = qalign.study(
        base=answering("78"), scale="paper", runs=tmp_path / "runs", data=tmp_path / "data", settings=settings,
        test=tmp_path / "test.jsonl", test_languages=["en"], teacher=teacher,
    )  # fmt: skip
    model = build(made, "wizardmath")
    pipeline.run([model], made.runs, Placement(device="cpu", trackers=(), quiet=True))
    supervised, reinforced = (stage.result(made.runs) for stage in training_stages(model))
    assert supervised is not None and reinforced is not None
    assert supervised.summary().steps == reinforced.summary().steps == 5
    assert supervised.summary().examples_by_language == {"en": len(SUMS) + 1}
    right = [json.loads(line)["right"] for line in (reinforced.folder / METRICS).read_text().splitlines()]
    assert any(right) and not all(rate == 1 for rate in right), "right and wrong answers were sampled"
