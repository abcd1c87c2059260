"""Prompts that name their language, grouped by problem: GSM8KInstruct on the hub.

A prompt is `... completes the request in {Language}. Please answer in {Language}.`, then the question between
`### Instruction:` and `### Response:`. The language is read from this prompt prefix, never guessed from the question. No
row names its problem: an English row starts a problem, and the rows up to the next one are its translations. That order
is checked twice. No language occurs twice in a problem. The final numbers of translations and of their English answers
agree in all but a few.

Final numbers are read as scoring reads numbers. The corpus writes them with units, signs, fractions, commas and native
digits. A line with no number or several is not compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from ..errors import DataError, nearest
from ..languages import LANGUAGES, Language
from ..numbers import find_numbers
from .columns import COLUMNS, Found, final_line
from .files import Row
from .table import PAIR_KINDS, Role

MOST_DISAGREEING = 0.2
"""The largest share of a language's rows whose final number differs from the English one. Machine translations differ in
some rows. A grouping that is off by one differs in nearly all."""
ADVICE = "give the pairs as local files: a folder with bn-en/train.bn and bn-en/train.en (see docs/data.md)"

Group = dict[str, Found]
"""The question and the answer of one problem, by language."""


def grouped(rows: Iterable[tuple[str, Row]], table: Mapping[str, Language]) -> list[Group]:
    """The problems, English first in each. Raises DataError if a prompt is malformed, or rows are not grouped."""
    codes = {row.name: row.code for row in table.values()}
    groups: list[Group] = []
    for where, row in rows:
        code, texts = _unframed(where, row, codes)
        if code == "en":
            groups.append({})
        elif not groups:
            raise DataError(f"{where} is in {code} before any English row opened a problem: {ADVICE}")
        if code in groups[-1]:
            earlier = groups[-1][code].where
            raise DataError(f"{where} is the second {code} row of one problem, after {earlier}: {ADVICE}")
        groups[-1][code] = Found(where=where, language=code, ordinal=len(groups) - 1, row=texts)
    return groups


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


def disagreements(
    groups: Iterable[Group], corpus: str, languages: Sequence[str], table: Mapping[str, Language]
) -> list[str]:
    """Notes on the answers whose final number is not the English one, by language.

    Raises DataError if a language has more of them than `MOST_DISAGREEING`.
    """
    compared, differing = Counter[str](), Counter[str]()
    for group in groups:
        english = final_values(group["en"].row["answer"], LANGUAGES["en"])
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


def final_values(answer: str, language: Language) -> set[Fraction]:
    """The values that the final line of an answer may have.

    Numbers are read as its language and as English write them: many machine translations keep English separators. The set
    is empty where the line is missing or holds no number or several.
    """
    line = final_line(answer) or ""
    readings = [find_numbers(line, reader) for reader in (language, LANGUAGES["en"])]
    return {numbers[0].value for numbers in readings if len(numbers) == 1}


def found(groups: Iterable[Group], role: Role, languages: Sequence[str]) -> Iterator[Found]:
    """The rows of a role, with our column names. The id is the problem's ordinal."""
    for group in groups:
        for rendition in (group[code] for code in languages if code in group):
            row = rendition.row
            if role in PAIR_KINDS:
                name, name_en = COLUMNS[role][0]
                row = {name: row[name], name_en: group["en"].row[name]}
            yield Found(where=rendition.where, language=rendition.language, ordinal=rendition.ordinal, row=row)
