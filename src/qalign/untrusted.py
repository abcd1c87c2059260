"""Untrusted text of files, servers and models: strict parsing, escaped display.

`json.loads` accepts too much. It keeps the last of two equal keys and reads `NaN`. It turns `"\\ud800"` into a text that
cannot be written as UTF-8.
"""

from __future__ import annotations

import json
import math
import re
from functools import partial
from itertools import chain
from typing import Any

from .errors import DataError

DEEPEST = 100
"""The most levels of nesting in a JSON text. No file of this package has more than ten."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
"""Characters that steer a terminal, end a line, change the direction of text, or have no UTF-8. Joiners (U+200C, U+200D)
belong to the spelling of several languages and stay."""


def parse_json(text: str | bytes, where: str, half_pairs: bool = False, infinite: bool = False) -> Any:
    """The value of a JSON text, which an error names as `where`. Bytes must be UTF-8.

    DataError if it is no JSON, or nested deeper than `DEEPEST` levels. Also for a duplicated key, `NaN`, an over-long number,
    for `Infinity` unless `infinite`, as in configurations of models, and for half of a surrogate pair unless `half_pairs`.
    """
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        constant = partial(_constant, infinite=infinite)
        value = json.loads(decoded, object_pairs_hook=_without_duplicates, parse_constant=constant, parse_float=_finite)
        if not half_pairs and (re.search(r"\\u[dD][89a-fA-F]", decoded) or _SURROGATE.search(decoded)):
            check_surrogates(json.dumps(value, ensure_ascii=False), where)
        if _depth(value) > DEEPEST:
            raise RecursionError
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error
    except RecursionError as error:
        raise DataError(f"{where} is nested deeper than {DEEPEST} levels; flatten it") from error
    except ValueError as error:
        raise DataError(f"{where} is not valid JSON: {one_line(error)}; fix it") from error
    return value


def check_surrogates(text: str, where: str) -> None:
    """Raises DataError if a text has half of a surrogate pair, which has no UTF-8."""
    if half := _SURROGATE.search(text):
        what = f"half of a surrogate pair (U+{ord(half[0]):04X})"
        raise DataError(f"{where} holds {what}, which cannot be written as UTF-8; replace that character")


def with_whole_pairs(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def printable(text: str) -> str:
    r"""The text on one line, with control and invalid characters escaped as `\x1b`."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)


def one_line(error: BaseException) -> str:
    """The message of an exception, on one line of at most 200 characters."""
    text = printable(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise ValueError(f"the key '{twice}' appears twice in one object")
    return values


def _constant(name: str, infinite: bool) -> float:
    if name == "NaN" or not infinite:
        raise ValueError(f"{name} is not a number in JSON")
    return float(name)


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"the number {digits[:20]} is too large")
    return value


def _depth(value: object) -> int:
    """Levels of nesting, without recursion."""
    deepest, level = 0, [value]
    while level:
        deepest += 1
        inner = (item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list))
        level = list(chain.from_iterable(inner))
    return deepest
