"""What can be known to fail is refused before anything is trained, in one line; `plan` lists all of it and ends the same."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from transformers import AutoTokenizer
from typer.testing import CliRunner

from fake_hub import fake_hub
from own_data import ROWS, OwnData, texts, with_option, write
from qalign.alignment.prompts import prompt
from qalign.cli import app
from qalign.errors import DataError
from qalign.models.tiny import TinyConfig, make_tiny
from qalign.pipeline import Stage, Work
from qalign.placement import Placement
from qalign.systems import SCALES, Study, readiness
from qalign.systems.artifacts import Records
from qalign.systems.evaluated import Evaluated
from qalign.training.config import TrainingConfig
from qalign.training.tokens import Lengths

SMALL = ("vocabulary=400", "hidden_size=32", "layers=1", "heads=2", "intermediate_size=64")
TINY = [word for setting in SMALL for word in ("--set", f"tiny.{setting}")]
SHORT = ["--set", "generation.max_new_tokens=4", "--set", "training.max_steps=1"]
STRICT = ["--set", "training.too_long=error"]


@dataclass(frozen=True)
class Answer:
    """What a command said and how it ended."""

    status: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The one line that a refused command ends with."""
        assert self.status == 2, self
        *before, line = self.err.splitlines()
        assert line.startswith("qalign: error: ") and not [text for text in before if "error" in text], self.err
        assert "Traceback" not in self.err
        assert len(line) < 700
        return line


def qalign(*words: str | Path) -> Answer:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    return Answer(result.exit_code, result.stdout, result.stderr)


def options(data: OwnData, base: str | Path = "tiny") -> list[str | Path]:
    given = data.options("questions", "english", "multilingual", "test")
    languages = ["--languages", "de,sw", "--test-languages", "de,en"]
    return ["--base", base, "--scale", "sample", *given, *languages, *(TINY if base == "tiny" else []), *SHORT]


def run(runs: Path, *words: str | Path) -> Answer:
    return qalign("run", *words, "--runs", runs, "--device", "cpu", "--tracker", "none")


