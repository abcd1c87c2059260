"""Reads a corpus in its hub layout, from the hub or from a local clone.

No code of a dataset is run. A dataset on the hub is downloaded whole, at one commit, and read from the cache like a clone.
The library `datasets` is not asked for a name on the hub: when the hub fails, it takes any commit in its own cache.

GSM8KInstruct is framed: a prompt is `... completes the request in {Language}. Please answer in {Language}.`, then the question
between `### Instruction:` and `### Response:`. The language is read from this prompt prefix, never guessed from the question.
No row names its problem: an English row starts a problem, and the rows up to the next one are its translations. That order
is checked twice. No language occurs twice in a problem. The final numbers of translations and of their English answers
agree in all but a few. The rows of the crossed corpus have such prompts too. Its questions are all in English, and the rows with
the same question are of one problem.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError, nearest
from ..huggingface import Repository, fetch
from ..languages import LANGUAGES, Language, language
from ..numbers import find_numbers
from ..untrusted import one_line
from ..wording import counted
from .columns import COLUMNS, Found, final_line, final_number
from .files import INSTALL, Row, lines
from .table import CORPORA, PAIR_KINDS, Hub, Role

if TYPE_CHECKING:
    from .source import Source

LOCAL = "give it as local files, by path or in a data folder (--data)"
DATA_FILES = (
    "*.parquet", "*.json", "*.jsonl", "*.csv", "*.tsv", "*.txt", "*.arrow", "*.gz", "*.bz2", "*.xz", "*.zst", "*.zip", "*.yaml",
    "README.md",
)  # fmt: skip
"""The files downloaded from a dataset: data, and the card that lists the files of a config. No scripts."""
MOST_DISAGREEING = 0.2
"""The largest share of a language's rows whose final number differs from the English one. Machine translations differ in
some rows. A grouping that is off by one differs in nearly all."""
ADVICE = "give the pairs as local files: a folder with bn-en/train.bn and bn-en/train.en (see docs/data.md)"

Group = dict[str, Found]
"""The question and the answer of one problem, by language."""


def found(source: Source, languages: Sequence[str], table: Mapping[str, Language]) -> tuple[Iterable[Found], list[str]]:
    """The rows of a hub dataset with our column names, and notes. Raises DataError if they cannot be read."""
    hub = CORPORA[source.name].hub
    assert hub is not None
    if hub.layout not in ("framed", "crossed"):
        return _by_language(source, hub, languages, table), []
    codes = {row.name: row.code for row in table.values()}
    rows = ((where, *_unframed(where, row, codes)) for where, row in _table_rows(source, hub, None))
    groups = _grouped(rows) if hub.layout == "framed" else _grouped_by_question(rows)
    notes = _disagreements(groups, source.name, languages, table)
    return _of_role(groups, source.role, languages), notes


def _by_language(source: Source, hub: Hub, languages: Sequence[str], table: Mapping[str, Language]) -> Iterator[Found]:
    english: dict[object, str] = {}
    if hub.beside is not None:
        config = hub.pattern(hub.config, language(hub.beside, table))
        english = {row["id"]: row["text"] for _, row in _table_rows(source, hub, config)}
    for code in languages:
        if hub.layout == "tsv":
            rows = _tsv_rows(source, hub.pattern(hub.file, language(code, table)) or "")
        else:
            rows = _table_rows(source, hub, hub.pattern(hub.config, language(code, table)))
        for ordinal, (where, row) in enumerate(rows):
            if hub.beside is not None:
                if row["id"] not in english:
                    raise DataError(f"{where}: the id '{row['id']}' is not on the English side; fetch the corpus again")
                row = {**row, "text_en": english[row["id"]]}
            yield Found(where=where, language=code, ordinal=ordinal, row=row)


def _table_rows(source: Source, hub: Hub, config: str | None) -> Iterator[tuple[str, Row]]:
    """The rows of one config, with our column names and no other columns."""
    place, folder = " ".join(filter(None, [_label(source), config])), _folder(source, DATA_FILES)
    try:
        import datasets

        loaded = datasets.load_dataset(str(folder), config, split=hub.split)
    except ImportError as error:
        raise DataError(f"{place}: {INSTALL}") from error
    except Exception as error:  # the library raises many kinds; the user needs advice for all
        reason = one_line(error)
        known = "it has no such language" if "BuilderConfig" in reason else "it cannot be read"
        raise DataError(f"{place}: {known} ({reason}): leave the language out, fetch it again, or {LOCAL}") from error
    for theirs in hub.columns.values():
        if theirs not in loaded.column_names:
            raise DataError(
                f"{place} has no column '{theirs}', only {', '.join(loaded.column_names)}: its layout has changed; ask for an "
                f"earlier revision (NAME@REVISION), or {LOCAL}"
            )
    number = 0
    try:
        for number, row in enumerate(loaded, start=1):
            yield f"{place} row {number}", {ours: row[theirs] for ours, theirs in hub.columns.items()}
    except (UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{place} row {number + 1} cannot be read ({one_line(error)}): {LOCAL}") from error


def _tsv_rows(source: Source, name: str) -> Iterator[tuple[str, Row]]:
    """The rows of a file `question TAB answer`, without header and quotes."""
    path = _folder(source, [name]) / name
    if not path.is_file():
        raise DataError(f"{_label(source)} has no {name}: leave the language out, or {LOCAL}")
    for where, line in lines(path):
        cells = line.split("\t")
        if len(cells) != 2:
            raise DataError(
                f"{where} has {counted(len(cells), 'cell')}, not 2 (question TAB answer); fetch the file again"
            )
        yield where, {"question": cells[0], "answer": cells[1]}


def _label(source: Source) -> str:
    return str(source.path) if source.path else f"{source.hub}@{source.revision}"


def _folder(source: Source, patterns: Sequence[str]) -> Path:
    """The folder of a clone, or of the dataset at the revision in the hub's cache."""
    if source.path:
        return source.path
    assert source.hub is not None
    assert source.revision is not None
    return fetch(Repository("dataset", source.hub, source.role), source.revision, patterns)


