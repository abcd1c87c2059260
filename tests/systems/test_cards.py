"""The card of a trained model: what it says, that the hub takes it, that a push can be read back, and who may change it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from fake_hub import FakeHub, fake_hub, faults_of_card
from own_data import OwnData, write_own_data
from qalign.fingerprints import sealed, unsealed
from qalign.systems.cards import MARK
from tiny_base import write_base

ADAPTER = ("--set", "response-alignment.adapter=on")
GSM8K_CARD = "---\nconfigs:\n- config_name: main\n  data_files:\n  - split: train\n    path: main/train.jsonl\n---\n"
VALIDATE = "import sys; from huggingface_hub import ModelCard; ModelCard.load(sys.argv[1]).validate()"
PUSH = """
import sys
from huggingface_hub import HfApi
HfApi().create_repo(sys.argv[2])
HfApi().upload_folder(repo_id=sys.argv[2], folder_path=sys.argv[1])
"""


@dataclass(frozen=True)
class Ran:
    """A run on a base and a corpus of the hub, which is over."""

    hub: FakeHub
    data: OwnData
    words: list[str]
    folder: Path
    """The folder of the model."""
    base: str
    """The commit of the base."""
    corpus: str

    @property
    def card(self) -> str:
        return (self.folder / "README.md").read_text(encoding="utf-8")


def metadata(card: str) -> dict[str, Any]:
    assert list(faults_of_card(card)) == []
    held = yaml.safe_load(card.split("---\n")[1])
    assert isinstance(held, dict)
    return held


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("hub")
    data = write_own_data(folder / "own")
    rows = [{"question": f"Ann has {n} pens?", "answer": f"{n} pens.\n#### {n}"} for n in range(7473)]
    with fake_hub(folder) as hub:
        base = hub.push_folder("models/owner/small", write_base(folder / "base"))
        text = "".join(json.dumps(row) + "\n" for row in rows)
        corpus = hub.push("datasets/openai/gsm8k", {"README.md": GSM8K_CARD, "main/train.jsonl": text})
        words = ["run", "qalign-mono", "--base", "owner/small", "--scale", "sample", "--english", "gsm8k"]
        words += [
            *data.options("questions", "test"),
            "--languages",
            "de,sw",
            "--test-languages",
            "de,en",
            "--limit",
            "2",
        ]
        words += ["--device", "cpu", "--tracker", "none", "--set", "training.max_steps=1"]
        words += ["--set", "generation.max_new_tokens=4"]
        done = hub.qalign(*words, *ADAPTER)
        assert done.returncode == 0, done.stderr
        (model,) = (folder / "runs/stages").glob("train-response-alignment-*")
        yield Ran(hub, data, words, model, base, corpus)


def test_the_card_names_base_languages_data_recipe_and_scores(ran: Ran) -> None:
    held = metadata(ran.card)
    assert held["base_model"] == "owner/small"
    assert held["language"] == ["de", "en", "sw"]
    assert held["datasets"] == ["openai/gsm8k"]
    assert held["metrics"] == ["accuracy"]
    (index,) = held["model-index"]
    results = json.loads(next((ran.hub.folder / "runs/results").glob("*/results.json")).read_text())
    scores = results["systems"]["qalign-mono"]["test"]
    told = {one["dataset"]["config"]: one["metrics"][0]["value"] for one in index["results"]}
    assert told == {code: round(score["accuracy"]["strict"], 2) for code, score in scores.items()}
    body = ran.card.split("---\n", 2)[2]
    assert f"trained further from owner/small at {ran.base}" in body
    assert f"| gsm8k | {ran.corpus} | OpenAI, MIT | en 7,473 |" in body
    assert re.search(r"\| questions \| files \| own data; not known \| 6 each of de sw \|", body)
    stages = re.findall(r"^\| ([a-z-]+-alignment) \| [\d,]+ \| 1 \|", body, re.MULTILINE)
    assert stages == ["question-alignment", "response-alignment"]
    assert "max\\_steps 1" in body and "'rank': 16" in body
    assert "### Instruction:\n{question}\n\n### Response:\n```" in body
    assert "One beginning-of-sequence token" in body and "Decode greedily" in body
    assert str(ran.hub.folder) not in ran.card, "no path of this machine"


def test_a_model_that_was_not_measured_has_a_card_without_scores(ran: Ran) -> None:
    (first,) = (ran.hub.folder / "runs/stages").glob("train-question-alignment-*")
    card = (first / "README.md").read_text(encoding="utf-8")
    assert {"metrics", "model-index", "datasets"}.isdisjoint(metadata(card))
    assert "Scores" not in card and "| response-alignment" not in card


def test_a_push_is_taken_and_read_back(ran: Ran) -> None:
    granted = {"HF_TOKEN": "hf_granted"}
    assert ran.hub.python("-c", VALIDATE, str(ran.folder / "README.md")).returncode == 0
    pushed = ran.hub.python("-c", PUSH, str(ran.folder), "owner/trained", **granted)
    assert pushed.returncode == 0, pushed.stderr
    held = ran.hub.files("models/owner/trained")
    assert held["README.md"].decode() == ran.card
    assert {"model.safetensors", "chat_template.jinja", "adapter/adapter_model.safetensors"} <= held.keys()
    words = ["eval", "owner/trained", *ran.data.options("test"), "--test-languages", "de,en", "--limit", "2"]
    words += ["--device", "cpu", "--set", "generation.max_new_tokens=4", "--runs", "again", "--output", "measured"]
    measured = ran.hub.qalign(*words)
    assert measured.returncode == 0, measured.stderr

    def answers(runs: str) -> list[str]:
        paths = (ran.hub.folder / runs / "stages").glob("generate-*/predictions.jsonl")
        return [json.loads(line)["text"] for path in paths for line in path.read_text("utf-8").splitlines()]

    assert answers("again") == answers("runs") != []
    other = ran.hub.python("-c", PUSH, str(ran.folder), "owner/theirs", HF_TOKEN="hf_other")
    assert "403" in other.stderr
    assert "models/owner/theirs" not in ran.hub.repositories


def test_the_adapter_names_its_base_and_is_pushed_alone(ran: Ran) -> None:
    config = json.loads((ran.folder / "adapter/adapter_config.json").read_text())
    before = Path(config["base_model_name_or_path"])
    assert before.name.startswith("train-question-alignment-"), "the model that it was trained on"
    pushed = ran.hub.python("-c", PUSH, str(ran.folder / "adapter"), "owner/adapter", HF_TOKEN="hf_granted")
    assert pushed.returncode == 0, pushed.stderr
    assert set(ran.hub.files("models/owner/adapter")) == {"adapter_config.json", "adapter_model.safetensors"}
    refused = ran.hub.qalign("eval", "owner/adapter", *ran.data.options("test"), "--runs", "again")
    assert "merge it first" in refused.stderr


def test_a_card_is_no_part_of_the_result(ran: Ran) -> None:
    """One that was changed is written again, one that a user took over stays, and the stage is as it was in each case."""
    path = ran.folder / "README.md"
    record = (ran.folder / "stage.json").read_bytes()
    assert "README.md" not in json.loads(record)["files"]
    first = ran.card
    for changed, kept in ((f"old\n{MARK}\n", False), ("", False), ("my own card\n", True)):
        path.write_text(changed, encoding="utf-8")
        again = ran.hub.qalign(*ran.words, *ADAPTER, HF_HUB_OFFLINE="1")
        assert again.returncode == 0, again.stderr
        assert ran.card == (changed if kept else first)
    path.write_text(first, encoding="utf-8")
    assert (ran.folder / "stage.json").read_bytes() == record
    assert not list(ran.folder.parent.glob("*.card")) and not list(ran.folder.parent.glob(".*.card"))


def test_the_old_card_of_a_model_that_an_earlier_version_adopted_is_replaced(ran: Ran) -> None:
    """Its record lists the file, whose hash is not looked at any more."""
    path, record = ran.folder / "README.md", ran.folder / "stage.json"
    first, held = ran.card, record.read_bytes()
    listed = unsealed(json.loads(held))
    assert isinstance(listed, dict)
    listed["files"]["README.md"] = [4, 0, "0" * 64]
    record.write_text(json.dumps(sealed(listed)), encoding="utf-8")
    path.write_text("The card of others.\n", encoding="utf-8")
    again = ran.hub.qalign(*ran.words, *ADAPTER, HF_HUB_OFFLINE="1")
    record.write_bytes(held)
    assert again.returncode == 0, again.stderr
    assert ran.card == first


def test_an_adopted_model_does_not_pass_its_old_card_on(ran: Ran, tmp_path: Path) -> None:
    source = tmp_path / "a_model <b>"
    shutil.copytree(ran.folder, source, ignore=shutil.ignore_patterns("stage.json", "adapter"))
    (source / "README.md").write_text("---\nbase_model: them/theirs\n---\nThe card of others.\n")
    runs = ["--runs", str(tmp_path / "runs")]
    done = ran.hub.qalign("adopt", "qalign-mono", str(source), *ran.words[2:], *runs, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs/stages").glob("train-response-alignment-*")
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "Not trained here: adopted from a\\_model \\<b\\>." in card
    assert "them/theirs" not in card and "The card of others" not in card and str(tmp_path) not in card
    assert {"base_model", "datasets", "model-index"}.isdisjoint(metadata(card))
    assert "The chat template" not in card
    measured = ran.hub.qalign(*ran.words, *runs, HF_HUB_OFFLINE="1")
    assert measured.returncode == 0, measured.stderr
    held = metadata((folder / "README.md").read_text(encoding="utf-8"))
    assert held["metrics"] == ["accuracy"] and held["language"] == ["de", "en"] and "base_model" not in held


def test_a_model_adopted_from_the_hub_names_it(ran: Ran, tmp_path: Path) -> None:
    commit = ran.hub.push_folder("models/them/theirs", write_base(tmp_path / "base"))
    words = ["--base", "tiny", *ran.data.options("english", "test"), "--runs", str(tmp_path / "runs")]
    done = ran.hub.qalign("adopt", "monoreason", "them/theirs", *words)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "runs/stages").glob("train-*/README.md")
    card = path.read_text(encoding="utf-8")
    assert metadata(card)["base_model"] == "them/theirs"
    assert f"adopted from them/theirs at {commit}." in card


def test_names_that_are_markup_stay_names(ran: Ran, tmp_path: Path) -> None:
    data = write_own_data(tmp_path / "own")
    evil = tmp_path / "x|[y](javascript:z)\n---\nlicense: mit\n# <img src=q onerror=w>"
    shutil.copytree(data.english, evil) if data.english.is_dir() else shutil.copy(
        data.english, evil.with_suffix(".jsonl")
    )
    evil = evil if evil.exists() else evil.with_suffix(".jsonl")
    test = tmp_path / "t: [1, &a *b] ```\n---"
    shutil.copytree(data.test, test)
    words = [
        "run",
        "monoreason",
        "--base",
        "owner/small",
        "--scale",
        "sample",
        "--english",
        str(evil),
        "--test",
        str(test),
    ]
    words += [
        "--test-languages",
        "en",
        "--limit",
        "1",
        "--set",
        "training.max_steps=1",
        "--device",
        "cpu",
        "--tracker",
        "none",
    ]
    words += ["--set", "generation.max_new_tokens=2", "--runs", str(tmp_path / "runs")]
    done = ran.hub.qalign(*words, HF_HUB_OFFLINE="1", HF_HOME=str(ran.hub.folder / "hf"))
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "runs/stages").glob("train-*/README.md")
    card = path.read_text(encoding="utf-8")
    held = metadata(card)
    assert "license" not in held
    assert held["model-index"][0]["results"][0]["dataset"]["name"].startswith("t: [1")
    body = card.split("\n---\n", 1)[1]
    assert "<img" not in body.replace("\\<img", "") and "](" not in body.replace("\\](", "")
    assert not [line for line in body.splitlines() if line.startswith(("---", "# <", "license"))]
