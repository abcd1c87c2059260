"""What earlier versions wrote, in the form of today: `results.json` of version 1, and judgements of then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from ..errors import DataError
from ..records import Judgement, read_rows
from .schema import VERSION, described

FIRST_RULES = {"strict": "standard_error", "paper": "standard_error_paper"}
"""The rules of version 1, with the names that their standard errors had."""


def of_today(values: dict[str, object]) -> dict[str, object]:
    """A `results.json` of version 1 as version 2. What has not the form of version 1 stays for `schema.parse` to name."""
    systems = _each(values.get("systems"), lambda b: _each(b, lambda codes: _each(codes, _score)))
    rules = msgspec.to_builtins(described(FIRST_RULES))
    return {**values, "version": VERSION, "rules": rules, "systems": systems}


def read_judgements(path: Path) -> Iterator[Judgement]:
    """The judgements of a file, which once had a field for each of two rules.

    Raises:
        DataError: the file cannot be read, or a line is no judgement.
    """
    try:
        for row in read_rows(path):
            then = {name: row.pop(name) for name in FIRST_RULES if name in row}
            yield msgspec.convert({"readings": then, **row}, Judgement)
    except msgspec.ValidationError as error:
        raise DataError(f"{path} does not hold judgements: {error}; the file is damaged") from error


def _score(score: object) -> object:
    if not isinstance(score, dict):
        return score
    gone = {*FIRST_RULES, *FIRST_RULES.values()}
    return {
        **{key: value for key, value in score.items() if key not in gone},
        "accuracy": {name: score[name] for name in FIRST_RULES if name in score},
        "standard_error": {name: score[error] for name, error in FIRST_RULES.items() if error in score},
        **dict.fromkeys(("in_language", "in_another", "no_language")),
    }


def _each(value: object, change: Callable[[object], object]) -> object:
    return {key: change(inner) for key, inner in value.items()} if isinstance(value, dict) else value
