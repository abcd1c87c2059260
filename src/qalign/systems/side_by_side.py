"""Several results in one: their systems in one table, with tests of differences where the same problems were answered."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from ..errors import QAlignError, SettingError
from ..evaluation.benchmarks import BENCHMARKS
from ..evaluation.scores import NON_ENGLISH
from ..evaluation.significance import Comparison
from ..records import Judgement, read_jsonl
from ..results.accuracy_tables import accuracy
from ..results.findings import DIFFERENCES, group_name
from ..results.run_results import Results, load
from ..results.schema import FORMAT, VERSION, Content, is_language
from ..results.tables import Table
from ..results.titles import Titles
from ..untrusted import printable
from . import evaluated
from .artifacts import JUDGEMENTS
from .checks import titles
from .names import apart, checked

Asked = frozenset[tuple[str, str, str]]
"""Language, id and gold answer of problems."""
Judged = dict[tuple[str, Asked], dict[str, list[Judgement]]]
"""Benchmark and problems -> system -> judgements."""


def load_results(paths: Path | str | Sequence[Path | str], names: Sequence[str] = ()) -> Results:
    """The results of a finished run, or of several in one table with their differences: each a `results.json` or its folder.

    `names` are those of the results in order, by default of their folders; one stands before its systems' titles. DataError
    where a file is not the results of a run, SettingError where one is given twice or a name cannot be used.
    """
    places = [_place(Path(path)) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    if not places:
        raise SettingError("no results are named; give the folder of one, such as runs/results/RUN")
    if len({place.resolve() for place in places}) < len(places):
        raise SettingError("the same results are given twice; give each once")
    if len(names) > len(places):
        raise SettingError(f"there are more names than results; give --name at most once for each of the {len(places)}")
    contents, folder = [load(place) for place in places], places[0].parent
    if len(places) == 1 and not names:
        (data,) = contents
        return Results(data=data, titles=titles(data.titles).shortened(data.systems), folder=folder)
    known = titles()
    labels = [checked(name, [*known.systems, *known.systems.values()]) for name in names]
    folders = [place.resolve().parent for place in places[len(labels) :]]
    labels = apart([*labels, *(printable(one.name) for one in folders)], [*[""] * len(labels), *map(str, folders)])
    contents = _with_test_sets_apart(places, contents, labels)
    loaded = {
        place: _named(data, label, contents, known, is_given=number < len(names))
        for number, (place, data, label) in enumerate(zip(places, contents, labels, strict=True))
    }
    merged = _merged(list(loaded.values()))
    both = dataclasses.replace(known, systems={**known.systems, **merged.titles}).shortened(merged.systems)
    judged, faults = _judged(loaded)
    several = [(benchmark, systems) for (benchmark, _), systems in judged.items() if len(systems) > 1]
    statistics = [evaluated.statistics({benchmark: systems}) for benchmark, systems in several]
    tested = [row for _, differences, _ in statistics for row in differences]
    notes = [note for *_, notes in statistics for note in notes]
    pairs = {pair for row in tested for pair in _pairs(row)}
    merged = replace(merged, comparisons=[*tested, *(row for row in merged.comparisons if not pairs & _pairs(row))])
    return Results(data=merged, titles=both, folder=folder, untested=_untested(merged, faults, notes, both))


def _place(path: Path) -> Path:
    """The results.json that a path means: itself, that of a folder, or the only one below a folder of runs."""
    if not path.is_dir() or (path / "results.json").is_file():
        return path / "results.json" if path.is_dir() else path
    found = sorted({*path.glob("results/*/results.json"), *path.glob("*/results.json")})
    if len(found) == 1:
        return found[0]
    if not found:
        raise SettingError(
            f"{path} holds no results.json; give the folder of the results of a run, such as runs/results/RUN "
            f"(`qalign runs --runs {shlex.quote(printable(str(path)))}` says where results lie)"
        )
    names = ", ".join(str(place.parent) for place in found[:5]) + " ..." * (len(found) > 5)
    raise SettingError(f"{path} holds {len(found)} results; give one or several of them: {names}")


def _with_test_sets_apart(places: Sequence[Path], contents: Sequence[Content], labels: Sequence[str]) -> list[Content]:
    """The results, an own test set called `test of RESULT` where an earlier result has another one of the same name."""
    seen: dict[str, list[Asked]] = {}
    apart_now = []
    for place, data, label in zip(places, contents, labels, strict=True):
        names = {}
        for benchmark in data.benchmarks:
            answers = (_judgements(place, data, system, benchmark) for system in data.scores_on(benchmark))
            problems = next((_asked(one) for one in answers if not isinstance(one, str)), frozenset())
            if benchmark not in BENCHMARKS and not all(_are_one(problems, other) for other in seen.get(benchmark, ())):
                names[benchmark] = f"{benchmark} of {label}"
            seen.setdefault(benchmark, []).append(problems)
        by_system = {
            part: {
                system: {names.get(name, name): value for name, value in row.items()}
                for system, row in getattr(data, part).items()
            }
            for part in ("systems", "published", "consistency", "judgements")
        }
        rows = [replace(row, benchmark=names.get(row.benchmark, row.benchmark)) for row in data.comparisons]
        apart_now.append(replace(data, comparisons=rows, **by_system))
    return apart_now


def _asked(judgements: Sequence[Judgement]) -> Asked:
    return frozenset((row.language, row.id, row.gold) for row in judgements)


def _are_one(problems: Asked, others: Asked) -> bool:
    """Whether two sets of problems are of one test set: in the languages of both, the larger holds the smaller."""
    languages = {code for code, *_ in problems} & {code for code, *_ in others}
    here, there = ({row for row in rows if row[0] in languages} for rows in (problems, others))
    return here <= there or there <= here


def _named(data: Content, label: str, others: Sequence[Content], known: Titles, *, is_given: bool) -> Content:
    """A result with the names and titles that its systems have among others, each problem counted once. The result's name
    stands in front where it was given, or where another result has the system too."""
    keys = {
        name: name if sum(name in one.systems for one in others) == 1 else f"{label}: {name}" for name in data.systems
    }
    keys = {name: f"{label}: {name}" for name in keys} if is_given else keys
    shown: dict[str, str] = {}
    for name, key in keys.items():
        title = data.titles.get(name) or known.system(name)
        title = label if is_given and len(keys) == 1 else title if key == name else f"{label}: {title}"
        shown |= {key: title} if title != key else {}
    once = {
        keys[name]: {
            benchmark: {code: replace(row, n=row.n // data.repetitions) for code, row in scores.items()}
            for benchmark, scores in benchmarks.items()
        }
        for name, benchmarks in data.systems.items()
    }
    rows = [replace(row, a=keys[row.a], b=keys[row.b]) for row in data.comparisons]
    by_system = ("trained_on", "published", "consistency", "judgements")
    renamed = {part: {keys[name]: value for name, value in getattr(data, part).items()} for part in by_system}
    return replace(data, systems=once, titles=shown, comparisons=rows, **renamed)


def _merged(contents: Sequence[Content]) -> Content:
    """All results in the shape of one."""
    run: dict[str, str | int | list[str]] = {}
    for name in ("base", "scale", "seed", "qalign"):
        values = dict.fromkeys(one.run.get(name) for one in contents)
        if words := [str(value) for value in values if isinstance(value, str | int)]:
            run[name] = " and ".join(words)
    parts = ("rules", "systems", "trained_on", "published", "consistency", "titles")
    merged: dict[str, Any] = {
        part: {key: row for one in contents for key, row in getattr(one, part).items()} for part in parts
    }
    rows = [row for one in contents for row in one.comparisons]
    return Content(format=FORMAT, version=VERSION, run=run, comparisons=rows, **merged)


def _judged(loaded: Mapping[Path, Content]) -> tuple[Judged, dict[tuple[str, str], str]]:
    """The judgements that can be had, and why others cannot, by system and benchmark."""
    judged: Judged = {}
    faults: dict[tuple[str, str], str] = {}
    for place, data in loaded.items():
        for name, benchmarks in data.systems.items():
            for benchmark in benchmarks:
                judgements = _judgements(place, data, name, benchmark)
                if isinstance(judgements, str):
                    faults[name, benchmark] = judgements
                else:
                    judged.setdefault((benchmark, _asked(judgements)), {})[name] = judgements
    return judged, faults


def _judgements(place: Path, data: Content, system: str, benchmark: str) -> list[Judgement] | str:
    """The judgements behind the scores of a system, or why they cannot be had."""
    if data.seeds:
        return f"{place} holds means over several seeds"
    recorded = data.judgements.get(system, {}).get(benchmark)
    if recorded is None:
        return f"{place} does not say where the answers are; run its command again, which writes it anew"
    runs = place.resolve().parent.parent.parent
    folders = [Path(recorded), runs / "stages" / Path(recorded).name]
    folder = next((one for one in folders if (one / JUDGEMENTS).is_file()), None)
    if folder is None:
        return f"the answers of {place} are not at {printable(recorded)} any more"
    try:
        judgements = list(read_jsonl(folder / JUDGEMENTS, Judgement))
        same = evaluated.rounded_scores(judgements) == data.systems[system][benchmark]
    except QAlignError as error:
        return str(error)
    return judgements if same else f"the answers at {folder} are not those of {place}"


def _pairs(row: Comparison) -> set[tuple[str, str, str]]:
    """The benchmark with both systems, either way round."""
    return {(row.benchmark, row.a, row.b), (row.benchmark, row.b, row.a)}


def _untested(
    merged: Content, faults: Mapping[tuple[str, str], str], notes: Sequence[str], titles: Titles
) -> list[Table]:
    """A table of the differences of scores that no test was made of, with the reasons; none where all were tested."""
    tested = {pair for row in merged.comparisons for pair in _pairs(row)}
    rows: list[list[str]] = []
    reasons: dict[str, None] = {}
    for benchmark in merged.benchmarks:
        for (a, first), (b, second) in combinations(merged.scores_on(benchmark).items(), 2):
            if (benchmark, a, b) in tested:
                continue
            pair = [f"{titles.system(a)} - {titles.system(b)}", titles.benchmark(benchmark)]
            same_languages = set(filter(is_language, first)) == set(filter(is_language, second))
            for group in (NON_ENGLISH, "en") if same_languages else ("en",):
                if group in first and group in second:
                    points = f"{accuracy(first[group]) - accuracy(second[group]):+.1f}"
                    rows.append([*pair, group_name(group, titles), points])
            known = [faults[name, benchmark] for name in (a, b) if (name, benchmark) in faults]
            counts = [sum(row.n for code, row in scores.items() if is_language(code)) for scores in (first, second)]
            other = " and ".join(
                f"{titles.system(n)} answered {count:,}" for n, count in zip((a, b), counts, strict=True)
            )
            other += f" problems of {pair[1]}{', not the same ones' * (counts[0] == counts[1])}"
            reasons |= dict.fromkeys(known or notes or [other])
    if not reasons:
        return []
    note = f"No tests, for not all answers can be compared problem by problem. {'. '.join(reasons)}."
    columns = ["difference", "benchmark", "languages", "points"]
    rows = rows or [["none", "-", "-", "-"]]
    return [Table(f"{DIFFERENCES} of scores, not tested", columns, rows, note, section="comparisons")]
