"""Mixtures: weights, samples, the cap, and the table that says what came of them."""

from __future__ import annotations

from collections import Counter

import pytest

from qalign.alignment.tasks import Part, mix, table
from qalign.errors import DataError, SettingError
from qalign.records import Example


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
