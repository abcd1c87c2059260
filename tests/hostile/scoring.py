"""`qalign score` on damaged files of predictions: JSONL, CSV, gzip and Parquet."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .mutations import FILE_FAULTS, GZIP_FAULTS, JSON_WORDS, NEVER_RIGHT, dumps, with_key_twice
from .trial import Call, Check, Outcome, Result, Run, Trial, judged

ROWS: list[dict[str, Any]] = [
    {"id": "1", "language": "en", "response": "He has 3 + 4 = 7.\nThe answer is 7.", "gold": "7", "finish": "stop"},
    {"id": "2", "language": "en", "response": "The answer is 8.", "gold": "9", "finish": "stop"},
    {"id": "1", "language": "de", "response": "Die Antwort ist 3,5.", "gold": "3.5", "finish": "stop"},
    {"id": "2", "language": "de", "response": "Ich weiß es nicht, äh.", "gold": "9", "finish": "stop"},
    {"id": "1", "language": "th", "response": "คำตอบคือ 12", "gold": "12", "finish": "length"},
    {"id": "x-3", "language": "zh", "response": "答案是18。", "gold": "18", "finish": "stop"},
]
OUTCOMES = ["correct", "wrong", "correct", "unanswered", "cut_off", "correct"]
PLACES = (0, 3, 5)

# Values that are wrong in a column, as JSON; a refusal names the column (or says what is wrong with the JSON).
WRONG: dict[str, dict[str, str]] = {
    "id": {"null": "null", "true": "true", "list": "[]", "object": "{}", "half": "1.5", "empty": '""', "blank": '"  "'},
    "response": {"null": "null", "true": "true", "number": "5", "list": '["x", "y"]', "object": '{"x": "x"}'},
    "gold": {
        "null": "null", "true": "true", "list": "[]", "object": "{}", "empty": '""', "word": '"abc"', "nan": '"NaN"',
        "infinite": '"Infinity"', "unit": '"12 apples"', "signs": '"--5"', "commas": '"1,2,3"', "exponent": '"1e999"',
    },
    "language": {
        "null": "null", "true": "true", "number": "5", "list": "[]", "object": "{}", "empty": '""', "unknown": '"xx"',
        "upper": '"EN"', "path": '"../de"', "name": '"English"', "average": '"average"', "nul": '"en\\u0000"',
    },
    "finish": {"number": "5", "list": "[]", "object": "{}", "unknown": '"done"', "upper": '"STOP"'},
}  # fmt: skip


def trials(fixtures: Path, seed: int) -> Iterator[Trial]:
    """All trials of `score`."""
    valid = "".join(dumps(row) + "\n" for row in ROWS).encode()
    yield trial("score-jsonl/valid", lambda f, d: write(f / "p.jsonl", valid), accepted=right)
    for column, values in WRONG.items():
        for name, raw in {**values, **NEVER_RIGHT}.items():
            for place in PLACES:
                data = lines(place, dumps(ROWS[place], (column,), raw))
                words = (f"'{column}'", column, *JSON_WORDS)
                yield trial(f"score-jsonl/{column}-{name}-{place}", plain(data), words)
    for place in PLACES:
        for column in ("id", "response", "gold", "language"):
            row = {key: value for key, value in ROWS[place].items() if key != column}
            yield trial(f"score-jsonl/{column}-dropped-{place}", plain(lines(place, dumps(row))), (column,))
            renamed = {key.upper() if key == column else key: value for key, value in ROWS[place].items()}
            yield trial(f"score-jsonl/{column}-key-upper-{place}", plain(lines(place, dumps(renamed))), (column,))
        for column in ROWS[0]:
            twice = with_key_twice(ROWS[place], column, '"x"')
            yield trial(f"score-jsonl/{column}-twice-{place}", plain(lines(place, twice)), (column,))
            same = with_key_twice(ROWS[place], column, json.dumps(ROWS[place][column]))
            yield trial(f"score-jsonl/{column}-twice-the-same-{place}", plain(lines(place, same)), (column,))
        for name, line in LINES.items():
            yield trial(f"score-jsonl/line-{name}-{place}", plain(lines(place, line)), (f"line {place + 1}",))
        again = "".join(dumps(row) + "\n" for row in [*ROWS, ROWS[place]]).encode()
        yield trial(f"score-jsonl/row-twice-{place}", plain(again), ("twice",))
        extra = dumps({**ROWS[place], "note": {"a": [1, None]}})
        yield trial(f"score-jsonl/extra-column-{place}", plain(lines(place, extra)), accepted=right)
        hostile = dumps({**ROWS[place], "note\x1b[31m\x07": 1})
        yield trial(f"score-jsonl/steering-column-{place}", plain(lines(place, hostile)), (), right)
        for name, text in {"esc": "\x1b]52;c;eA==\x07", "nul": "\0", "rtl": "\u202e"}.items():
            odd = {**ROWS[place], "id": f"a{text}b"}
            yield trial(f"score-jsonl/id-with-{name}-{place}", plain(lines(place, dumps(odd))), (), any_outcome)
            both = "".join(dumps(row) + "\n" for row in [*ROWS, odd, odd]).encode()
            yield trial(f"score-jsonl/id-with-{name}-twice-{place}", plain(both), ("twice", "id"))
            code = dumps({**ROWS[place], "language": f"e{text}n"})
            yield trial(f"score-jsonl/language-with-{name}-{place}", plain(lines(place, code)), ("language",))
            finish = dumps({**ROWS[place], "finish": f"st{text}op"})
            yield trial(f"score-jsonl/finish-with-{name}-{place}", plain(lines(place, finish)), ("finish",))
            gold = dumps({**ROWS[place], "gold": f"7{text}x"})
            yield trial(f"score-jsonl/gold-with-{name}-{place}", plain(lines(place, gold)), ("number", "gold"))
    yield from files("score-jsonl", ".jsonl", valid)
    table = as_csv(ROWS)
    yield from files("score-csv", ".csv", table)
    yield from csv_trials(table)
    yield from parquet_trials()
    yield from places_of_files(valid)
    yield from option_trials(valid)


LINES = {
    "no-json": "{",
    "list": "[1, 2]",
    "text": '"x"',
    "number": "5",
    "null": "null",
    "two-objects": "{} {}",
    "single-quotes": "{'id': 1}",
    "comment": "// {}",
    "trailing-comma": '{"id": "1",}',
    "blank": "",
    "spaces": "   ",
    "nul": "\0",
    "raw-newline-in-text": '{"id": "1\t"}',
}


def files(kind: str, ending: str, valid: bytes) -> Iterator[Trial]:
    """A damaged file as a whole, plain and gzipped."""
    for name, (change, harmless) in FILE_FAULTS.items():
        yield file_trial(f"{kind}/file-{name}", f"p{ending}", change(valid), harmless)
        if harmless is not True or name == "bom":
            yield file_trial(f"{kind}/gz-file-{name}", f"p{ending}.gz", gzip.compress(change(valid)), harmless)
    for name, (change, harmless) in GZIP_FAULTS.items():
        yield file_trial(f"{kind}/gz-{name}", f"p{ending}.gz", change(valid), harmless)
    rows = valid.rstrip(b"\n").split(b"\n")
    for cut in range(8):
        place = len(rows[0]) + 8 + cut * 31
        if valid[place - 1 : place] != b"\n" and valid[place : place + 1] != b"\n":
            yield file_trial(f"{kind}/cut-{cut}", f"p{ending}", valid[:place], False)


def file_trial(name: str, file: str, data: bytes, harmless: bool | None) -> Trial:
    """A file that is refused (False), read rightly (True), or one of the two (None)."""
    refused = None if harmless is True else ("",)
    accepted = None if harmless is False else right
    return trial(name, lambda folder, draw: write(folder / file, data), refused, accepted)


def csv_trials(table: bytes) -> Iterator[Trial]:
    header = table.split(b"\r\n")[0]
    for delimiter in ";\t|":
        data = as_csv(ROWS, delimiter)
        words = {";": ("semicolon", "';'"), "\t": ("tab", "'\\t'"), "|": ("|", "bar", "response")}[delimiter]
        yield trial(f"score-csv/delimiter-{ord(delimiter)}", named("p.csv", data), words, right)
    for name, data, words in (
        ("header-only", header + b"\r\n", ("empty", "no row")),
        ("header-twice", table.replace(b"finish", b"gold", 1), ("twice", "gold")),
        ("header-empty-name", table.replace(b",finish", b",", 1), ("",)),
        ("header-missing", table.split(b"\r\n", 1)[1], ("",)),
        ("cell-too-many", table.rstrip() + b",extra\r\n", ("cells",)),
        ("cell-too-few", table[: table.rstrip().rindex(b",")] + b"\r\n", ("cells",)),
        ("quote-open", table.replace(b"The answer is 8.", b'"The answer is 8.'), ("",)),
        ("quote-in-the-middle", table.replace(b"The answer is 8.", b'"The" answer is 8.'), ("",)),
        ("quote-behind", table + b'"', ("",)),
        ("nul-in-a-cell", table.replace(b"Die Antwort", b"Die\0Antwort"), None),
        ("blank-line", table.replace(b"\r\n2,en", b"\r\n\r\n2,en"), ("",)),
    ):
        either = {"nul-in-a-cell": right, "blank-line": right, "header-empty-name": any_outcome}
        accepted = either.get(name)
        yield trial(f"score-csv/{name}", named("p.csv", data), words if words is not None else ("",), accepted)
    for column, values in {
        "id": ["", "   "], "gold": ["", "abc", "nan", "inf", "1e999", "12 apples", "1,2,3"], "language": ["", "xx", "EN"],
        "finish": ["done", "None"],
    }.items():  # fmt: skip
        for number, value in enumerate(values):
            for place in PLACES:
                rows = [{**row, column: value} if where == place else row for where, row in enumerate(ROWS)]
                yield trial(f"score-csv/{column}-{number}-{place}", named("p.csv", as_csv(rows)), (column, "language"))
    long = [{**ROWS[0], "response": "so 3 + 4 is 7. " * 20000 + "The answer is 7."}, *ROWS[1:]]
    yield trial("score-csv/long-cell", named("p.csv", as_csv(long)), accepted=right)
    quoted = [{**ROWS[0], "response": 'He said "7",\n\nso the answer is 7.'}, *ROWS[1:]]
    yield trial("score-csv/quoted-newline", named("p.csv", as_csv(quoted)), accepted=right)
    yield trial("score-csv/quoted-all", named("p.csv", as_csv(ROWS, quoting=csv.QUOTE_ALL)), accepted=right)
    steering = as_csv([{"no\x1b]52;c;eA==\x07te": "x", **row} for row in ROWS])
    yield trial("score-csv/steering-column", named("p.csv", steering), (), right)


def parquet_trials() -> Iterator[Trial]:
    def table(change: Callable[[Any, Any], Any]) -> Callable[[Path, random.Random], Path]:
        def make(folder: Path, draw: random.Random) -> Path:
            import pyarrow
            import pyarrow.parquet

            made = change(pyarrow, pyarrow.Table.from_pylist(ROWS))
            pyarrow.parquet.write_table(made, folder / "p.parquet")
            return folder / "p.parquet"

        return make

    def column(name: str, make: Callable[[Any], Any]) -> Callable[[Path, random.Random], Path]:
        return table(lambda pa, t: t.set_column(t.schema.get_field_index(name), name, make(pa)))

    def cast(name: str, kind: str) -> Callable[[Path, random.Random], Path]:
        return table(
            lambda pa, t: t.set_column(t.schema.get_field_index(name), name, t[name].cast(getattr(pa, kind)()))
        )

    count = len(ROWS)
    yield trial("score-parquet/valid", table(lambda pa, t: t), accepted=right)
    for name in ROWS[0]:
        if name != "finish":
            yield trial(f"score-parquet/{name}-dropped", table(lambda pa, t, n=name: t.drop_columns([n])), (name,))
            nulls = column(name, lambda pa: pa.nulls(count))
            yield trial(f"score-parquet/{name}-nulls", nulls, (name,))
        texts = [row[name] for row in ROWS]
        bad = column(name, lambda pa, t=texts: _bad_utf8(pa, t))
        yield trial(f"score-parquet/{name}-bad-utf8", bad, ("row", "UTF-8"))
        yield trial(f"score-parquet/{name}-large", cast(name, "large_string"), accepted=right)
        encoded = table(lambda pa, t, n=name: t.set_column(t.schema.get_field_index(n), n, t[n].dictionary_encode()))
        yield trial(f"score-parquet/{name}-dictionary", encoded, accepted=right)
        for kind, make in {
            "binary": lambda pa, t=texts: pa.array([x.encode() for x in t], pa.binary()),
            "list": lambda pa, t=texts: pa.array([[x, x] for x in t]),
            "struct": lambda pa, t=texts: pa.array([{"other": x} for x in t]),
            "bool": lambda pa: pa.array([True] * count),
            "timestamp": lambda pa: pa.array(range(count), pa.timestamp("us")),
            "half-float": lambda pa: pa.array([0.5] * count, pa.float64()),
            "nan": lambda pa: pa.array([float("nan")] * count, pa.float64()),
            "decimal": lambda pa: pa.array(range(1, count + 1), pa.int32()).cast(pa.decimal128(20, 3)),
            "map": lambda pa, t=texts: pa.array([[(x, x)] for x in t], pa.map_(pa.string(), pa.string())),
            "duration": lambda pa: pa.array(range(count), pa.duration("s")),
        }.items():
            if (name == "gold" and kind in ("half-float", "decimal", "binary")) or kind == "binary":
                check: Check | None = right if kind == "binary" else any_outcome
            else:
                check = None
            yield trial(f"score-parquet/{name}-{kind}", column(name, make), (name, "UTF-8"), check)
    yield trial("score-parquet/no-rows", table(lambda pa, t: t.slice(0, 0)), ("empty", "no row"))
    yield trial("score-parquet/no-columns", table(lambda pa, t: pa.table({})), ("",))
    integers = column("id", lambda pa: pa.array(range(count), pa.int32()))
    yield trial("score-parquet/id-int32", integers, accepted=any_outcome)
    for name, change in {
        "cut-half": lambda b: b[: len(b) // 2],
        "cut-one": lambda b: b[:-1],
        "no-magic": lambda b: b"XXXX" + b[4:-4] + b"XXXX",
        "empty": lambda b: b"",
        "footer-length": lambda b: b[:-8] + b"\xff\xff\xff\x7f" + b[-4:],
        "footer-zero": lambda b: b[:-8] + b"\0\0\0\0" + b[-4:],
        "jsonl": lambda b: "".join(dumps(row) + "\n" for row in ROWS).encode(),
        "footer-flipped": lambda b: b[:-20] + bytes(x ^ 0xFF for x in b[-20:-8]) + b[-8:],
        "two-files": lambda b: b + b[:-30],
    }.items():

        def damaged(folder: Path, draw: random.Random, change: Callable[[bytes], bytes] = change) -> Path:
            path = table(lambda pa, t: t)(folder, draw)
            return write(path, change(path.read_bytes()))

        yield trial(f"score-parquet/file-{name}", damaged, ("p.parquet",))


def _bad_utf8(pa: Any, texts: Sequence[str]) -> Any:
    data = [text.encode() for text in texts]
    data[3] = data[3][:1] + b"\xff" + data[3][1:]
    array = pa.array(data, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(data), array.buffers())


def places_of_files(valid: bytes) -> Iterator[Trial]:
    """What stands where a file should: nothing, a folder, a loop, a pipe, a device, a file of another ending."""

    def make(name: str, build: Callable[[Path], Any]) -> Callable[[Path, random.Random], Path]:
        def prepare(folder: Path, draw: random.Random) -> Path:
            build(folder / name)
            return folder / name

        return prepare

    def pipe(path: Path) -> None:
        import os

        os.mkfifo(path)

    for ending in (".jsonl", ".csv", ".parquet", ".jsonl.gz"):
        name = f"p{ending}"
        for what, build in {
            "missing": lambda path: None,
            "folder": lambda path: path.mkdir(),
            "loop": lambda path: path.symlink_to(path.name),
            "dangling": lambda path: path.symlink_to("nowhere"),
            "pipe": pipe,
            "zeros": lambda path: path.symlink_to("/dev/zero"),
            "null-device": lambda path: path.symlink_to("/dev/null"),
            "below-a-file": lambda path: None,
        }.items():
            path = name if what != "below-a-file" else f"file/{name}"
            maker = make(path, build if what != "below-a-file" else lambda path: write(path.parent, b"x"))
            yield trial(f"score-places/{what}{ending}", maker, ("p.", "file"))
        for long in (300, 5000):
            yield trial(f"score-places/long-{long}{ending}", lambda f, d, n="a" * long + ending: f / n, ("a",))
    for ending in (
        ".json",
        ".txt",
        ".tsv",
        ".JSONL",
        ".Csv",
        ".jsonl.bz2",
        ".jsonl.zip",
        "",
        ".gz",
        ".jsonl~",
        ".xlsx",
    ):
        yield trial(f"score-places/ending{ending or '-none'}", named(f"p{ending}", valid), ("jsonl", "end"), right)


def option_trials(valid: bytes) -> Iterator[Trial]:
    """`--language`, `--judgements`, `--benchmark`, each wrong."""

    def with_options(
        name: str, rows: list[dict[str, Any]], words: list[str], refused: Sequence[str] | None, accepted: Check | None
    ) -> Trial:
        data = "".join(dumps(row) + "\n" for row in rows).encode()
        return trial(f"score-options/{name}", named("p.jsonl", data), refused, accepted, words)

    english = [{key: value for key, value in row.items() if key != "language"} for row in ROWS[:2]]

    def both(result: Result) -> str | None:
        return None if " 2 " in result.stdout else f"not 2 answers: {result.stdout[-300:]}"

    for place, odd in enumerate((None, "")):
        rows = [{**row, "language": odd} for row in english]
        yield with_options(f"language-empty-{place}", rows, ["--language", "en"], None, both)
    yield with_options("language-given", english, ["--language", "en"], None, both)
    for value in ("", "xx", "EN", "en,de", "e\x1b[31mn", "en\n", "ü", "average", "../en", "a" * 5000, "\u202een"):
        yield with_options(
            f"language-{ascii(value)[:20]}", english, ["--language", value], ("language", "no language"), None
        )
        yield with_options(
            f"benchmark-{ascii(value)[:20]}", english, ["--language", "en", "--benchmark", value], ("benchmark",), None
        )
    for name, target in {
        "folder": ".",
        "below-a-file": "p.jsonl/j.jsonl",
        "empty": "",
        "long": "a" * 400,
        "proc": "/proc/x/y",
    }.items():
        words = ["--judgements", target]
        yield with_options(f"judgements-{name}", ROWS, words, ("",), None)
    yield with_options("judgements-same-file", ROWS, ["--judgements", "p.jsonl"], ("",), None)


def trial(
    name: str,
    make: Callable[[Path, random.Random], Path],
    refused: Sequence[str] | None = None,
    accepted: Check | None = None,
    words: Sequence[str] = (),
) -> Trial:
    """A file that is scored: what `make` writes must be refused, or give what `accepted` checks."""

    def run(folder: Path, draw: random.Random) -> Run:
        path = make(folder, draw)
        given = words if "--judgements" in words else [*words, "--judgements", "judged/j.jsonl"]
        result = yield Call(["score", path.relative_to(folder).as_posix(), *given])
        outcome = judged(result, refused=refused, accepted=(lambda r: accepted(_with(r, folder))) if accepted else None)
        if outcome.verdict == "refused rightly" and [*folder.glob("judged/*"), *folder.rglob(".*.tmp")]:
            return Outcome("refused badly", "it was refused, and left judgements or half of a file behind")
        return outcome

    return Trial(name, run)


def _with(result: Result, folder: Path) -> Result:
    """The result with the judgements that were written, in the place of stdout's table."""
    judgements = folder / "judged" / "j.jsonl"
    read = judgements.read_text(encoding="utf-8") if judgements.exists() else ""
    return Result(result.status, result.stdout + "\0" + read, result.stderr, result.seconds, False, 0)