def assert_nothing_trained(answer: Answer, runs: Path, *kept: str) -> None:
    """No training stage was begun: no event told of one, and no folder is there but those in `kept`."""
    assert not [line for line in answer.err.splitlines() if " start: train-" in line or " go on: train-" in line]
    trained = {path.name for path in runs.glob("stages/train-*")}
    assert trained == set(kept)
    assert not list(runs.glob("stages/generate-*"))
    assert not list(runs.rglob("*.partial"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model in a folder."""
    folder = tmp_path_factory.mktemp("models") / "base"
    shape = TinyConfig(vocabulary=400, hidden_size=32, layers=1, heads=2, intermediate_size=64)
    make_tiny([text for n in range(ROWS) for text in (texts("en", n)["question"], prompt(""))], shape, folder)
    return folder


@pytest.fixture
def long_swahili(own_data: OwnData, tmp_path: Path) -> OwnData:
    """Data in which one Swahili question is far longer than all other texts."""
    folder = Path(shutil.copytree(own_data.questions.parent, tmp_path / "long"))
    path = folder / "questions" / "sw.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows[3]["question"] = " ".join([rows[3]["question"]] * 60)
    write(path, rows)
    moved = {name: folder / getattr(own_data, name).name for name in OwnData.__dataclass_fields__}
    return OwnData(**moved)


# --- lengths ----------------------------------------------------------------------------------------------------------


def test_a_long_example_of_any_system_is_found_before_the_first_one_trains(
    long_swahili: OwnData, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    words = ["monoreason", "qalign-mono", *options(long_swahili), *STRICT]
    answer = run(runs, *words)
    assert (
        "question-alignment: 1 example is longer than max_length=1024 tokens (sw 1; the longest has " in answer.refusal
    )
    assert "give --set question-alignment.too_long=drop to leave it out" in answer.refusal
    assert "question-alignment.too_long=cut to truncate it" in answer.refusal
    assert_nothing_trained(answer, runs)
    planned = qalign("plan", *words, "--runs", runs)
    assert planned.status == 2
    assert "qalign: error: a run would be refused: question-alignment: 1 example is longer" in planned.err
    assert "would be refused" not in planned.out, "one problem is said once"


def test_the_advice_keeps_what_is_trained(long_swahili: OwnData, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    first = run(runs, "monoreason", *options(long_swahili), *STRICT)
    assert first.status == 0, first.err
    (mono,) = runs.glob("stages/train-response-alignment-*")
    refused = run(runs, "monoreason", "qalign-mono", *options(long_swahili), *STRICT)
    assert "--set question-alignment.too_long=cut" in refused.refusal
    assert [path.name for path in runs.glob("stages/train-*")] == [mono.name]
    advice = ["--set", "question-alignment.too_long=cut"]
    again = run(runs, "monoreason", "qalign-mono", *options(long_swahili), *STRICT, *advice)
    assert again.status == 0, again.err
    assert f"start: {mono.name}" not in again.err
    assert "1 dropped" in " ".join(again.out.split()), "the table counts it: its prompt alone fills the limit"


def test_a_setting_for_one_system_is_advised_where_another_would_train_again(
    own_data: OwnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system with shorter English data than MonoReason, under the same name of the stage."""
    english = [{"question": "How many?", "answer": "So 1 + 1 = 2. " * n + "#### 2"} for n in (1, 2, 90)]
    write(tmp_path / "english.jsonl", english)
    recipe = (
        "def short(study):\n"
        f"    english = study.english_answers({str(own_data.supervised)!r})\n"
        "    return study.train('response-alignment', study.base, english)\n"
    )
    (tmp_path / "short_recipe.py").write_text(recipe)
    monkeypatch.syspath_prepend(tmp_path)
    words = [
        *with_option(options(own_data), "--english", tmp_path / "english.jsonl"),
        *STRICT,
        "--set",
        "training.max_length=512",
    ]
    answer = run(tmp_path / "runs", "monoreason", "short_recipe:short", *words)
    assert "--set monoreason.response-alignment.too_long=drop" in answer.refusal
    assert_nothing_trained(answer, tmp_path / "runs")


def test_a_limit_that_leaves_nothing(own_data: OwnData, tmp_path: Path) -> None:
    limit = ["--set", "response-alignment.max_length=20"]
    answer = run(tmp_path, "qalign-mono", *options(own_data), *limit)
    assert "response-alignment: no example is left to train on" in answer.refusal
    assert "raise response-alignment.max_length" in answer.refusal
    assert_nothing_trained(answer, tmp_path)


@pytest.mark.parametrize("setting", ["tiny.max_positions=128", "generation.max_new_tokens=4096"])
def test_more_tokens_than_positions(own_data: OwnData, tmp_path: Path, setting: str) -> None:
    answer = run(tmp_path, "qalign-mono", *options(own_data), "--set", setting)
    assert f"the model has {128 if setting.startswith('tiny') else 4096} positions" in answer.refusal
    advice = (
        "max_length=128, with too_long=drop or cut"
        if setting.startswith("tiny")
        else "set generation.max_new_tokens lower"
    )
    assert advice in answer.refusal
    assert_nothing_trained(answer, tmp_path)


def test_counts_are_kept_for_the_next_run(own_data: OwnData, tmp_path: Path) -> None:
    words = ["qalign-mono", *options(own_data)]
    refused = run(tmp_path, *words, *STRICT, "--set", "question-alignment.max_length=100")
    assert "12 examples are longer than max_length=100 tokens (de 6, sw 6; the longest has " in refused.refusal
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("lengths/*.json")}
    assert len(kept) == 3, "two sets of examples, and one of questions"
    planned = qalign("plan", *words, *STRICT, "--set", "question-alignment.max_length=101", "--runs", tmp_path)
    assert "12 examples are longer than max_length=101" in planned.err
    assert kept == {path: path.stat().st_mtime_ns for path in tmp_path.glob("lengths/*.json")}
    next(iter(kept)).write_text("{")  # torn: it is counted again
    again = run(tmp_path, *words, *STRICT, "--set", "question-alignment.max_length=102")
    assert "12 examples are longer than max_length=102" in again.refusal


def test_the_longest_sequence_of_each_way_to_limit() -> None:
    lengths = Lengths()
    for tokens, prompt_tokens in ((10, 4), (20, 4), (30, 25)):
        lengths.add("de", tokens, prompt_tokens)
    assert msgspec.json.decode(msgspec.json.encode(lengths), type=Lengths) == lengths

    def longest(limit: int, too_long: Any) -> int:
        return lengths.trained(TrainingConfig(max_length=limit, too_long=too_long))

    assert [longest(limit, "drop") for limit in (9, 15, 20, 30)] == [0, 10, 20, 30]
    assert [longest(limit, "cut") for limit in (4, 9, 15, 22, 26)] == [0, 9, 15, 20, 26]
    with pytest.raises(
        DataError, match=r"2 examples are .* \(de 2; .* --set a.b.too_long=drop --set c.b.too_long=drop to "
    ):
        lengths.check(TrainingConfig(max_length=15), ["a.b", "c.b"])


# --- the model --------------------------------------------------------------------------------------------------------


def test_a_token_without_an_embedding(base: Path, own_data: OwnData, tmp_path: Path) -> None:
    spoilt = Path(shutil.copytree(base, tmp_path / "not-resized"))
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(["apples"])
    tokenizer.save_pretrained(spoilt)
    runs, words = tmp_path / "runs", options(own_data, spoilt)
    answer = run(runs, "monoreason", *words)
    assert "'apples'" in answer.refusal and f"{len(tokenizer) - 1} embeddings" in answer.refusal
    assert not (runs / "stages").exists(), "it is known before data are read"
    planned = qalign("plan", "monoreason", *words, "--runs", runs)
    assert planned.status == 2 and "the tokenizer in " in planned.err
    measured = ["--test", own_data.test, "--test-languages", "en", "--scale", "sample", "--device", "cpu"]
    answer = qalign("eval", spoilt, *measured, "--runs", runs)
    assert "'apples'" in answer.refusal
    assert_nothing_trained(answer, runs)


def test_a_pad_token_without_an_embedding_trains(base: Path, own_data: OwnData, tmp_path: Path) -> None:
    padded = Path(shutil.copytree(base, tmp_path / "pad-not-resized"))
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(padded)
    answer = run(tmp_path / "runs", "monoreason", *options(own_data, padded))
    assert answer.status == 0, answer.err


@pytest.mark.parametrize(
    ("spoilt", "says"), [("config.json", "is not valid JSON"), ("tokenizer.json", "cannot be opened")]
)
def test_a_base_that_cannot_be_opened(base: Path, own_data: OwnData, tmp_path: Path, spoilt: str, says: str) -> None:
    broken = Path(shutil.copytree(base, tmp_path / "broken"))
    (broken / spoilt).write_text("{")
    answer = run(tmp_path / "runs", "monoreason", *options(own_data, broken))
    assert says in answer.refusal
    assert not (tmp_path / "runs" / "stages").exists()


# --- packages and the disk --------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class OwnRecords(Stage[Records]):
    """A kind of a user's own that imports a package, which nobody has."""

    def run(self, work: Work) -> None:
        raise AssertionError("it is refused before")

    def packages(self, placement: Placement) -> list[str]:
        return ["no_such_package", "no_such_package.part"]


def test_a_package_that_a_kind_of_ones_own_imports(tmp_path: Path) -> None:
    here = Study(base_name="world", scale=SCALES["toy"], runs=tmp_path)
    examples = here.mixture("own", "response", [OwnRecords(name="own")])
    model = here.train("response-alignment", here.base, examples)
    comparison = [Evaluated(name="mine", model=model, scores=here.scored(model))]
    first, second, *_ = map(str, readiness.problems(comparison, tmp_path, Placement(device="cpu")))
    assert re.fullmatch(
        r"own-\w{8} needs no_such_package, which is not installed: pip install no-such-package", str(first)
    )
    assert "no_such_package.part, which is not installed" in second


MISSING = [
    ("torch", [], "needs torch, which is not installed: pip install 'qalign[train]'"),
    ("peft", ["--set", "response-alignment.adapter=on"], "pip install 'qalign[lora]'"),
    ("torchao", ["--set", "training.optimizer=adamw8bit"], "pip install 'qalign[8bit]'"),
    ("vllm", ["--set", "generation.backend=vllm"], "pip install vllm"),
    ("openai", ["--set", "generation.backend=endpoint"], "pip install 'qalign[endpoint]'"),
    ("comet_ml", ["--tracker", "comet_ml"], "pip install comet-ml"),
]


@pytest.mark.parametrize(("package", "words", "says"), MISSING, ids=[package for package, _, _ in MISSING])
def test_a_missing_package(
    own_data: OwnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, words: list[str], says: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    runs = tmp_path / "runs"
    answer = qalign("run", "qalign-mono", *options(own_data), *words, "--runs", runs, "--device", "cpu")
    assert f"needs {package}" in answer.refusal and says in answer.refusal
    assert not (runs / "stages").exists()
    planned = qalign("plan", "qalign-mono", *options(own_data), *words, "--runs", runs)
    assert planned.status == 2 and says in planned.out + planned.err


def test_a_device_that_is_not_there(own_data: OwnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "gpus", list)
    answer = qalign("run", "qalign-mono", *options(own_data), "--runs", tmp_path / "runs", "--device", "cuda")
    assert "there is no cuda device here; choose another with --device" in answer.refusal
    assert not (tmp_path / "runs" / "stages").exists()


@pytest.mark.parametrize("backend", ["endpoint", "completions"])
def test_a_server_that_is_not_named(own_data: OwnData, tmp_path: Path, backend: str) -> None:
    runs = tmp_path / "runs"
    answer = qalign("run", "qalign-mono", *options(own_data), "--set", f"generation.backend={backend}", "--runs", runs)
    assert "a backend on a server needs its URL" in answer.refusal
    assert not (runs / "stages").exists()


def test_parquet_without_its_package(own_data: OwnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "questions"
    folder.mkdir()
    for code in ("de", "sw"):
        (folder / f"{code}.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    answer = run(tmp_path / "runs", "qalign-mono", *with_option(options(own_data), "--questions", folder))
    assert "needs pyarrow" in answer.refusal and "pip install 'qalign[data]'" in answer.refusal
    assert not (tmp_path / "runs" / "stages").exists()


def test_several_problems_are_counted_and_listed(
    own_data: OwnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    monkeypatch.setitem(sys.modules, "comet_ml", None)
    words = ["qalign-mono", *options(own_data), "--set", "training.adapter=on", "--tracker", "comet_ml"]
    answer = qalign("run", *words, "--runs", tmp_path / "runs")
    assert answer.refusal.endswith("; 1 more problem was found")
    planned = qalign("plan", *words, "--runs", tmp_path / "runs")
    assert "A run would be refused; 2 problems:" in planned.out
    assert len([line for line in planned.out.splitlines() if line.startswith("- ")]) == 2


def test_a_model_that_the_disk_cannot_hold(own_data: OwnData, tmp_path: Path) -> None:
    huge = ["--set", "tiny.hidden_size=65536", "--set", "tiny.layers=1000", "--set", "tiny.heads=64"]
    runs = tmp_path / "runs"
    answer = run(runs, "qalign-mono", *options(own_data), *huge)
    assert (
        f"too little room in {runs}: the run takes up to " in answer.refusal and "are free; free some" in answer.refusal
    )
    assert not (runs / "stages").exists()
    planned = qalign("plan", "qalign-mono", *options(own_data), *huge, "--runs", runs)
    assert (
        planned.status == 2
        and "too little room" in planned.err
        and re.search(r"disk at the peak +[\d,.]+ GiB", planned.out)
    )


# --- the hub ----------------------------------------------------------------------------------------------------------


def test_a_gated_model_is_found_before_data_are_read(base: Path, own_data: OwnData, tmp_path: Path) -> None:
    words = [*options(own_data, "owner/small"), "--runs", tmp_path / "runs"]
    with fake_hub(tmp_path) as hub:
        hub.push_folder("models/owner/small", base, gated=True)
        done = hub.qalign("run", "monoreason", *words)
        answer = Answer(done.returncode, done.stdout, done.stderr)
        assert "owner/small: its conditions must be accepted at https://huggingface.co/owner/small" in answer.refusal
        assert not (tmp_path / "runs" / "stages").exists()
        planned = hub.qalign("plan", "monoreason", *words)
        assert planned.returncode == 2 and "owner/small: its conditions must be accepted at " in planned.stderr
        trained = hub.qalign("run", "monoreason", *words, "--device", "cpu", HF_TOKEN="hf_granted")
        assert trained.returncode == 0, trained.stderr
        started = [line.split(" start: ")[1].split()[0] for line in trained.stderr.splitlines() if " start: " in line]
        assert started[0].startswith("base-"), "what may be refused comes first"
        hub.asked.clear()
        again = hub.qalign("plan", "monoreason", *words, "--set", "training.learning_rate=0.1")
        assert "refused" not in again.stdout, "what is in the cache is enough"
        assert hub.asked == []


def test_a_gated_corpus_is_found_before_the_base_is_fetched(base: Path, own_data: OwnData, tmp_path: Path) -> None:
    words = [*with_option(options(own_data, "owner/small"), "--english", "gsm8k"), "--runs", tmp_path / "runs"]
    with fake_hub(tmp_path) as hub:
        hub.push_folder("models/owner/small", base)
        hub.push("datasets/openai/gsm8k", {"README.md": ""}, gated=True)
        done = hub.qalign("run", "monoreason", *words)
        answer = Answer(done.returncode, done.stdout, done.stderr)
        assert "openai/gsm8k: its conditions must be accepted at " in answer.refusal
        assert not (tmp_path / "runs" / "stages").exists()
        assert not [asked for asked in hub.asked if "/resolve/" in asked], "nothing was fetched"
        offline = hub.qalign("plan", "monoreason", *words, HF_HUB_OFFLINE="1")
        assert offline.returncode == 2
        for name in ("owner/small", "openai/gsm8k"):
            assert (
                f"- {name}: the hub cannot be reached (HF_HUB_OFFLINE is set) and the cache lacks it" in offline.stdout
            )
