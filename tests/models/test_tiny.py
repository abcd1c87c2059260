"""Texts of every script come back from the tokenizers of `tiny` and `world` as they were, also without special tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from qalign.alignment.encoding import BYTES, FEWEST, decode, encode
from qalign.generation.local import Local, open_local
from qalign.generation.protocol import DecodingConfig, Request
from qalign.languages import load_languages
from qalign.models.opening import load_tokenizer
from qalign.models.tiny import train_tokenizer
from qalign.placement import Placement
from qalign.systems.bases import WORLD_FOLDER

LANGUAGES = [
    " ".join([row.native_name, row.name, *row.answer_markers, *row.scales, row.zero, row.groups, row.decimal])
    for row in load_languages(None).values()
]
TEXTS = [
    *LANGUAGES,
    "Giá của 3 quả táo là 12.000 ₫.",
    "L’été, là-bas : « 1 234,5 € » œuvre",
    "Ünï̈cødé, e\u0301 and é, Å and A\u030a",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇻🇳 \U0001f9ee",
    "كان مع آنّا ٣ تفاحات",
    "לאנה יש 3 תפוחים\u200f.",
    "అన్నా వద్ద ౩ ఆపిల్స్ ఉన్నాయి; ქართული; አማርኛ; ᠮᠣᠩᠭᠣᠯ",
    "𠮷野家で㍻の株式会社、ｶﾀｶﾅ、한국어, \U00020bb7",
    "".join(map(chr, range(32))) + "\x7f\x80\x9f\u2028\u2029\ufeff\ufffd\ufffe",
    "  two spaces before, after  ",
    "\n\nlines\r\nof\tmany\n kinds \n",
    "3 , 4 . do n't , it 's ? yes !",
    "<0x41> </s> <s> <pad> ▁x",
    "",
]


@pytest.fixture(scope="module", params=["tiny", "world"])
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if request.param == "world":
        return load_tokenizer(WORLD_FOLDER)
    folder = tmp_path_factory.mktemp("tiny")
    train_tokenizer(LANGUAGES * 4, 600).save_pretrained(folder)
    return load_tokenizer(folder)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back_as_it_was(tokenizer: Any, text: str) -> None:
    [ids] = encode(tokenizer, [text])
    assert decode(ids.tolist(), tokenizer) == text
    assert tokenizer.decode(ids.tolist(), skip_special_tokens=True) == text
    many = encode(tokenizer, [text] * FEWEST)  # another library encodes them
    assert many[0].tolist() == ids.tolist()


def test_bytes_are_ordinary_tokens_with_the_ids_they_had(tokenizer: Any) -> None:
    assert tokenizer.convert_tokens_to_ids(list(BYTES)) == list(range(3, 259))
    assert tokenizer.all_special_tokens == ["<s>", "</s>", "<pad>"]
    assert set(tokenizer.get_added_vocab()) == {"<s>", "</s>", "<pad>"}


def test_answers_of_a_model_keep_every_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The local backend, whose model is made to say these texts."""
    backend = open_local(WORLD_FOLDER, DecodingConfig(max_new_tokens=400), Placement(device="cpu", batch_size=1))
    backend.loops = 1
    said = [text for text in TEXTS if text]
    tokens = [
        token
        for ids in encode(backend.tokenizer, said, add_special_tokens=False)
        for token in (*ids.tolist(), backend.tokenizer.eos_token_id)
    ]
    monkeypatch.setattr(Local, "_choose", lambda *_: torch.tensor([tokens.pop(0)]))
    answers = list(backend.generate([Request(str(place), "Say it.") for place in range(len(said))]))
    assert {answer.text for answer in answers} == set(said)


def test_a_decoder_that_would_clean_up_spaces_does_not(base: Path, tmp_path: Path) -> None:
    AutoTokenizer.from_pretrained(base).save_pretrained(tmp_path)
    settings = tmp_path / "tokenizer_config.json"
    text = settings.read_text(encoding="utf-8")
    cleans = text.replace('"clean_up_tokenization_spaces": false', '"clean_up_tokenization_spaces": true')
    both = cleans.replace("{", '{"clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": true,', 1)
    settings.write_text(both, encoding="utf-8")
    tokenizer = load_tokenizer(tmp_path)
    [ids] = encode(tokenizer, ["3 , 4 ."])
    assert tokenizer.decode(ids.tolist(), skip_special_tokens=True) == "3, 4.", "the case needs one that cleans up"
    assert decode(ids.tolist(), tokenizer) == "3 , 4 ."
