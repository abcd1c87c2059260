"""Texts to token ids, as the tokenizer of the library tokenizers gives them, by gigatoken where it gives the same.

gigatoken remembers the words that it has met and is several times as fast; it knows the common kinds of tokenizers. Some of
the texts of each call are encoded by both: a tokenizer for which the two ever differ is not trusted to gigatoken again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import numpy as np

    Ids = np.ndarray[tuple[int], np.dtype[np.int32]]
    """Token ids (tokens,) int32."""

FEWEST = 256
"""Texts at once from which on gigatoken is asked: for a few, opening it takes longer than it saves."""
CHECKED = 8
"""Texts of each call that both encode."""


class Quick:
    """A tokenizer as gigatoken opens it, its special tokens not among what it looks for in a text.

    `backend` is a tokenizer of the library tokenizers.

    Raises:
        Exception: of any kind, where gigatoken is missing or does not know this kind of tokenizer.
    """

    def __init__(self, backend: Any) -> None:
        from gigatoken import Tokenizer

        described, name = backend.to_str(), '"added_tokens":'
        begin = described.index(name) + len(name)  # the rest is large, and read by gigatoken
        added, end = json.JSONDecoder().raw_decode(described, begin)
        ordinary = json.dumps([token for token in added if not token["special"]])
        self._tokenizer = Tokenizer.from_json(described[:begin] + ordinary + described[end:])
        bare, whole = (backend.encode("x", add_special_tokens=special).ids for special in (False, True))
        place = next(start for start in range(len(whole)) if whole[start : start + len(bare)] == bare)
        self._before, self._after = whole[:place], whole[place + len(bare) :]
        if self.encode(["x"], True)[0].tolist() != whole:
            raise ValueError("gigatoken gives other ids")

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


_quick: WeakKeyDictionary[Any, tuple[int, Quick | None]] = WeakKeyDictionary()
"""By tokenizer: the size of the vocabulary that it was opened with, and what was opened; None is not trusted."""


def encode(tokenizer: Any, texts: Sequence[str], add_special_tokens: bool = True) -> list[Ids]:
    """Texts as token ids. What looks like a special token in a text is text: data cannot end a sequence.

    `tokenizer` is a transformers tokenizer. One of the library tokenizers is asked directly: what transformers puts around
    its answers (masks, offsets, dictionaries) takes as long as they do. Nothing is cut off or filled up.
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

    if len(texts) < FEWEST or not (quick := _opened(tokenizer)):
        return slowly(texts)
    encoded = quick.encode(list(texts), add_special_tokens)
    checked = slice(None, None, -(-len(texts) // CHECKED))
    if all(map(_equal, encoded[checked], slowly(texts[checked]))):
        return encoded
    _quick[tokenizer] = _quick[tokenizer][0], None
    return slowly(texts)


def _arrays(encoded: Iterable[Sequence[int]]) -> list[Ids]:
    import numpy as np

    return [np.array(ids, dtype=np.int32) for ids in encoded]


def _equal(first: Ids, second: Ids) -> bool:
    return len(first) == len(second) and bool((first == second).all())


def _opened(tokenizer: Any) -> Quick | None:
    size = tokenizer.backend_tokenizer.get_vocab_size()
    if tokenizer not in _quick or _quick[tokenizer][0] != size:
        try:
            quick = Quick(tokenizer.backend_tokenizer)
        except Exception:  # as many kinds as there are tokenizers that gigatoken does not know
            quick = None
        _quick[tokenizer] = size, quick
    return _quick[tokenizer][1]
