"""A model that answers from a script, to test everything after generation.

Its folder holds `script.json`: `{"answers": {instruction: text}, "otherwise": text}`. Without `otherwise`, an instruction
that is not in the script is an error. A text that ends in the character U+0000 counts as truncated at the length limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from ..errors import DataError, ModelError
from ..placement import Placement
from ..untrusted import check_surrogates, parse_json
from .protocol import REQUESTS_PER_CHUNK, Completion, DecodingConfig, Request

SCRIPT = "script.json"


class _Script(msgspec.Struct, forbid_unknown_fields=True):
    answers: dict[str, str]
    otherwise: str | None = None


class Scripted:
    """Answers by instruction. Words separated by white space count as tokens."""

    chunk = REQUESTS_PER_CHUNK

    def __init__(self, answers: Mapping[str, str], otherwise: str | None = None) -> None:
        self.answers, self.otherwise = answers, otherwise

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answers in the order of the requests."""
        for request in requests:
            text = self.answers.get(request.instruction, self.otherwise)
            if text is None:
                raise ModelError(f"the script has no answer to '{request.instruction[:60]}'; add it, or 'otherwise'")
            whole = text.removesuffix("\0")
            yield request.answered(whole, len(whole.split()), "stop" if whole == text else "length")


def open_scripted(folder: Path, decoding: DecodingConfig, placement: Placement) -> Scripted:
    """The scripted model of a folder."""
    try:
        script = parse_json((folder / SCRIPT).read_bytes(), SCRIPT, half_pairs=True)
        for instruction in script["answers"]:
            check_surrogates(instruction, "an instruction")
        content = msgspec.convert(script, _Script)
    except (OSError, DataError, LookupError, TypeError, msgspec.ValidationError) as error:
        raise ModelError(f"{folder}/{SCRIPT} is not a script ({error}); see qalign/generation/scripted.py") from error
    return Scripted(content.answers, content.otherwise)
