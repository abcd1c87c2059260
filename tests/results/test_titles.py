"""Names for people: long names of models are told apart by the words in which they differ."""

from __future__ import annotations

import pytest

from qalign.results.titles import Titles, short_names


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["train-response-alignment-06eb40d6", "train-response-alignment-95dab294"], ["06eb40d6", "95dab294"]),
        (["a/train-response-alignment-1", "b/train-response-alignment-1"], ["a", "b"]),
        (["my-long-experiment-checkpoint-100", "my-long-experiment-checkpoint-200"], ["checkpoint-100", "checkpoint-200"]),
        (["meta-llama/Llama-2-7b-hf", "meta-llama/Llama-2-7b-chat-hf"], ["Llama-2-7b-hf", "Llama-2-7b-chat-hf"]),
        (["a-model-with-a-long-name", "a-model-with-a-long-name-sft"], None),
        (["a/final", "b/final"], None),
        (["only-one-model-that-has-a-long-name"], None),
    ],
)  # fmt: skip
def test_long_names_are_shown_by_what_tells_them_apart(names: list[str], short: list[str] | None) -> None:
    assert short_names(names) == (dict(zip(names, short, strict=True)) if short else {})


def test_a_short_name_is_never_that_of_a_system() -> None:
    names = ["a-long-name-of-models-sft", "a-long-name-of-models-mine"]
    assert Titles().shortened(names).system(names[0]) == "sft"
    assert Titles({"sft": "SFT"}).shortened(names).system(names[0]) == names[0]
    assert Titles({"sft": "SFT"}).shortened([*names, "sft"]).system("sft") == "SFT"
    assert Titles().shortened(names).system(names[1]) == "mine"
