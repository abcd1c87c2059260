"""Writes a small corpus in two languages that the package does not know, in the files that a run takes.

    python examples/own_languages.py mine

One kind of problem, told with different people, things and numbers: parallel questions in Vietnamese and Indonesian, questions
with worked answers in all three languages, a test set, and a row for each of the two languages.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path

PEOPLE = ("Anna", "Minh", "Budi", "Sara", "Lan", "Tom")
THINGS = {
    "en": ("apples", "pens", "books", "eggs", "cups"),
    "vi": ("quả táo", "cây bút", "quyển sách", "quả trứng", "cái cốc"),
    "id": ("apel", "pena", "buku", "telur", "cangkir"),
}
QUESTIONS = {
    "en": (
        "{who} has {a} {thing} and buys {b} more. How many {thing} does {who} have?",
        "{who} has {a} {thing} and gives away {b}. How many {thing} are left?",
    ),
    "vi": (
        "{who} có {a} {thing} và mua thêm {b}. {who} có bao nhiêu {thing}?",
        "{who} có {a} {thing} và cho đi {b}. Còn lại bao nhiêu {thing}?",
    ),
    "id": (
        "{who} punya {a} {thing} dan membeli {b} lagi. Berapa {thing} yang {who} punya?",
        "{who} punya {a} {thing} dan memberikan {b}. Berapa {thing} yang tersisa?",
    ),
}
LANGUAGES = """\
[[language]]
code = "vi"
name = "Vietnamese"
decimal = ","
groups = "."

[[language]]
code = "id"
name = "Indonesian"
decimal = ","
groups = "."
"""


def problems(count: int, seed: int) -> list[dict[str, dict[str, str | int]]]:
    """Problems by language, each with its question, its worked answer and its number; no problem is there twice."""
    random_state = random.Random(seed)
    stories = [
        (kind, who, thing, a, b)
        for kind in (0, 1)
        for who in PEOPLE
        for thing in range(len(THINGS["en"]))
        for a in range(2, 10)
        for b in range(1, a)
    ]
    random_state.shuffle(stories)
    return [
        {
            language: {
                "question": questions[kind].format(who=who, thing=THINGS[language][thing], a=a, b=b),
                "answer": f"{a} {'+-'[kind]} {b} = {a - b if kind else a + b}. #### {a - b if kind else a + b}",
                "number": a - b if kind else a + b,
            }
            for language, questions in QUESTIONS.items()
        }
        for kind, who, thing, a, b in stories[:count]
    ]


def write(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Writes rows as JSONL, with the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    drawn = problems(1500, seed=1)
    training, test = drawn[:1400], drawn[1400:]
    for language in ("vi", "id"):
        rows = [{"question": row[language]["question"], "question_en": row["en"]["question"]} for row in training]
        write(folder / "questions" / f"{language}.jsonl", rows)
    for language in ("en", "vi", "id"):
        rows = [{name: row[language][name] for name in ("question", "answer")} for row in training]
        write(folder / "multilingual" / f"{language}.jsonl", rows)
    english = [{name: row["en"][name] for name in ("question", "answer")} for row in training]
    write(folder / "english.jsonl", english)
    for language in ("en", "vi", "id"):
        rows = [{"question": row[language]["question"], "answer": row[language]["number"]} for row in test]
        write(folder / "test" / f"{language}.jsonl", rows)
    (folder / "languages.toml").write_text(LANGUAGES, encoding="utf-8")
    print(
        f"{folder}: {len(training)} problems to train on and {len(test)} to test on, in English, Vietnamese, Indonesian"
    )


if __name__ == "__main__":
    main()
