"""`--language-file`: TOML that is broken, rows of wrong types, codes and signs that collide."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from .kills import link
from .scoring import write
from .trial import Call, Result, Run, Trial, judged

VALID = {
    "code": '"vi"', "name": '"Vietnamese"', "native_name": '"Tiếng Việt"', "iso639_3": '"vie"', "script": '"Latn"',
    "decimal": '","', "groups": '"."', "zero": '""', "indian_groups": "false", "myriads": "false",
    "answer_markers": '["câu trả lời là"]', "scales": "{ \"nghìn\" = 1000 }",
}  # fmt: skip
WRONG = {
    "text": ("5", "1.5", "true", "[]", "{}", "nan", "1979-05-27", '["x"]', "inf"),
    "code": ('""', '"average"', '"all"', '"non_english"', '"../x"', '"a b"', '"a/b"', '"a\\u001b[31m"', '"a\\nb"', '"a,b"', '"\\u202ea"', '"."', '" "', f'"{"a" * 5000}"'),
    "name": ('""', '"a\\nb"', '"\\u001b[31m"', '" "'),
    "decimal": ('""', '".."', '"7"', '"-"', '"\\n"', '"."', '"a"', '"%"', '" "'),
    "groups": ('","', '"7"', '"-"', '"a"', '"\\n"', '",."'),
    "zero": ('"00"', '"1"', '"a"', '"5"', '"x"', '"%"'),
    "bool": ("5", '"true"', "[]", "0", "1", "{}", "nan"),
    "list": ("5", '"x"', "true", "{}", "[5]", "[true]", "[[]]", '[""]', '["  "]', "[1.5]"),
    "table": ("5", '"x"', "true", "[]", "{ a = 1.5 }", '{ a = "x" }', "{ a = true }", "{ a = nan }", "{ a = [] }", "{ a = 0 }", "{ a = -5 }", '{ "" = 5 }', '{ "  " = 5 }'),
}  # fmt: skip
TYPES = {"indian_groups": "bool", "myriads": "bool", "answer_markers": "list", "scales": "table"}

FILES = {
    "empty": b"", "no-row": b"x = 1", "row-is-table": b'[language]\ncode = "vi"\nname = "V"', "row-is-int": b"language = [1]",
    "row-is-text": b'language = "vi"', "rows-empty": b"language = []", "nested": b"language = [[[[]]]]", "broken": b"[[language]\n",
    "half": b'[[language]]\ncode = "vi"\nname = "V', "key-twice": b'[[language]]\ncode = "vi"\ncode = "id"\nname = "V"',
    "utf-16": '[[language]]\ncode = "vi"\nname = "V"'.encode("utf-16"), "latin-1": b'[[language]]\ncode = "vi"\nname = "V\xe9"',
    "nul": b'[[language]]\ncode = "vi"\nname = "V\0"', "control": b'[[language]]\ncode = "vi"\nname = "V\x1b[31m"', "json": b'{"language": []}',
    "deep": b"language = " + b"[" * 50000 + b"]" * 50000, "deep-table": b"[" + b"a." * 50000 + b"a]\n", "huge-int": b'[[language]]\ncode = "vi"\nname = "V"\nscales = { a = ' + b"9" * 6000 + b" }",
    "twice": b'[[language]]\ncode = "vi"\nname = "V"\n[[language]]\ncode = "vi"\nname = "W"', "yaml": b"language:\n  - code: vi\n",
    "unknown-top": b'languages = 1\n[[language]]\ncode = "vi"\nname = "V"\n[other]\nx = 1', "surrogate": b'[[language]]\ncode = "vi"\nname = "\\ud800"',
    "zip": b"PK\x03\x04" + b"\0" * 100, "long-line": b'[[language]]\ncode = "vi"\nname = "' + b"a" * 3_000_000 + b'"',
}  # fmt: skip


def trials(fixtures: Path, seed: int) -> Iterator[Trial]:
    """All trials of language files."""
    yield trial("language-file/valid", fixtures, rows(VALID), None)
    for field in VALID:
        kind = TYPES.get(field, "text")
        values = [*WRONG[kind], *WRONG.get(field, ())] if kind == "text" else [*WRONG[kind]]
        for number, value in enumerate(values):
            yield trial(f"language-file/{field}-{number}", fixtures, rows({**VALID, field: value}), (field, "language"))
        if field in ("code", "name"):
            left = {name: value for name, value in VALID.items() if name != field}
            yield trial(f"language-file/{field}-dropped", fixtures, rows(left), (field,))
        yield trial(f"language-file/{field}-upper", fixtures, rows({**VALID, field.upper(): VALID[field]}), (field,))
    for number, name in enumerate(("colour", "x", "Code2", '"\\u001b[31m"', '""', '"a\\nb"')):
        yield trial(f"language-file/unknown-{number}", fixtures, rows({**VALID, name: '"x"'}), ("field",))
    for name, data in FILES.items():
        accepted = name in ("unknown-top", "long-line")
        yield trial(f"language-file/file-{name}", fixtures, data, ("language", "toml"), accepted)


def rows(fields: dict[str, str]) -> bytes:
    """A file of one row."""
    return ("[[language]]\n" + "".join(f"{name} = {value}\n" for name, value in fields.items())).encode()


def trial(name: str, fixtures: Path, data: bytes, refused: Sequence[str] | None, accepted: bool = False) -> Trial:
    """A language file, given to `score`, `check` or `plan`."""

    def run(folder: Path, draw: random.Random) -> Run:
        link(fixtures, folder)
        write(folder / "l.toml", data)
        verbs = {
            "check": ("check", "own/test", "--role", "test", "--languages", "de"),
            "plan": (
                "plan",
                "monoreason",
                "--base",
                "tiny",
                "--scale",
                "sample",
                "--english",
                "own/english.jsonl",
                "--test",
                "own/test",
            ),
        }
        words = verbs[draw.choice(sorted(verbs))]
        result = yield Call([*words, "--language-file", "l.toml"])
        check = _fine if refused is None or accepted else None
        return judged(result, refused=refused, accepted=check)

    return Trial(name, run)


def _fine(result: Result) -> str | None:
    return None if result.stdout.strip() else "nothing was shown"
