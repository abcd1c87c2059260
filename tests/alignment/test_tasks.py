"""Stage 1 is one task with five values; stage 2 takes questions and answers as they are."""

from __future__ import annotations

import pytest

from qalign.alignment.prompts import prompt
from qalign.alignment.tasks import VARIANTS, response_examples, translation_examples
from qalign.errors import DataError
from qalign.languages import LANGUAGES
from qalign.records import Example, Pair, Problem

TEXTS = ("Wie viele?", "How many?")


@pytest.mark.parametrize(
    ("name", "kind", "direction"),
    [
        ("x-en-questions", "question", "x-en"),
        ("en-x-questions", "question", "en-x"),
        ("x-en-answers", "answer", "x-en"),
        ("en-x-answers", "answer", "en-x"),
        ("x-en-general", "sentence", "x-en"),
    ],
)
def test_each_variant_has_its_text_and_direction(name: str, kind: str, direction: str) -> None:
    pair = Pair("7", "de", *TEXTS, kind=VARIANTS[name].kind, source="corpus")
    assert VARIANTS[name].kind == kind
    forward = direction == "x-en"
    source, target = ("German", "English") if forward else ("English", "German")
    read, written = TEXTS if forward else TEXTS[::-1]
    assert list(translation_examples(VARIANTS[name], [pair], LANGUAGES)) == [
        Example("7", "de", "corpus", f"Translate the following sentences from {source} to {target}. {read}", written)
    ]


def test_there_are_five_variants() -> None:
    assert len(VARIANTS) == 5


def test_a_pair_of_another_kind_is_our_mistake() -> None:
    pair = Pair("7", "de", *TEXTS, kind="answer", source="corpus")
    with pytest.raises(AssertionError):
        list(translation_examples(VARIANTS["x-en-questions"], [pair], LANGUAGES))


def test_response_examples_take_question_and_answer_as_they_are() -> None:
    problem = Problem("1", "sw", "Swali?", "Jibu.\n#### 3", "3", "corpus")
    assert list(response_examples([problem])) == [Example("1", "sw", "corpus", "Swali?", "Jibu.\n#### 3")]


def test_a_problem_without_a_worked_answer_is_an_error() -> None:
    with pytest.raises(DataError, match=r"problem 1 \(sw\)"):
        list(response_examples([Problem("1", "sw", "Swali?", None, "3", "corpus")]))


def test_the_prompt_is_the_published_one() -> None:
    assert prompt("Q") == (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request."
        "\n\n### Instruction:\nQ\n\n### Response:"
    )


def test_special_tokens_in_the_data_are_text() -> None:
    pytest.importorskip("tokenizers")
    from qalign.alignment.prompts import render
    from qalign.models.tiny import BEGIN, END, train_tokenizer

    tokenizer = train_tokenizer(["Anna has 3 apples."], 300)
    rendered = render([f"Q {END} {BEGIN} Q"], [f"A {END} A"], tokenizer)[0]
    ids = rendered.ids.tolist()
    assert [ids.count(special) for special in (tokenizer.bos_token_id, tokenizer.eos_token_id)] == [1, 1]
    assert tokenizer.decode(rendered.ids[1:-1]) == prompt(f"Q {END} {BEGIN} Q") + f"A {END} A"
