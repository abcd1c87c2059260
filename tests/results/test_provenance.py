"""Results say when and how they were made, and where the models are."""

from __future__ import annotations

import ast
from typing import Any

import synthetic
from reader import Reader
from typed import content_of, page_of

from qalign.results import provenance
from qalign.results.schema import Content
from qalign.results.titles import Titles

MADE = {
    "date": "2026-01-02T03:04:05Z",
    "command": ["/usr/bin/qalign", "run", "sft", "--questions", "my folder"],
    "versions": {"qalign": "0.1.0", "torch": "2.9.0", "transformers": "5.0.0", "python": "3.12.1"},
}
TITLES = Titles({"sft": "SFT", "mine": "Mine"})


def found(*models: dict[str, str], **parts: Any) -> Content:
    trained_on = {"sft": [{"stage": "x", "folder": "x"}], "mine": [], "other": [{"stage": "x", "folder": "y"}]}
    return content_of({"trained_on": trained_on, "made": MADE, "models": list(models), **parts})


SFT = {"system": "sft", "folder": "/runs/stages/train-x-12345678"}
MINE = {"system": "mine", "folder": "/my models/base"}


def test_the_command_can_be_pasted_into_a_shell() -> None:
    assert provenance.command_text(MADE["command"]) == "qalign run sft --questions 'my folder'"
    assert provenance.command_text(["/x/qalign/__main__.py", "demo"]) == "qalign demo"
    assert provenance.serve_command(found(MINE)) == "vllm serve '/my models/base'"


def test_a_run_ends_with_the_folder_of_each_model_and_the_command_that_serves_one() -> None:
    assert provenance.model_lines(found(MINE, SFT), TITLES) == [
        "Model of Mine: /my models/base",
        "Model of SFT: /runs/stages/train-x-12345678",
        "To serve SFT: vllm serve /runs/stages/train-x-12345678",  # neither is better
        "To ask it in Python: the code at the end of results.md",
    ]
    assert provenance.model_lines(found(), TITLES) == []


def test_many_models_are_counted_in_the_terminal_and_listed_in_the_file() -> None:
    many = found(*({**SFT, "seed": str(seed)} for seed in range(20)))
    lines = provenance.model_lines(many, TITLES)
    assert "Model of SFT, seed 0: /runs/stages/train-x-12345678" in lines
    assert "... and 8 more models, listed in results.md" in lines
    assert len(provenance.models_table(many, TITLES).rows) == 20


def test_the_snippet_is_for_a_model_that_was_trained_here() -> None:
    assert SFT["folder"] in provenance.snippet(found(MINE, SFT))
    assert provenance.snippet(found(MINE)) == "", "another model may have no chat template"


def test_the_model_to_use_is_the_best_outside_of_english() -> None:
    def score(others: float, english: float) -> dict[str, Any]:
        counts = {"n": 1, "standard_error": {"strict": 0.0}, "correct": 0, "wrong": 1, "unanswered": 0, "cut_off": 0}
        return {
            key: {"accuracy": {"strict": value}, **counts}
            for key, value in (("non_english", others), ("en", english), ("average", english))
        }

    other = {"system": "other", "folder": "/runs/stages/other"}
    systems = {
        "sft": {"near": score(9.0, 99.0), "far": score(9.0, 99.0)},
        "other": {"near": score(30.0, 10.0), "far": score(8.0, 10.0)},
    }
    given = found(SFT, other, systems=systems)
    assert provenance.model_lines(given, TITLES)[2].endswith("vllm serve /runs/stages/other")
    assert "/runs/stages/other" in provenance.snippet(given)


def test_the_snippet_asks_a_question_of_the_test_set_and_says_what_was_answered() -> None:
    question, answer = 'It\'s "2 \\ 3"\nHow many\u2028\u202e?', "Two.\n#### 2"
    asked = {"language": "en", "question": question, "answers": {"sft": answer}}
    code = provenance.snippet(found(SFT, example=asked))
    lines = code.splitlines()
    assert ast.literal_eval(next(one for one in lines if one.startswith("question = "))[11:]) == question
    assert lines[-1] == "# In this run it answered: " + repr(answer)
    compile(code, "snippet", "exec")
    longer = {**asked, "answers": {"sft": "x" * 500}}
    assert provenance.snippet(found(SFT, example=longer)).endswith(f"'{'x' * 400}', and more\n")


def test_results_md_holds_models_snippet_command_and_versions() -> None:
    text = provenance.markdown(found(SFT), TITLES)
    for said in (
        SFT["folder"],
        "from transformers import",
        "vllm serve",
        "2026-01-02T03:04:05Z",
        "torch 2.9.0",
        "qalign run sft",
    ):
        assert said in text
    assert provenance.markdown(content_of({}), TITLES) == "", "results of earlier versions say nothing"
    fenced = provenance.markdown(found({**SFT, "folder": "/a```b"}), TITLES)
    assert "````python" in fenced


def test_the_page_shows_them_as_text() -> None:
    hostile = "/x/<img src=x onerror=alert(1)>"
    given = {**synthetic.found(list(synthetic.answers(1))), "made": {**MADE, "command": ["qalign", hostile]}}
    given["models"] = [{"system": "sft", "folder": hostile}]
    read = Reader(page_of(given, synthetic.TITLES))
    assert read.text().count(hostile) >= 4, "table, snippet, command to serve, command line"
    assert not any(tag == "img" for tag, _ in read.tags)
    assert "2026-01-02T03:04:05Z" in read.text() and "transformers 5.0.0" in read.text()
    without = Reader(page_of(synthetic.found(list(synthetic.answers(1))), synthetic.TITLES))
    assert not any(attributes.get("id") == "models" for _, attributes in without.tags)


def test_the_page_says_what_the_world_is_and_what_a_training_saw() -> None:
    given = synthetic.found(list(synthetic.answers(1)))
    assert "World is the embedded world" not in Reader(page_of(given, synthetic.TITLES)).text()
    stage = next(stage for stages in given["trained_on"].values() for stage in stages if "steps" in stage)
    stage |= {"examples": 24_000, "examples_seen": 14_400}
    for benchmarks in given["systems"].values():
        benchmarks["world-mgsm"] = next(iter(benchmarks.values()))
    text = Reader(page_of(given, synthetic.TITLES)).text()
    assert "World is the embedded world, a miniature" in text and "14,400 of 24,000" in text


def test_kinds_of_answers_that_a_system_trains_on_are_told_apart() -> None:
    row = {"language": "en", "answers": 3, "kept": 1, "left_out": {"wrong number": 2}}
    whole = {"folder": "kept-1", "systems": ["mine"], "languages": [{**row, "left_out": {"truncated": 2}}]}
    kinds = [
        {"folder": f"kept-{kind}", "systems": ["sft"], "kind": kind, "languages": [row]} for kind in ("SV", "FOBAR")
    ]
    table = provenance.rejections_table(found(rejections=[whole, *kinds]), TITLES)
    assert table.rows == [
        ["Mine", "en", "3", "1", "2", "0"],
        ["SFT: SV", "en", "3", "1", "0", "2"],
        ["SFT: FOBAR", "en", "3", "1", "0", "2"],
    ]
