"""Where a corpus is looked for, by what it is known, and how fast that is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qalign.corpora import CORPORA, Role, Source
from qalign.errors import DataError, SettingError

Find = Callable[..., Source]

ROW = '{"question": "Wie viele?", "question_en": "How many?"}\n'


def test_importing_corpora_loads_nothing_heavy() -> None:
    code = "import sys, qalign.corpora; print({'datasets', 'huggingface_hub', 'pyarrow', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_local_files_come_before_a_clone_and_a_clone_before_the_hub(find: Find, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "juletxara/mgsm").mkdir(parents=True)
    (data / "juletxara/mgsm/mgsm_bn.tsv").write_text("One?\t1\n")
    clone = find("mgsm", "test", ["bn"], data)
    assert (clone.kind, clone.path) == ("clone", data / "juletxara/mgsm")
    (data / "benchmarks/mgsm").mkdir(parents=True)
    (data / "benchmarks/mgsm/bn.jsonl").write_text('{"question": "One?", "answer": 1}\n')
    files = find("mgsm", "test", ["bn"], data)
    assert (files.kind, files.path) == ("files", data / "benchmarks/mgsm")
    commit = "0123456789abcdef" * 2 + "01234567"
    hub = find(f"mgsm@{commit}", "test", ["bn"], data)
    assert (hub.kind, hub.path) == ("hub", None)
    assert hub.identity() == {"corpus": "mgsm", "role": "test", "hub": "juletxara/mgsm", "revision": commit}
    assert set(files.identity()) == set(clone.identity()) == {"corpus", "role", "sha256"}
    assert files.identity() != clone.identity()


def test_the_identity_is_the_content_of_the_languages_asked_for(find: Find, tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    for code in ("de", "fr"):
        (first / f"{code}.jsonl").write_text(ROW)
    identity = find(first, "questions", ["de"]).identity()
    json.dumps(identity)
    shutil.copytree(first, tmp_path / "second")
    (tmp_path / "second/fr.jsonl").write_text(ROW * 2)
    assert find(tmp_path / "second", "questions", ["de"]).identity() == identity
    assert find(first, "questions", ["fr", "de"]).identity() == find(first, "questions", ["de", "fr"]).identity()
    assert find(first, "questions", ["de", "fr"]).identity() != identity
    (first / "de.jsonl").write_text(ROW.replace("viele", "lange"))
    assert find(first, "questions", ["de"]).identity() != identity


def test_a_clone_is_known_by_its_files_but_the_hidden_ones(find: Find, clones: Path, tmp_path: Path) -> None:
    copy = tmp_path / "openai/gsm8k"
    shutil.copytree(clones / "openai/gsm8k", copy)
    (copy / ".git").mkdir()
    (copy / ".git/index").write_text("changing")
    identity = find("gsm8k", "english", ["en"], clones).identity()
    assert find("gsm8k", "english", ["en"], tmp_path).identity() == identity
    with (copy / "main/train.jsonl").open("a") as file:
        file.write('{"question": "One?", "answer": "#### 1"}\n')
    assert find("gsm8k", "english", ["en"], tmp_path).identity() != identity


@pytest.mark.parametrize(
    ("name", "role", "languages", "kind", "message"),
    [
        ("gsm8kinstrct", "questions", ["bn"], SettingError,
         "'gsm8kinstrct' is neither a corpus nor an existing path: did you mean 'gsm8kinstruct'? (or a path"),
        ("no/such/folder", "questions", ["bn"], SettingError,
         "'no/such/folder' is neither a corpus nor an existing path: known: "),
        ("gsm8k", "questions", ["bn"], SettingError,
         "gsm8k holds no questions, only english: use gsm8kinstruct, world-gsm8kinstruct, or a path"),
        ("ntrex", "general", ["bn"], SettingError,
         "ntrex is not on the hub: give the folder that holds train/general/ntrex128 (--data), or its path"),
        ("gsm8kinstruct", "questions", ["bn", "en"], SettingError, "questions pair each language with English"),
        ("msvamp", "test", ["bn", "bn"], SettingError, "languages of test: bn, bn; give one or more, each once"),
        ("gsm8k", "english", ["de"], SettingError, "the role english is in English: ask for 'en', not de"),
    ],
)  # fmt: skip
def test_what_cannot_be_located(
    find: Find, name: str, role: Role, languages: list[str], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        find(name, role, languages)
    assert str(caught.value).startswith(message)


def test_revisions_that_make_no_sense(find: Find, tmp_path: Path) -> None:
    with pytest.raises(
        SettingError, match="'gsm8k@' names no revision: give a branch, a tag or a commit behind the @, or gsm8k"
    ):
        find("gsm8k@", "english", ["en"])
    with pytest.raises(DataError, match="there is no data folder"):
        find("gsm8k", "english", ["en"], tmp_path / "none")


def test_the_table_holds_together() -> None:
    for name, corpus in CORPORA.items():
        assert corpus.name == name
        assert corpus.world or corpus.hub or set(corpus.local) == set(corpus.roles)
        assert set(corpus.local) <= set(corpus.roles)
        assert set(corpus.published) == set(corpus.languages) or corpus.roles == ("text",)


@pytest.mark.parametrize(("name", "role", "option"), [("gsm8k", "english", "--english"), ("mgsm", "test", "--test")])
def test_a_corpus_that_cannot_be_fetched_names_the_option_for_own_data(
    find: Find, name: str, role: Role, option: str
) -> None:
    with pytest.raises(DataError, match=rf"give your own data by path \({option} PATH in a run\), or local copies"):
        find(name, role, ["en"])
