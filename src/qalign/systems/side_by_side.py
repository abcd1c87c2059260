"""Several results in one: their systems in one table, with tests of differences where the same problems were answered."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from ..errors import QAlignError, SettingError
from ..evaluation.benchmarks import BENCHMARKS
from ..evaluation.scores import AVERAGE, NON_ENGLISH, score
from ..records import Judgement
from ..results.results import DIFFERENCES, load
from ..results.run_results import Results
from ..results.tables import Table
from ..results.titles import Titles
from ..results.versions import read_judgements
from ..results.view import accuracy
from ..untrusted import printable
from . import measured
from .artifacts import JUDGEMENTS
from .checks import titles
from .names import apart, checked

GROUPS = (AVERAGE, NON_ENGLISH)
"""The scores over several languages."""
Problems = tuple[tuple[str, str, str], ...]
"""The problems that a system answered: language, id and gold answer of each, sorted."""


def load_results(paths: Path | str | Sequence[Path | str], names: Sequence[str] = ()) -> Results:
    """The results of a finished run, or of several in one table with their differences.

    Args:
        paths: a `results.json` each, or the folder of one.
        names: of the results, in order; by default those of their folders. A name stands before its systems' titles.

    Raises:
        DataError: a file is not the results of a run.
        SettingError: a result is given twice, or a name cannot be used.
    """
    places = [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    folder = place_of(places[0]).parent
    if len(places) == 1 and not names:
        content = load(place_of(places[0]))
        return Results(
            content=content, titles=titles(content.get("titles")).shortened(content["systems"]), folder=folder
        )
    merged, untested, names_shown = side_by_side(places, names, titles())
    return Results(content=merged, titles=names_shown, folder=folder, untested=untested)


def side_by_side(
    paths: Sequence[Path], names: Sequence[str], titles: Titles
) -> tuple[dict[str, Any], list[Table], Titles]:
    """The results of several runs as one, a table of the differences that cannot be tested, and all titles.

    Args:
        paths: a results.json each, or the folder of one.
        names: of the results, in order; by default those of their folders. A name stands before its systems' titles.
        titles: of systems and benchmarks.

    Raises:
        DataError: a file is not the results of a run.
        SettingError: a result is given twice, or a name cannot be used.
    """
    places = [place_of(path) for path in paths]
    if len({place.resolve() for place in places}) < len(places):
        raise SettingError("the same results are given twice; give each once")
    if len(names) > len(paths):
        raise SettingError(f"there are more names than results; give --name at most once for each of the {len(paths)}")
    loaded = [load(place) for place in places]
    given = [checked(name, [*titles.systems, *titles.systems.values()]) for name in names]
    folders = [str(place.resolve().parent) for place in places[len(given) :]]
    labels = apart([*given, *(printable(Path(folder).name) for folder in folders)], [*[""] * len(given), *folders])
    keys = [
        _keys(found, label, loaded, place < len(given))
        for place, (found, label) in enumerate(zip(loaded, labels, strict=True))
    ]
    loaded = _with_test_sets_apart(loaded, labels, places)
    merged = _merged(loaded, keys)
    names_shown = {
        key: _title(
            found.get("titles", {}).get(name) or titles.system(name),
            label,
            key != name,
            place < len(given) and len(found["systems"]) == 1,
        )
        for place, (found, label, renamed) in enumerate(zip(loaded, labels, keys, strict=True))
        for name, key in renamed.items()
    }
    shown = {key: title for key, title in names_shown.items() if title != key}
    both = Titles(
        systems={**titles.systems, **shown}, benchmarks=titles.benchmarks, languages=titles.languages
    ).shortened(merged["systems"])
    judged, faults = _judged(loaded, keys, places)
    statistics = measured.statistics(judged) if judged else {"comparisons": [], "notes": []}
    tested = statistics["comparisons"]
    notes = [re.sub("\0[0-9]+", "", note) for note in statistics["notes"]]
    pairs = {(row["benchmark"].partition("\0")[0], row["a"], row["b"]) for row in tested}
    kept = [row for row in merged["comparisons"] if not {(row["benchmark"], *pair) for pair in _turned(row)} & pairs]
    merged["comparisons"] = [*({**row, "benchmark": row["benchmark"].partition("\0")[0]} for row in tested), *kept]
    return merged, _untested(merged, faults, notes, both), both


def place_of(path: Path) -> Path:
    """The results.json that a path means: itself, that of a folder, or the only one below a folder of runs.

    Raises:
        SettingError: a folder has none, or several.
    """
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
    names = ", ".join(str(place.parent) for place in found[:5])
    raise SettingError(
        f"{path} holds {len(found)} results; give one or several of them: {names}" + (" ..." if len(found) > 5 else "")
    )


def _keys(found: Mapping[str, Any], label: str, loaded: Sequence[Mapping[str, Any]], is_given: bool) -> dict[str, str]:
    """The name of each system in the whole: its own, with its result's in front where another result has it too."""
    once = {name for name in found["systems"] if sum(name in other["systems"] for other in loaded) == 1}
    return {name: name if name in once and not is_given else f"{label}: {name}" for name in found["systems"]}


