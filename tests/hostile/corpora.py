"""`qalign check` on damaged own data, in every role: columns, values, files, names of files."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .mutations import FILE_FAULTS, GZIP_FAULTS, JSON_WORDS, NEVER_RIGHT, dumps, with_key_twice
from .scoring import LINES, as_csv
from .trial import Call, Check, Result, Run, Trial, judged

# Role -> the file that is damaged, and the columns that it needs.
ROLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "questions": ("questions/de.jsonl", ("question", "question_en")),
    "multilingual": ("multilingual/sw.jsonl", ("question", "answer")),
    "english": ("english.jsonl", ("question", "answer")),
    "general": ("general/fr.jsonl", ("text", "text_en")),
    "test": ("test/de.jsonl", ("question", "answer")),
}
PLACE = 2

WRONG_TEXT = {
    "null": "null", "true": "true", "number": "5", "list": "[]", "object": "{}", "empty": '""', "blank": '" \\t "',
    "zero-width": '"\\u200b\\u200d\\ufeff"', "newline": '"\\n"',
}  # fmt: skip
WRONG_GOLD = {
    "null": "null", "true": "true", "list": "[]", "object": "{}", "empty": '""', "word": '"abc"', "nan-text": '"nan"',
    "infinite": '"inf"', "unit": '"12 apples"', "signs": '"--5"', "commas": '"1,2,3"', "two": '"3 4"', "sum": '"3+4"',
    "many-digits": "1" + "0" * 5000,
}  # fmt: skip
WRONG_ID = {"null": "null", "true": "true", "list": "[]", "object": "{}", "half": "1.5", "empty": '""', "blank": '"  "'}
WRONG_LANGUAGE = {
    "number": "5",
    "list": "[]",
    "empty": '""',
    "other": '"th"',
    "unknown": '"xx"',
    "upper": '"DE"',
    "escape": '"d\\u001be"',
}


def trials(fixtures: Path, seed: int) -> Iterator[Trial]:
    """All trials of own data."""
    for role, (file, columns) in ROLES.items():
        rows = [json.loads(line) for line in (fixtures / "own" / file).read_text(encoding="utf-8").splitlines()]
        yield trial(f"check-{role}/valid", fixtures, role, lambda folder: None, None, same(fixtures, role))
        for column in columns:
            number = role == "test" and column == "answer"
            values = {**(WRONG_GOLD if number else WRONG_TEXT), **NEVER_RIGHT}
            for name, raw in values.items():
                words = (column, f"line {PLACE + 1}", *JSON_WORDS)
                yield line_trial(f"{column}-{name}", fixtures, role, rows, dumps(rows[PLACE], (column,), raw), words)
            left = {key: value for key, value in rows[PLACE].items() if key != column}
            yield line_trial(f"{column}-dropped", fixtures, role, rows, dumps(left), (column,))
            upper = {key.upper() if key == column else key: value for key, value in rows[PLACE].items()}
            yield line_trial(f"{column}-upper", fixtures, role, rows, dumps(upper), (column,))
            twice = with_key_twice(rows[PLACE], column, '"other 5"')
            yield line_trial(f"{column}-twice", fixtures, role, rows, twice, (column, "twice"))
        for name, raw in {**WRONG_ID, **NEVER_RIGHT}.items():
            odd = dumps({**rows[PLACE], "id": None}, ("id",), raw)
            yield line_trial(f"id-{name}", fixtures, role, rows, odd, ("id", *JSON_WORDS))
        for name, raw in WRONG_LANGUAGE.items():
            odd = dumps({**rows[PLACE], "language": None}, ("language",), raw)
            accepted = same(fixtures, role) if name == "empty" else None  # not given
            yield line_trial(f"language-{name}", fixtures, role, rows, odd, ("language",), accepted)
        yield line_trial("unknown-column", fixtures, role, rows, dumps({**rows[PLACE], "qestion": "x"}), ("qestion",))
        steering = dumps({**rows[PLACE], "q\x1b]52;c;eA==\x07": "x"})
        yield line_trial("steering-column", fixtures, role, rows, steering, ("column",))
        for name, line in LINES.items():
            yield line_trial(f"line-{name}", fixtures, role, rows, line, (f"line {PLACE + 1}",))
        if "id" in rows[0]:
            yield line_trial(
                "id-again", fixtures, role, rows, dumps({**rows[PLACE], "id": rows[0]["id"]}), ("id", "twice")
            )
            integer = dumps({**rows[PLACE], "id": int(rows[0]["id"])})
            yield line_trial("id-again-as-number", fixtures, role, rows, integer, ("id", "twice"))
        yield from file_trials(fixtures, role, file, rows)
        if role != "english":
            yield from folder_trials(fixtures, role, file)


def line_trial(
    name: str,
    fixtures: Path,
    role: str,
    rows: list[dict[str, Any]],
    line: str,
    words: Sequence[str],
    accepted: Check | None = None,
) -> Trial:
    """One line of a file is wrong."""

    def change(folder: Path) -> None:
        texts = [dumps(row) for row in rows]
        texts[PLACE] = line
        data = "".join(text + "\n" for text in texts)
        (folder / "own" / ROLES[role][0]).write_bytes(data.encode("utf-8", "surrogatepass"))

    return trial(f"check-{role}/{name}", fixtures, role, change, words, accepted)


def file_trials(fixtures: Path, role: str, file: str, rows: list[dict[str, Any]]) -> Iterator[Trial]:
    """A file is wrong as a whole."""
    valid = (fixtures / "own" / file).read_bytes()
    for name, (damage, harmless) in FILE_FAULTS.items():
        refused = None if harmless is True else ("",)
        accepted = None if harmless is False else same(fixtures, role)
        data = damage(valid)
        yield trial(
            f"check-{role}/file-{name}",
            fixtures,
            role,
            lambda f, d=data: (f / "own" / file).write_bytes(d),
            refused,
            accepted,
        )
    if role == "english":
        return
    stem = file.removesuffix(".jsonl")

    def instead(name: str, data: bytes) -> Callable[[Path], None]:
        def change(folder: Path) -> None:
            (folder / "own" / file).unlink()
            (folder / "own" / f"{stem}{name}").write_bytes(data)

        return change

    for name, (damage, harmless) in GZIP_FAULTS.items():
        refused = None if harmless is True else ("",)
        accepted = None if harmless is False else same(fixtures, role)
        yield trial(f"check-{role}/gz-{name}", fixtures, role, instead(".jsonl.gz", damage(valid)), refused, accepted)
    table = as_csv(rows)
    yield trial(f"check-{role}/csv", fixtures, role, instead(".csv", table), None, same(fixtures, role))
    for delimiter in ";\t":
        data = as_csv(rows, delimiter)
        words = ("semicolon", "';'") if delimiter == ";" else ("tab", "'\\t'")
        yield trial(
            f"check-{role}/csv-{ord(delimiter)}", fixtures, role, instead(".csv", data), words, same(fixtures, role)
        )
    long = [
        {**row, name: "so it goes on. " * 20000} for row in rows[:1] for name in row if name in ("question", "text")
    ]
    more = as_csv([*long[:1], *rows[1:]])
    yield trial(f"check-{role}/csv-long-cell", fixtures, role, instead(".csv", more), None, same(fixtures, role))
    for ending in (".JSONL", ".json", ".ndjson", ".tsv", ".txt", ".jsonl.bz2", ".v2.jsonl", ".jsonl.bak", ".Jsonl.gz"):
        stemmed = Path(stem).name
        words = (f"{stemmed}{ending}", stemmed)
        yield trial(f"check-{role}/ending{ending}", fixtures, role, instead(ending, valid), words, same(fixtures, role))


def folder_trials(fixtures: Path, role: str, file: str) -> Iterator[Trial]:
    """A folder holds what it should not: a language twice, a pipe, a loop, names that steer a terminal."""
    place = Path("own") / Path(file).parent

    def add(name: str, build: Callable[[Path], Any]) -> Callable[[Path], None]:
        return lambda folder: build(folder / place / name)

    def pipe(path: Path) -> None:
        import os

        path.unlink(missing_ok=True)
        os.mkfifo(path)

    def loop(path: Path) -> None:
        path.unlink(missing_ok=True)
        path.symlink_to(path.name)

    def folder_for_file(path: Path) -> None:
        path.unlink()
        path.mkdir()

    name = Path(file).name
    code = name.removesuffix(".jsonl")
    for what, change in {
        "language-twice": add(f"{code}.csv", lambda path: path.write_text("x")),
        "pipe": add(name, pipe),
        "loop": add(name, loop),
        "folder": add(name, folder_for_file),
        "missing": add(name, lambda path: path.unlink()),
        "zeros": add(name, lambda path: (path.unlink(), path.symlink_to("/dev/zero"))),
    }.items():
        words = ("--languages", "de,sw,fr")
        yield trial(f"check-{role}/{what}", fixtures, role, change, (code,), None, words)
    for number, odd in enumerate(
        (
            "e\x1b[31m.jsonl",
            "n\new.jsonl",
            "\u202ede.jsonl",
            "average.jsonl",
            "all.jsonl",
            "xx.jsonl",
            "DE.jsonl",
            ".jsonl",
            "..jsonl",
            "non_english.jsonl",
        )
    ):
        copy = add(odd, lambda path: shutil.copy(path.with_name(name), path))
        accepted = same(fixtures, role)
        yield trial(f"check-{role}/odd-name-{number}", fixtures, role, copy, ("",), accepted)
    for what, change in {
        "notes": add("README.md", lambda path: path.write_text("x")),
        "hidden": add(".DS_Store", lambda path: path.write_bytes(b"\0")),
    }.items():
        yield trial(f"check-{role}/beside-{what}", fixtures, role, change, ("README", "DS_Store"), same(fixtures, role))


def trial(
    name: str,
    fixtures: Path,
    role: str,
    change: Callable[[Path], Any],
    refused: Sequence[str] | None,
    accepted: Check | None = None,
    words: Sequence[str] = (),
) -> Trial:
    """The own data of a role, changed, then checked."""

    def run(folder: Path, draw: random.Random) -> Run:
        part = ROLES[role][0].split("/")[0]
        (folder / "own").mkdir()
        if (fixtures / "own" / part).is_dir():
            shutil.copytree(fixtures / "own" / part, folder / "own" / part)
        else:
            shutil.copy(fixtures / "own" / part, folder / "own" / part)
        change(folder)
        result = yield Call(["check", f"own/{part}", "--role", role, *words])
        return judged(result, refused=refused, accepted=accepted)

    return Trial(name, run)


def same(fixtures: Path, role: str) -> Check:
    """Whether as many rows in as many languages were read as there are: six in each."""
    languages = {"english": 1, "questions": 3, "general": 3, "test": 4, "multilingual": 4}[role]

    def check(result: Result) -> str | None:
        counted = [line.split()[1] for line in result.stdout.splitlines() if line.startswith("all ")]
        right = counted == [str(6 * languages)]
        return None if right else f"not {6 * languages} rows: {result.stdout[-400:]}"

    return check
