"""Token ids: those of the tokenizer itself, whichever library gives them."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qalign.alignment import encoding
from qalign.alignment.encoding import FEWEST, encode

pytest.importorskip("transformers")

TEXTS = ["Anna hat 3 Äpfel.", "安娜有三个苹果  ,\n\n3!", " <s>x</s><pad> <unk>", "แอนนา มี 3", "a" * 3000, "x"]


def llama_like() -> Any:
    """A BPE whose texts are one word, spaces visible, and bytes to fall back on."""
    from transformers import LlamaTokenizer

    pieces = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        *"abcdefghinpstAÄ3.,",
        "an",
        "▁a",
    ]
    vocab = {piece: place for place, piece in enumerate(pieces)}
    return LlamaTokenizer(vocab=vocab, merges=[("a", "n"), ("▁", "a")], pad_token="<unk>")


def byte_level() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        TEXTS[:4], trainers.BpeTrainer(special_tokens=["</s>", "<pad>"], initial_alphabet=alphabet)
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="</s>", pad_token="<pad>", model_max_length=16, truncation_side="left"
    )


def tiny() -> Any:
    from qalign.models.tiny import train_tokenizer

    return train_tokenizer(["Anna has 3 apples.", *TEXTS[:4]], 400)


KINDS = {"tiny": tiny(), "llama": llama_like(), "byte-level": byte_level()}


class InPython:
    """A tokenizer that does not work with the library tokenizers."""

    def __call__(self, texts: list[str], **options: Any) -> Any:
        assert options["split_special_tokens"]
        return KINDS["tiny"](texts, **options)


def lists(encoded: list[Any]) -> list[list[int]]:
    return [ids.tolist() for ids in encoded]


def by_transformers(tokenizer: Any, texts: list[str], special: bool) -> list[list[int]]:
    return [tokenizer(text, split_special_tokens=True, add_special_tokens=special)["input_ids"] for text in texts]


@pytest.mark.parametrize("times", [1, FEWEST])
@pytest.mark.parametrize("kind", [*KINDS, "in Python"])
def test_texts_are_encoded_as_transformers_encodes_them(kind: str, times: int) -> None:
    """Whatever the tokenizer was asked to do before: truncate, pad, read special tokens."""
    theirs = KINDS["tiny"] if kind == "in Python" else KINDS[kind]
    made = InPython() if kind == "in Python" else theirs
    for special in (True, False):
        expected = by_transformers(theirs, TEXTS, special)
        theirs(TEXTS, truncation=True, padding="max_length", max_length=7)
        assert lists(encode(made, TEXTS * times, special)) == expected * times
    assert len({len(ids) for ids in expected}) > 3


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(
        st.text() | st.sampled_from([*TEXTS, "</s>", " ▁ a", "\x00", "Ä\u0308 \u200d\ufeff"]), min_size=1, max_size=40
    )
)
def test_many_texts_at_once_are_encoded_as_each_alone(kind: str, texts: list[str]) -> None:
    tokenizer = KINDS[kind]
    many = (texts * FEWEST)[: max(FEWEST, len(texts))]
    assert (
        lists(encode(tokenizer, many))
        == (lists([encode(tokenizer, [text])[0] for text in texts]) * FEWEST)[: len(many)]
    )
    assert bool(encoding._opened(tokenizer)) == (kind == "llama"), "where merges alone decide"


def test_a_library_that_differs_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def wrong(quick: Any, texts: list[str], add_special_tokens: bool) -> Any:
        asked.append(len(texts))
        return [ids[:-1] for ids in right(quick, texts, add_special_tokens)]

    tokenizer = llama_like()
    expected = lists(encode(tokenizer, TEXTS)) * FEWEST
    assert encoding._opened(tokenizer)
    right = encoding.Quick.encode
    monkeypatch.setattr(encoding.Quick, "encode", wrong)
    assert lists(encode(tokenizer, TEXTS * FEWEST)) == expected
    monkeypatch.undo()
    assert not encoding._opened(tokenizer)
    assert lists(encode(tokenizer, TEXTS * FEWEST)) == expected
    assert asked == [len(expected)]


def test_where_the_faster_library_fails_the_other_gives_the_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = llama_like()
    assert encoding._opened(tokenizer)

    def fails(*_: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(encoding.Quick, "encode", fails)
    assert lists(encode(tokenizer, TEXTS * FEWEST)) == lists(encode(tokenizer, TEXTS)) * FEWEST
    assert not encoding._opened(tokenizer)


def test_tokens_that_are_added_later_are_found() -> None:
    tokenizer = llama_like()
    many = ["an <apple> a"] * FEWEST
    before = encode(tokenizer, many)[-1].tolist()
    tokenizer.add_tokens(["<apple>"])
    after = encode(tokenizer, many)[-1].tolist()
    assert len(after) < len(before) and after == encode(tokenizer, many[:1])[0].tolist()


def test_without_the_faster_library_ids_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = byte_level()
    monkeypatch.setitem(sys.modules, "gigatoken", None)
    assert lists(encode(tokenizer, TEXTS * FEWEST)) == lists(encode(KINDS["byte-level"], TEXTS)) * FEWEST
    assert not encoding._opened(tokenizer)


def test_no_text_is_no_work() -> None:
    assert encode(KINDS["llama"], []) == []
