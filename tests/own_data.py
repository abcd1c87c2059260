"""A small parallel corpus of one's own, in every role that a study asks for: what tests of several folders share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

LANGUAGES = ("de", "sw", "fr")
ROWS = 6
TWO_LANGUAGES = ("--base", "tiny", "--scale", "sample", "--languages", "de,sw", "--test-languages", "de,en")
"""The options of a study of the data in two languages."""

# One problem in each language; {a} and {b} are its numbers.
_TEXTS = {
    "en": ("Anna has {a} apples and buys {b} more. How many has she?", "She has {a} + {b} = {c} apples."),
    "de": ("Anna hat {a} Äpfel und kauft {b} dazu. Wie viele hat sie?", "Sie hat {a} + {b} = {c} Äpfel."),
    "sw": ("Anna ana tufaha {a} na ananunua {b} zaidi. Ana ngapi?", "Ana tufaha {a} + {b} = {c}."),
    "fr": ("Anna a {a} pommes et en achète {b}. Combien en a-t-elle ?", "Elle a {a} + {b} = {c} pommes."),
    "vi": ("Anna có {a} quả táo và mua thêm {b} quả. Anna có bao nhiêu?", "Anna có {a} + {b} = {c} quả táo."),
    "id": ("Anna punya {a} apel dan membeli {b} lagi. Berapa apelnya?", "Anna punya {a} + {b} = {c} apel."),
}


@dataclass(frozen=True)
class OwnData:
    """Paths of one's own data in every role; `supervised` is English too, but other text."""

    questions: Path
    multilingual: Path
    english: Path
    supervised: Path
    general: Path
    test: Path

    def options(self, *roles: str) -> list[str]:
        """The options of the command line that name the data of some roles."""
        return [word for role in roles for word in (f"--{role}", str(getattr(self, role)))]


def with_option(words: Iterable[Any], option: str, value: object) -> list[Any]:
    """The words of a command with another value of an option."""
    given = list(words)
    given[given.index(option) + 1] = value
    return given


def texts(language: str, number: int) -> dict[str, Any]:
    """The question, the worked answer and the final number of a problem in a language."""
    a, b = 3 + number, 2 + 5 * number
    question, answer = (text.format(a=a, b=b, c=a + b) for text in _TEXTS[language])
    return {"question": question, "answer": f"{answer} #### {a + b}", "final": a + b}


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Writes rows as JSONL, with the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_own_data(folder: Path, languages: Iterable[str] = LANGUAGES) -> OwnData:
    """Writes the corpus in every role, with English beside the languages where the role has it."""
    data = OwnData(**{f.name: folder / f.name for f in fields(OwnData) if f.name not in ("english", "supervised")},
                   english=folder / "english.jsonl", supervised=folder / "supervised.jsonl")  # fmt: skip
    english = [texts("en", number) for number in range(ROWS)]
    for code in (*languages, "en"):
        file = f"{code}.jsonl"
        rows = [
            {"id": str(number), **here, **{f"{name}_en": english[number][name] for name in ("question", "answer")}}
            for number, here in enumerate(texts(code, number) for number in range(ROWS))
        ]
        write(data.multilingual / file, _columns(rows, "id", "question", "answer", "question_en", "answer_en"))
        write(
            data.test / file, [{"id": row["id"], "question": row["question"], "answer": row["final"]} for row in rows]
        )
        if code != "en":
            write(data.questions / file, _columns(rows, "id", "question", "question_en"))
            write(data.general / file, [{"text": row["answer"], "text_en": row["answer_en"]} for row in rows])
    write(data.english, _columns(english, "question", "answer"))
    write(data.supervised, _columns(english[: ROWS // 2], "question", "answer"))
    return data


def _columns(rows: Iterable[Mapping[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [{name: row[name] for name in names} for row in rows]
