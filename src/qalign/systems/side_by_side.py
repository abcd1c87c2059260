"""Several results in one: their systems in one table, with tests of differences where the same problems were answered."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from ..errors import QAlignError, SettingError
from ..evaluation.benchmarks import BENCHMARKS
from ..evaluation.scores import NON_ENGLISH
from ..evaluation.significance import Comparison
from ..records import Judgement, read_jsonl
from ..results.accuracies import accuracy
from ..results.files import load
from ..results.run_results import Results
from ..results.schema import FORMAT, VERSION, Content, is_language
from ..results.statistics_tables import DIFFERENCES, group_name
from ..results.tables import Table
from ..results.titles import Titles
from ..untrusted import printable
from . import evaluated
from .artifacts import JUDGEMENTS
from .checks import titles
from .names import apart, checked

Asked = tuple[str, str, str]
"""Language, id and gold answer of a problem."""
Part = TypeVar("Part")


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
        data = load(place_of(places[0]))
        return Results(data=data, titles=titles(data.titles).shortened(data.systems), folder=folder)
    return side_by_side(places, names, titles(), folder)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The results of one run among several."""

    data: Content
    place: Path
    label: str
    """The name of the results."""
    keys: Mapping[str, str]
    """The name of each system in the whole."""

    def judgements(self, system: str, benchmark: str) -> list[Judgement] | str:
        """The judgements behind the scores of a system, or why they cannot be had."""
        if self.data.seeds:
            return f"{self.place} holds means over several seeds"
        recorded = self.data.judgements.get(system, {}).get(benchmark)
        if recorded is None:
            return f"{self.place} does not say where the answers are; run its command again, which writes it anew"
        runs = self.place.resolve().parent.parent.parent
        folders = [Path(recorded), runs / "stages" / Path(recorded).name]
        folder = next((one for one in folders if (one / JUDGEMENTS).is_file()), None)
        if folder is None:
            return f"the answers of {self.place} are not at {printable(recorded)} any more"
        try:
            judgements = list(read_jsonl(folder / JUDGEMENTS, Judgement))
            scores = evaluated.rounded_scores(judgements)
        except QAlignError as error:
            return str(error)
        same = scores == self.data.systems[system][benchmark]
        return judgements if same else f"the answers at {folder} are not those of {self.place}"


def side_by_side(paths: Sequence[Path], names: Sequence[str], titles: Titles, folder: Path) -> Results:
    """The results of several runs as one, with the differences that cannot be tested.

    Args:
        paths: a results.json each, or the folder of one.
        names: of the results, in order; by default those of their folders. A name stands before its systems' titles.
        titles: of systems and benchmarks.
        folder: where the files are written by default.

    Raises:
        DataError: a file is not the results of a run.
        SettingError: a result is given twice, or a name cannot be used.
    """
    places = [place_of(path) for path in paths]
    if len({place.resolve() for place in places}) < len(places):
        raise SettingError("the same results are given twice; give each once")
    if len(names) > len(paths):
        raise SettingError(f"there are more names than results; give --name at most once for each of the {len(paths)}")
    given = [checked(name, [*titles.systems, *titles.systems.values()]) for name in names]
    contents = [load(place) for place in places]
    folders = [str(place.resolve().parent) for place in places[len(given) :]]
    labels = apart([*given, *(printable(Path(one).name) for one in folders)], [*[""] * len(given), *folders])
    loaded = _with_test_sets_apart(
        [
            Loaded(data=data, place=place, label=label, keys=_keys(data, label, contents, is_given=number < len(given)))
            for number, (data, place, label) in enumerate(zip(contents, places, labels, strict=True))
        ]
    )
    merged = _merged(loaded)
    shown: dict[str, str] = {}
    for number, one in enumerate(loaded):
        for name, key in one.keys.items():
            title = one.data.titles.get(name) or titles.system(name)
            if number < len(given) and len(one.data.systems) == 1:
                title = one.label
            elif key != name:
                title = f"{one.label}: {title}"
            shown |= {key: title} if title != key else {}
    both = Titles(systems={**titles.systems, **shown}, benchmarks=titles.benchmarks, languages=titles.languages)
    both = both.shortened(merged.systems)
    judged, faults = _judged(loaded)
    statistics = evaluated.statistics(judged)
    tested = [replace(row, benchmark=row.benchmark.partition("\0")[0]) for row in statistics.comparisons]
    pairs = {pair for row in tested for pair in _pairs(row)}
    merged = replace(merged, comparisons=[*tested, *(row for row in merged.comparisons if not pairs & _pairs(row))])
    notes = [re.sub("\0[0-9]+", "", note) for note in statistics.notes]
    return Results(data=merged, titles=both, folder=folder, untested=_untested(merged, faults, notes, both))


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


def _keys(data: Content, label: str, others: Sequence[Content], *, is_given: bool) -> dict[str, str]:
    """The name of each system in the whole: its own, with its result's in front where another result has it too."""
    once = {name for name in data.systems if sum(name in other.systems for other in others) == 1}
    return {name: name if name in once and not is_given else f"{label}: {name}" for name in data.systems}