def _grouped(rows: Iterable[tuple[str, str, Row]]) -> list[Group]:
    """The problems, English first in each, of rows with places and languages. Raises DataError if they are not grouped."""
    groups: list[Group] = []
    for where, code, texts in rows:
        if code == "en":
            groups.append({})
        elif not groups:
            raise DataError(f"{where} is in {code} before any English row opened a problem: {ADVICE}")
        if code in groups[-1]:
            earlier = groups[-1][code].where
            raise DataError(f"{where} is the second {code} row of one problem, after {earlier}: {ADVICE}")
        groups[-1][code] = Found(where=where, language=code, ordinal=len(groups) - 1, row=texts)
    return groups


def _grouped_by_question(rows: Iterable[tuple[str, str, Row]]) -> list[Group]:
    """The problems, each the rows with its question. Raises DataError if a question is not in English."""
    groups: dict[tuple[str, int], Group] = {}
    asked = Counter[tuple[str, str]]()
    for where, code, texts in rows:
        question = " ".join(texts["question"].split())
        # A question that a language has twice is that of two problems.
        group = groups.setdefault((question, asked[code, question]), {})
        group[code] = Found(where=where, language=code, ordinal=0, row=texts)
        asked[code, question] += 1
    alone = [next(iter(group.values())) for group in groups.values() if "en" not in group]
    if len(alone) > MOST_DISAGREEING * len(groups):
        raise DataError(
            f"{alone[0].where} and {counted(len(alone) - 1, 'other question')} of {len(groups):,} stand in no English row; the "
            f"questions of this corpus are in English: is it MGSM8KInstruct_Cross? Fetch it again, or {LOCAL}"
        )
    return [
        {code: replace(found, ordinal=ordinal) for code, found in group.items()}
        for ordinal, group in enumerate(groups.values())
    ]


def _unframed(where: str, row: Row, codes: Mapping[str, str]) -> tuple[str, Row]:
    """The language of one row, by its prompt prefix, and its question and answer."""
    prompt, answer = row["prompt"], row["answer"]
    if not isinstance(prompt, str) or not isinstance(answer, str):
        raise DataError(f"{where}: 'prompt' and the answer must both be texts; fetch the corpus again")
    prefix, opened, rest = prompt.partition("### Instruction:")
    question, closed, after = rest.rpartition("### Response:")
    if not opened or not closed or after.strip():
        raise DataError(f"{where}: the prompt is not '... ### Instruction: ... ### Response:': is it GSM8KInstruct?")
    names = sorted(set(re.findall(r"\bin ([A-Z]\w+)", prefix)))
    if len(names) != 1 or names[0] not in codes:
        found = " and ".join(names) or "no language"
        raise DataError(f"{where}: the prompt prefix names {found}; it must name one language: {nearest(found, codes)}")
    return codes[names[0]], {"question": question.strip(), "answer": answer.strip()}


def _disagreements(
    groups: Iterable[Group], corpus: str, languages: Sequence[str], table: Mapping[str, Language]
) -> list[str]:
    """Notes on the answers whose final number is not the English one, by language.

    Raises DataError if a language has more of them than `MOST_DISAGREEING`.
    """
    compared, differing = Counter[str](), Counter[str]()
    for group in groups:
        english = final_values(group["en"].row["answer"], LANGUAGES["en"]) if "en" in group else set()
        for code, rendition in group.items():
            if code == "en" or code not in languages:
                continue
            # A run's table says no more of a language than its name: the separators are those of the package's table.
            values = final_values(rendition.row["answer"], LANGUAGES.get(code, table[code]))
            if english and values:
                compared[code] += 1
                differing[code] += english.isdisjoint(values)
    for code, count in differing.items():
        if count > MOST_DISAGREEING * compared[code]:
            raise DataError(
                f"{corpus}: in {count} of {compared[code]} {code} answers the final number is not that of the "
                f"English answer in the same group, so the rows are not grouped by problem: {ADVICE}"
            )
    counts = ", ".join(f"{code} {differing[code]} of {compared[code]}" for code in differing)
    return [f"{corpus}: final numbers that differ from the English answer's: {counts}"] if counts else []


def final_values(answer: str, spoken: Language) -> set[Fraction]:
    """The values that the final line of an answer may have.

    Numbers are read as its language and as English write them: many machine translations keep English separators. The set
    is empty where the line is missing or holds no number or several.
    """
    line = final_line(answer) or ""
    readings = [find_numbers(line, reader) for reader in (spoken, LANGUAGES["en"])]
    return {numbers[0].value for numbers in readings if len(numbers) == 1}


def _of_role(groups: Iterable[Group], role: Role, languages: Sequence[str]) -> Iterator[Found]:
    """The rows of a role, with our column names. The id is the problem's ordinal, the gold number that of the English answer."""
    for group in groups:
        gold = final_number(group["en"].row["answer"]) if role == "multilingual" and "en" in group else None
        for rendition in (group[code] for code in languages if code in group):
            row = rendition.row
            if role in PAIR_KINDS:
                name, name_en = COLUMNS[role][0]
                row = {name: row[name], name_en: group["en"].row[name]}
            elif gold is not None:
                row = {**row, "gold": gold}
            yield Found(where=rendition.where, language=rendition.language, ordinal=rendition.ordinal, row=row)