def _title(title: str, label: str, is_renamed: bool, is_alone: bool) -> str:
    if is_alone:
        return label
    return f"{label}: {title}" if is_renamed else title


def _merged(loaded: Sequence[Mapping[str, Any]], keys: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """All results in the shape of one; those over several seeds count each problem once."""
    merged: dict[str, Any] = {
        "run": {},
        "rules": {},
        "systems": {},
        "trained_on": {},
        "published": {},
        "consistency": {},
        "comparisons": [],
    }
    for found, renamed in zip(loaded, keys, strict=True):
        seeds = len(found.get("seeds", ())) or 1
        merged["rules"] |= found["rules"]
        for name, benchmarks in found["systems"].items():
            merged["systems"][renamed[name]] = {
                benchmark: {code: {**row, "n": row["n"] // seeds} for code, row in scores.items()}
                for benchmark, scores in benchmarks.items()
            }
        for field in ("trained_on", "published", "consistency"):
            merged[field] |= {renamed[name]: value for name, value in found.get(field, {}).items()}
        merged["comparisons"] += [
            {**row, "a": renamed[row["a"]], "b": renamed[row["b"]]} for row in found.get("comparisons", ())
        ]
    values = {
        name: dict.fromkeys(found["run"].get(name) for found in loaded) for name in ("base", "scale", "seed", "qalign")
    }
    merged["run"] = {
        name: " and ".join(str(value) for value in distinct if isinstance(value, str | int))
        for name, distinct in values.items()
        if any(isinstance(value, str | int) for value in distinct)
    }
    return merged


def _judged(
    loaded: Sequence[Mapping[str, Any]], keys: Sequence[Mapping[str, str]], places: Sequence[Path]
) -> tuple[measured.Judged, dict[tuple[str, str], str]]:
    """The judgements of systems that answered the same problems, and why others are left out, by system and benchmark.

    A benchmark whose systems answered different problems stands once for each set of problems.
    """
    sets: dict[tuple[str, Problems], dict[str, list[Judgement]]] = {}
    faults: dict[tuple[str, str], str] = {}
    for found, renamed, place in zip(loaded, keys, places, strict=True):
        for name, benchmarks in found["systems"].items():
            for benchmark, scores in benchmarks.items():
                judgements = _judgements(found, name, benchmark, scores, place)
                if isinstance(judgements, str):
                    faults[renamed[name], benchmark] = judgements
                    continue
                problems = tuple(sorted((one.language, one.id, one.gold) for one in judgements))
                sets.setdefault((benchmark, problems), {})[renamed[name]] = judgements
    numbered = {f"{benchmark}\0{place}": systems for place, ((benchmark, _), systems) in enumerate(sets.items())}
    return {name: systems for name, systems in numbered.items() if len(systems) > 1}, faults


def _with_test_sets_apart(
    loaded: Sequence[Mapping[str, Any]], labels: Sequence[str], places: Sequence[Path]
) -> list[dict[str, Any]]:
    """The results, an own test set called `test of RESULT` where an earlier result has another one of the same name."""
    seen: dict[str, list[set[tuple[str, str, str]]]] = {}
    renamed = []
    for found, label, place in zip(loaded, labels, places, strict=True):
        names = {}
        for benchmark in dict.fromkeys(name for benchmarks in found["systems"].values() for name in benchmarks):
            problems = _problems(found, benchmark, place)
            others = [other for other in seen.get(benchmark, ()) if problems and not _are_one(problems, other)]
            names[benchmark] = f"{benchmark} of {label}" if others and benchmark not in BENCHMARKS else benchmark
            seen.setdefault(benchmark, []).append(problems)
        renamed.append(_with_benchmarks(found, names))
    return renamed


def _problems(found: Mapping[str, Any], benchmark: str, place: Path) -> set[tuple[str, str, str]]:
    """Language, id and gold answer of the problems of a test set, as far as the answers of one system are there."""
    for system, benchmarks in found["systems"].items():
        if benchmark in benchmarks:
            judgements = _judgements(found, system, benchmark, benchmarks[benchmark], place)
            if not isinstance(judgements, str):
                return {(one.language, one.id, one.gold) for one in judgements}
    return set()


def _are_one(problems: set[tuple[str, str, str]], others: set[tuple[str, str, str]]) -> bool:
    """Whether two sets of problems are of one test set: in the languages of both, the larger holds the smaller."""
    languages = {code for code, *_ in problems} & {code for code, *_ in others}
    here, there = ({row for row in rows if row[0] in languages} for rows in (problems, others))
    return not languages or here <= there or there <= here


def _with_benchmarks(found: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Results with other names of test sets."""
    by_system = {
        field: {system: {names.get(b, b): value for b, value in row.items()} for system, row in found[field].items()}
        for field in ("systems", "consistency", "judgements", "published")
        if field in found
    }
    rows = [{**row, "benchmark": names.get(row["benchmark"], row["benchmark"])} for row in found.get("comparisons", ())]
    return {**found, **by_system, "comparisons": rows}


def _judgements(
    found: Mapping[str, Any], system: str, benchmark: str, scores: Mapping[str, Any], place: Path
) -> list[Judgement] | str:
    """The judgements behind the scores of a system, or why they cannot be had."""
    if found.get("seeds"):
        return f"{place} holds means over several seeds"
    recorded = found.get("judgements", {}).get(system, {}).get(benchmark)
    if recorded is None:
        return f"{place} does not say where the answers are; run its command again, which writes it anew"
    runs = place.resolve().parent.parent.parent
    folder = next(
        (f for f in (Path(recorded), runs / "stages" / Path(recorded).name) if (f / JUDGEMENTS).is_file()), None
    )
    if folder is None:
        return f"the answers of {place} are not at {printable(recorded)} any more"
    try:
        judgements = list(read_judgements(folder / JUDGEMENTS))
        now = {code: one.as_dict() for code, one in score(judgements).items()}
    except QAlignError as error:
        return str(error)
    return judgements if now == scores else f"the answers at {folder} are not those of {place}"


def _turned(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(row["a"], row["b"]), (row["b"], row["a"])]


def _untested(
    merged: Mapping[str, Any], faults: Mapping[tuple[str, str], str], notes: Sequence[str], titles: Titles
) -> list[Table]:
    """A table of the differences of scores that no test was made of, with the reasons; none where all were tested."""
    tested = {(row["benchmark"], *pair) for row in merged["comparisons"] for pair in _turned(row)}
    body: list[list[str]] = []
    reasons: dict[str, None] = {}
    for benchmark in dict.fromkeys(b for benchmarks in merged["systems"].values() for b in benchmarks):
        names = [name for name, benchmarks in merged["systems"].items() if benchmark in benchmarks]
        for a, b in combinations(names, 2):
            if (benchmark, a, b) in tested:
                continue
            first, second = merged["systems"][a][benchmark], merged["systems"][b][benchmark]
            body += [
                [
                    f"{titles.system(a)} - {titles.system(b)}",
                    titles.benchmark(benchmark),
                    {NON_ENGLISH: "non-English", "en": "English"}[group],
                    f"{accuracy(first[group]) - accuracy(second[group]):+.1f}",
                ]
                for group in (NON_ENGLISH, "en")
                if group in first and group in second and _same_languages(first, second, group)
            ]
            found = [faults[name, benchmark] for name in (a, b) if (name, benchmark) in faults]
            for reason in found or notes or [_other_problems(first, second, a, b, benchmark, titles)]:
                reasons[reason] = None
    if not reasons:
        return []
    if not body:
        body = [["none", "-", "-", "-"]]
    note = f"No tests, for not all answers can be compared problem by problem. {'. '.join(reasons)}."
    return [
        Table(f"{DIFFERENCES} of scores, not tested", ["difference", "benchmark", "languages", "points"], body, note)
    ]


def _other_problems(
    first: Mapping[str, Any], second: Mapping[str, Any], a: str, b: str, benchmark: str, titles: Titles
) -> str:
    """How the problems that two systems answered differ."""
    counts = [{code: row["n"] for code, row in scores.items() if code not in GROUPS} for scores in (first, second)]
    if counts[0] == counts[1]:
        return "they did not answer the same problems in the same languages"
    answered = [f"{titles.system(name)} answered {sum(n.values()):,}" for name, n in zip((a, b), counts, strict=True)]
    return f"{' and '.join(answered)} problems of {titles.benchmark(benchmark)}"


def _same_languages(first: Mapping[str, Any], second: Mapping[str, Any], group: str) -> bool:
    """Whether a score is over the same languages on both sides."""
    return group not in GROUPS or {c for c in first if c not in GROUPS} == {c for c in second if c not in GROUPS}
