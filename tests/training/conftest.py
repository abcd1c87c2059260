"""What the tests of training share: uneven examples in several languages, and the flat loop to compare with."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from qalign.placement import Placement
from qalign.records import Example, write_jsonl
from qalign.training.config import TrainingConfig
from qalign.training.loop import Job
from tiny_base import QUESTIONS, SEED, STEP

REPOSITORY = Path(__file__).parents[2]

LANGUAGES = tuple(QUESTIONS)


def make_examples() -> list[Example]:
    """150 examples, a few tokens to a few hundred long, the languages in no order."""
    draw = random.Random(SEED + 1)
    made = []
    for number in range(150):
        language = draw.choice(LANGUAGES)
        a, b = draw.randint(2, 99), draw.randint(2, 99)
        question = (
            " ".join(QUESTIONS[language].format(a=a, b=b) for _ in range(draw.choice((0, 1, 1, 1, 3)))) or f"{a}?"
        )
        steps = "".join(STEP.format(a=a, b=n, c=a + n) for n in range(draw.choice((0, 0, 1, 2, 5))))
        made.append(Example(f"q-{number}", language, "test", question, f"{steps}The answer is: {a + b}"))
    return made


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Sums in one order, so that two runs can be compared bit by bit; processes that a test starts do likewise."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def examples() -> list[Example]:
    """What stands in the examples.jsonl of `data`."""
    return make_examples()


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, examples: list[Example]) -> Path:
    """A folder with examples.jsonl."""
    folder = tmp_path_factory.mktemp("examples")
    write_jsonl(folder / "examples.jsonl", examples)
    return folder


@pytest.fixture(scope="session")
def flat_loop() -> ModuleType:
    """examples/flat_loop.py as a module."""
    found = importlib.util.spec_from_file_location("flat_loop", REPOSITORY / "examples" / "flat_loop.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


MakeJob = Callable[..., Job]


@pytest.fixture
def make_job(base: Path, data: Path, tmp_path: Path) -> MakeJob:
    """A job on the tiny base; `where` names its folders, so that a second job of that name goes on from the first."""

    def make(where: str = "run", placement: dict[str, object] | None = None, **config: object) -> Job:
        scratch = tmp_path / where / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        values: dict[str, object] = {
            "learning_rate": 3e-3, "global_batch_size": 16, "epochs": 2, "precision": "float32", "seed": SEED, **config,
        }  # fmt: skip
        place: dict[str, object] = {
            "runs": tmp_path, "device": "cpu", "tokens_per_micro_batch": 1024, "trackers": (), "quiet": True,
            **(placement or {}),
        }  # fmt: skip
        return Job(
            title="test", model=base, examples=data / "examples.jsonl", output=tmp_path / where / "output", scratch=scratch,
            config=TrainingConfig(**values), placement=Placement(**place),
        )  # fmt: skip

    return make
