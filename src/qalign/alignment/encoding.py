"""Texts to token ids and back.

Ids are those of the library tokenizers. Large numbers of texts are encoded by gigatoken, which is several times as fast,
where merges alone decide the ids, as in tokenizers of the LLaMA 2 and Mistral kind. Some texts of each call are encoded by
both. After a difference or a failure of gigatoken, the tokenizer is never given to it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

    Ids = np.ndarray[tuple[int], np.dtype[np.int32]]
    """Token ids (tokens,) int32."""

FEWEST = 256
"""The least texts of a call for gigatoken. For fewer, opening it takes longer than it saves."""
CHECKED = 8
"""Texts of each call that both libraries encode."""
SPACE = "▁"
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_SPACES_ONLY: tuple[dict[str, object], ...] = (
    {"type": "Prepend", "prepend": SPACE},
    {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
    {"type": "Metaspace", "replacement": SPACE, "split": False},
)
"""Steps before the merges that only write spaces as ▁ and put one before a text."""


class Quick:
    """A tokenizer opened by gigatoken, which treats special tokens as text. Raises where ids may be others."""

    def __init__(self, backend: Tokenizer) -> None:
        from gigatoken import Tokenizer

        described, vocabulary, added = backend.to_str(), '"vocab":', '"added_tokens":'
        head = json.loads(described[: described.index(vocabulary)] + vocabulary + "{}}}")  # the rest is large
        if not _merges_alone_decide(head) or None in map(backend.token_to_id, BYTES):
            raise ValueError("texts are cut or changed before they are merged")
        begin = described.index(added) + len(added)
        _, end = json.JSONDecoder().raw_decode(described, begin)
        self._tokenizer = Tokenizer.from_json(described[:begin] + "[]" + described[end:])
        bare, whole = (backend.encode("x", add_special_tokens=special).ids for special in (False, True))
        place = next(start for start in range(len(whole)) if whole[start : start + len(bare)] == bare)
        self._before, self._after = whole[:place], whole[place + len(bare) :]

    def encode(self, texts: list[str], add_special_tokens: bool) -> list[Ids]:
        """The ids of each text."""
        import numpy as np

        found = self._tokenizer.encode_batch(texts).layout
        ids, ends = found.content.data.astype(np.int32), found.offsets.data
        encoded = [ids[start:end] for start, end in pairwise(ends)]
        if not add_special_tokens:
            return encoded
        before, after = (np.array(special, dtype=np.int32) for special in (self._before, self._after))
        return [np.concatenate([before, row, after]) for row in encoded]


def _merges_alone_decide(described: dict[str, Any]) -> bool:
    """Whether a BPE model takes whole texts, with spaces as ▁ and byte fallback."""
    model = described["model"]
    steps: list[dict[str, Any]] = []
    for step, parts in ((described["normalizer"], "normalizers"), (described["pre_tokenizer"], "pretokenizers")):
        steps += step[parts] if step and step["type"] == "Sequence" else [step] if step else []
    options = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges")
    return (
        model["type"] == "BPE"
        and model.get("byte_fallback")
        and not any(map(model.get, options))
        and all(token["special"] for token in described["added_tokens"])  # other added tokens are matched in texts
        and all(any(known.items() <= step.items() for known in _SPACES_ONLY) for step in steps)
    )


_quick: WeakKeyDictionary[PreTrainedTokenizerBase, tuple[object, Quick | None]] = WeakKeyDictionary()
"""By tokenizer: its special tokens when opened, and the gigatoken tokenizer. None: not trusted."""


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], add_special_tokens: bool = True) -> list[Ids]:
    """Texts as token ids, (tokens,) int32 each, neither truncated nor padded.

    A special token in a text is encoded as text: data cannot end a sequence. The tokenizer's backend is called directly:
    building masks, offsets and dictionaries in transformers takes as long as the encoding.

    Args:
        add_special_tokens: whether the tokenizer adds its special tokens around each text.
    """
    if not texts:
        return []
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        options = {"split_special_tokens": True, "add_special_tokens": add_special_tokens}
        return _arrays(tokenizer(list(texts), **options)["input_ids"])
    backend.encode_special_tokens = True
    backend.no_truncation()
    backend.no_padding()

    def slowly(some: Sequence[str]) -> list[Ids]:
        encoded = backend.encode_batch_fast(list(some), add_special_tokens=add_special_tokens)
        return _arrays(one.ids for one in encoded)

    if len(texts) < FEWEST or (quick := _opened(tokenizer)) is None:
        return slowly(texts)
    checked = slice(None, None, -(-len(texts) // CHECKED))
    try:
        encoded = quick.encode(list(texts), add_special_tokens)
        right = [ids.tolist() for ids in encoded[checked]] == [ids.tolist() for ids in slowly(texts[checked])]
    except Exception:  # of any kind: the other library then encodes, or reports the fault
        encoded, right = [], False
    if right and len(encoded) == len(texts):
        return encoded
    _quick[tokenizer] = _quick[tokenizer][0], None
    return slowly(texts)


def decode(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> str:
    """The text of token ids without special tokens, its spaces unchanged."""
    return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _arrays(encoded: Iterable[Sequence[int]]) -> list[Ids]:
    import numpy as np

    return [np.array(ids, dtype=np.int32) for ids in encoded]


def _opened(tokenizer: PreTrainedTokenizerBase) -> Quick | None:
    backend = tokenizer.backend_tokenizer
    looked_for = backend.get_vocab_size(), str(backend.get_added_tokens_decoder())
    if tokenizer not in _quick or _quick[tokenizer][0] != looked_for:
        quick = None
        with suppress(Exception):  # as many kinds as there are tokenizers that it does not know
            quick = Quick(backend)
        _quick[tokenizer] = looked_for, quick
    return _quick[tokenizer][1]