def right(result: Result) -> str | None:
    """Whether the judgements are those of the valid file."""
    found = [json.loads(line)["outcome"] for line in result.stdout.partition("\0")[2].splitlines()]
    return None if found == OUTCOMES else f"outcomes {found} instead of {OUTCOMES}"


def any_outcome(result: Result) -> str | None:
    """Whether as many answers were judged as there are."""
    found = result.stdout.partition("\0")[2].count("\n")
    return None if found == len(ROWS) else f"{found} judgements of {len(ROWS)} answers"


def lines(place: int, line: str) -> bytes:
    """The valid rows, one of them replaced by a line."""
    texts = [dumps(row) for row in ROWS]
    texts[place] = line
    return "".join(text + "\n" for text in texts).encode("utf-8", "surrogatepass")


def plain(data: bytes) -> Callable[[Path, random.Random], Path]:
    return named("p.jsonl", data)


def named(name: str, data: bytes) -> Callable[[Path, random.Random], Path]:
    return lambda folder, draw: write(folder / name, data)


def write(path: Path, data: bytes) -> Path:
    """Writes a file, with the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def as_csv(rows: Sequence[dict[str, Any]], delimiter: str = ",", quoting: int = csv.QUOTE_MINIMAL) -> bytes:
    """Rows as a CSV file."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()
