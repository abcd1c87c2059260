"""Stage 1 is one task with five values; stage 2 takes questions and answers; mixtures have weights, samples, a cap, a table."""

from __future__ import annotations

from collections import Counter

import pytest

from qalign.alignment.prompts import prompt
from qalign.alignment.tasks import VARIANTS, Part, mix, response_examples, table, translation_examples
from qalign.errors import DataError, SettingError
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


# --- mixtures ---------------------------------------------------------------------------------------------------------


def examples(source: str, **counts: int) -> list[Example]:
    return [
        Example(str(number), language, source, f"{language} question {number}", "é")
        for language, count in counts.items()
        for number in range(count)
    ]


def test_equal_weights_keep_every_example_once_in_order() -> None:
    first, second = examples("a", de=5), examples("b", fr=4)
    assert mix([Part(examples=first), Part(examples=second)], seed=1) == first + second


def test_a_weight_repeats_whole_rounds_and_draws_the_rest() -> None:
    part = examples("a", de=10)
    counts = Counter(example.id for example in mix([Part(examples=part, weight=2.5)], seed=1))
    assert sorted(counts.values()) == [2] * 5 + [3] * 5


def test_a_fraction_draws_without_replacement() -> None:
    mixed = mix([Part(examples=examples("a", de=10), weight=0.3)], seed=1)
    assert len({example.id for example in mixed}) == len(mixed) == 3


def test_the_seed_decides_the_sample_and_each_language_has_its_own() -> None:
    part = Part(examples=examples("a", de=50, fr=50, sw=3), examples_per_language=10)
    one, again, other = (mix([part], seed=seed) for seed in (1, 1, 2))
    assert one == again != other
    assert Counter(example.language for example in one) == {"de": 10, "fr": 10, "sw": 3}


@pytest.mark.parametrize(
    ("weight", "says"), [(0.0, "positive"), (-1.0, "positive"), (float("nan"), "positive"), (5.0, "cap of 4")]
)
def test_weights_that_cannot_be_are_errors(weight: float, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        mix([Part(examples=examples("a", de=3), weight=weight)], seed=1)


def test_an_empty_mixture_is_an_error() -> None:
    with pytest.raises(DataError, match="no examples"):
        mix([Part(examples=[])], seed=1)


def test_the_table_counts_examples_repetitions_characters_and_bytes() -> None:
    rows = table(mix([Part(examples=examples("a", de=2), weight=2.0), Part(examples=examples("b", fr=1))], seed=1))
    assert [(row.source, row.language, row.examples, row.repeated) for row in rows] == [
        ("a", "de", 4, 2),
        ("b", "fr", 1, 0),
    ]
    text = "fr question 0" + "é"
    assert (rows[1].characters, rows[1].utf8_bytes) == (len(text), len(text) + 1)
