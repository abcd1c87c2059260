"""A results file that is not of its form is refused in one line; one that is, is read whatever has been added to it."""

from __future__ import annotations

import copy
import functools
import json
import operator
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import synthetic
from typer.testing import CliRunner

from qalign.cli import app
from qalign.errors import DataError
from qalign.results.run_results import Results, load
from qalign.results.schema import parse
from qalign.results.titles import Titles

GOOD = json.loads(json.dumps(synthetic.found(list(synthetic.answers(problems=3)))))
WRONG: list[Any] = [None, "text", -1, 101.5, True, [], {}, [[1]], {"a": {}}, float("nan")]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything inside a value, but of one entry only among many of the same kind."""
    if path:
        yield path
    if isinstance(value, dict):
        alike = len({type(inner) for inner in value.values()}) == 1 and len(value) > 4  # a map of systems or languages
        for key in list(value)[: 2 if alike else None]:
            yield from leaves(value[key], (*path, key))
    elif isinstance(value, list):
        for place in range(min(len(value), 1)):
            yield from leaves(value[place], (*path, place))


def changed(path: tuple[Any, ...], value: Any) -> Any:
    """A copy of the results, copied along the path only, with another value at its end."""
    return _changed(GOOD, path, lambda inner, key: inner.__setitem__(key, value))


def without(path: tuple[Any, ...]) -> Any:
    """A copy of the results that lacks what the path leads to."""
    return _changed(GOOD, path, lambda inner, key: inner.__delitem__(key))


def _changed(value: Any, path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    inner = copy.copy(value)
    if len(path) == 1:
        change(inner, path[0])
    else:
        inner[path[0]] = _changed(value[path[0]], path[1:], change)
    return inner


def test_every_value_of_another_type_is_refused_or_printed() -> None:
    refused = tried = 0
    lines = {0}
    for path in leaves(GOOD):
        if path[0] == "run":  # free words about the run
            continue
        for value in WRONG:
            tried += 1
            results = changed(path, value)
            try:
                content = parse(results, "results.json")
            except DataError as error:
                refused += 1
                lines.add(str(error).count("\n"))
                continue
            for table in Results(data=content, titles=Titles()).tables():  # what is taken can be printed
                table.markdown()
    assert tried > 1500
    assert refused > 0.7 * tried
    assert lines == {0}


@pytest.mark.parametrize("name", ["format", "version", "run", "rules", "systems", "trained_on", "published"])
def test_a_part_that_is_missing_is_named(name: str) -> None:
    with pytest.raises(DataError, match=f"`{name}`"):
        parse(without((name,)), "results.json")


@pytest.mark.parametrize("field", ["n", "accuracy", "correct", "standard_error"])
def test_a_field_of_a_score_that_is_missing_is_named(field: str) -> None:
    with pytest.raises(DataError, match=f"`{field}`.*systems"):
        parse(without(("systems", "sft", "mgsm", "bn", field)), "results.json")


SCORE = ("systems", "sft", "mgsm", "bn")
STRICT = ("accuracy", "strict")


def good(*path: str) -> Any:
    """A value of the score that is changed."""
    return functools.reduce(operator.getitem, (*SCORE, *path), GOOD)


CONTRADICTIONS: dict[str, Callable[[], Any]] = {
    "do not add up": lambda: changed((*SCORE, "wrong"), GOOD["systems"]["sft"]["mgsm"]["bn"]["wrong"] + 1),
    "share of correct": lambda: changed((*SCORE, *STRICT), (good(*STRICT) + 50) % 100),
    "'average' of systems.sft.mgsm is not the mean": lambda: changed(("systems", "sft", "mgsm", "average", *STRICT), 99.0),
    "'non_english' of .* is not the mean": lambda: changed(("systems", "sft", "mgsm", "non_english", "accuracy", "paper"), 99.0),
    "'accuracy' of .*bn and 'rules' do not both have 'paper'": lambda: without((*SCORE, "accuracy", "paper")),
    "'standard_error' of .*bn and 'rules' do not both have 'mine'": lambda: changed((*SCORE, "standard_error", "mine"), 1.0),
    "'rules' has no 'strict'": lambda: without(("rules", "strict")),
    "more answers in another language": lambda: changed((*SCORE, "in_another"), 99),
    "no 'average'": lambda: without(("systems", "sft", "mgsm", "average")),
    "no 'non_english'": lambda: without(("systems", "sft", "mgsm", "non_english")),
    "'systems' does not have": lambda: changed(("comparisons", 0, "a"), "sftt"),
    "not measured in": lambda: changed(("comparisons", 0, "group"), "xx"),
    "has one of 'only_a' and 'only_b'": lambda: changed(("comparisons", 0, "only_a"), 3),
    "ends below its beginning": lambda: changed(("comparisons", 0, "low"), 99.0),
    "is not 10 by 10": lambda: without(("consistency", "sft", "mgsm", "matrix", 0)),
    "trained_on names": lambda: changed(("trained_on", "other"), []),
    "published names": lambda: changed(("published", "other"), {}),
}  # fmt: skip


@pytest.mark.parametrize("reason", CONTRADICTIONS)
def test_a_file_that_contradicts_itself_is_refused(reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        parse(CONTRADICTIONS[reason](), "results.json")


def test_fields_may_be_added() -> None:
    parse({**GOOD, "later": {"a": 1}}, "results.json")
    parse(changed((*SCORE, "median"), 3), "results.json")


@pytest.mark.parametrize("version", ["1.0", "2.0", "true", "3", "0", '"2"'])
def test_a_version_is_a_whole_number_that_there_is(version: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(GOOD).replace('"version": 2', f'"version": {version}'), encoding="utf-8")
    with pytest.raises(DataError, match="version 2 or 1"):
        load(path)


@pytest.mark.parametrize(
    "text",
    [
        '{"format":"qalign-results","version":1,"run":{},"systems":{"a":{"b":{}}},"trained_on":{},"published":{}}',
        '{"format":"qalign-results","version":1,"run":{},"systems":{},"trained_on":{},"published":{}}',
        '{"format":"qalign-results","version":true,"run":{},"systems":{},"trained_on":{},"published":{}}',
        '{"a":' * 5000 + "1" + "}" * 5000,
        "[" * 100_000,
        '{"format":"qalign-results","format":"qalign-results"}',
        json.dumps(GOOD)[:-1],
        json.dumps(GOOD).replace('"n": 3', '"n": NaN'),
        json.dumps(GOOD).replace("SmolLM2", "\\ud800"),
        "",
        "null",
        "\ufeff{}",
    ],
)
def test_the_command_refuses_it_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(text, encoding="utf-8")
    outcome = CliRunner().invoke(app, ["report", str(path)])
    assert outcome.exit_code == 2
    assert outcome.output.startswith("qalign: error: ")
    assert outcome.output.count("\n") == 1


def test_a_results_file_in_another_encoding_or_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(json.dumps(GOOD).encode("utf-16"))
    with pytest.raises(DataError, match="not UTF-8"):
        load(path)
    with pytest.raises(DataError, match="cannot read"):
        load(tmp_path)
    with pytest.raises(DataError, match="cannot read"):
        load(tmp_path / "none.json")
    path.write_text(json.dumps(GOOD), encoding="utf-8")
    assert load(path) == parse(GOOD, "")