def _merged(loaded: Sequence[Loaded]) -> Content:
    """All results in the shape of one; those over several seeds count each problem once."""
    merged = Content(
        format=FORMAT, version=VERSION, run={}, rules={}, systems={}, trained_on={}, published={}, consistency={},
        comparisons=[],
    )  # fmt: skip
    for one in loaded:
        data, keys = one.data, one.keys
        merged.rules.update(data.rules)
        for name, benchmarks in data.systems.items():
            merged.systems[keys[name]] = {
                benchmark: {code: replace(row, n=row.n // data.repetitions) for code, row in scores.items()}
                for benchmark, scores in benchmarks.items()
            }
        merged.trained_on.update({keys[name]: value for name, value in data.trained_on.items()})
        merged.published.update({keys[name]: value for name, value in data.published.items()})
        merged.consistency.update({keys[name]: value for name, value in data.consistency.items()})
        merged.comparisons.extend(replace(row, a=keys[row.a], b=keys[row.b]) for row in data.comparisons)
    for name in ("base", "scale", "seed", "qalign"):
        values = dict.fromkeys(one.data.run.get(name) for one in loaded)
        if words := [str(value) for value in values if isinstance(value, str | int)]:
            merged.run[name] = " and ".join(words)
    return merged


def _judged(loaded: Sequence[Loaded]) -> tuple[evaluated.Judged, dict[tuple[str, str], str]]:
    """The judgements of systems that answered the same problems, and why others are left out, by system and benchmark.

    A benchmark whose systems answered different problems stands once for each set of problems.
    """
    sets: dict[tuple[str, frozenset[Asked]], dict[str, list[Judgement]]] = {}
    faults: dict[tuple[str, str], str] = {}
    for one in loaded:
        for name, benchmarks in one.data.systems.items():
            for benchmark in benchmarks:
                judgements = one.judgements(name, benchmark)
                if isinstance(judgements, str):
                    faults[one.keys[name], benchmark] = judgements
                else:
                    sets.setdefault((benchmark, _asked(judgements)), {})[one.keys[name]] = judgements
    numbered = {f"{benchmark}\0{place}": systems for place, ((benchmark, _), systems) in enumerate(sets.items())}
    return {name: systems for name, systems in numbered.items() if len(systems) > 1}, faults


def _asked(judgements: Sequence[Judgement]) -> frozenset[Asked]:
    return frozenset((one.language, one.id, one.gold) for one in judgements)


def _with_test_sets_apart(loaded: Sequence[Loaded]) -> list[Loaded]:
    """The results, an own test set called `test of RESULT` where an earlier result has another one of the same name."""
    seen: dict[str, list[frozenset[Asked]]] = {}
    renamed = []
    for one in loaded:
        names = {}
        for benchmark in one.data.benchmarks:
            problems = _problems(one, benchmark)
            others = [other for other in seen.get(benchmark, ()) if problems and not _are_one(problems, other)]
            names[benchmark] = f"{benchmark} of {one.label}" if others and benchmark not in BENCHMARKS else benchmark
            seen.setdefault(benchmark, []).append(problems)
        renamed.append(dataclasses.replace(one, data=_with_benchmarks(one.data, names)))
    return renamed


def _problems(one: Loaded, benchmark: str) -> frozenset[Asked]:
    """The problems of a test set, as far as the answers of one system are there."""
    found = (one.judgements(system, benchmark) for system in one.data.scores_on(benchmark))
    return next((_asked(judgements) for judgements in found if not isinstance(judgements, str)), frozenset())


def _are_one(problems: frozenset[Asked], others: frozenset[Asked]) -> bool:
    """Whether two sets of problems are of one test set: in the languages of both, the larger holds the smaller."""
    languages = {code for code, *_ in problems} & {code for code, *_ in others}
    here, there = ({row for row in rows if row[0] in languages} for rows in (problems, others))
    return not languages or here <= there or there <= here


def _with_benchmarks(data: Content, names: Mapping[str, str]) -> Content:
    """Results with other names of test sets."""

    def renamed(by_system: Mapping[str, Mapping[str, Part]]) -> dict[str, dict[str, Part]]:
        return {system: {names.get(b, b): value for b, value in row.items()} for system, row in by_system.items()}

    return replace(
        data,
        systems=renamed(data.systems),
        consistency=renamed(data.consistency),
        judgements=renamed(data.judgements),
        published=renamed(data.published),
        comparisons=[replace(row, benchmark=names.get(row.benchmark, row.benchmark)) for row in data.comparisons],
    )


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
            rows += [
                [
                    f"{titles.system(a)} - {titles.system(b)}",
                    titles.benchmark(benchmark),
                    group_name(group, titles),
                    f"{accuracy(first[group]) - accuracy(second[group]):+.1f}",
                ]
                for group in (NON_ENGLISH, "en")
                if group in first and group in second
                if group == "en" or set(filter(is_language, first)) == set(filter(is_language, second))
            ]
            known = [faults[name, benchmark] for name in (a, b) if (name, benchmark) in faults]
            for reason in known or notes or [_other_problems(merged, a, b, benchmark, titles)]:
                reasons[reason] = None
    if not reasons:
        return []
    note = f"No tests, for not all answers can be compared problem by problem. {'. '.join(reasons)}."
    columns = ["difference", "benchmark", "languages", "points"]
    rows = rows or [["none", "-", "-", "-"]]
    return [Table(f"{DIFFERENCES} of scores, not tested", columns, rows, note, section="comparisons")]


def _other_problems(merged: Content, a: str, b: str, benchmark: str, titles: Titles) -> str:
    """How the problems that two systems answered differ."""
    scores = merged.scores_on(benchmark)
    counts = [{code: row.n for code, row in scores[name].items() if is_language(code)} for name in (a, b)]
    if counts[0] == counts[1]:
        return "they did not answer the same problems in the same languages"
    answered = [f"{titles.system(name)} answered {sum(n.values()):,}" for name, n in zip((a, b), counts, strict=True)]
    return f"{' and '.join(answered)} problems of {titles.benchmark(benchmark)}"
