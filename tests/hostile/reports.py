"""`qalign report` on damaged results.json: every value of another type, keys removed, the text cut and nested."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .mutations import JSON_WORDS, NEVER_RIGHT, at, dumps, places, removed, replaced, with_key_twice, wrong_for
from .scoring import write
from .trial import Call, Check, Result, Run, Trial, judged

FORMATS = ("terminal", "markdown", "latex", "csv")
MOST_VALUES = 360

# Any text and number is right there: what a run was told is shown as it is.
FREE = ("run",)
NAMED = {"de", "sw", "fr", "en", "monoreason", "qalign-mono", "test"}
"""Keys that are names of what was measured: a file without one is that of a smaller run."""


def trials(fixtures: Path, seed: int) -> Iterator[Trial]:
    """All trials of `report`."""
    path = fixtures / "report" / "results.json"
    valid = json.loads(path.read_text(encoding="utf-8"))
    draw = random.Random(seed)
    every = list(places(valid))
    chosen = every if len(every) <= MOST_VALUES else sorted(draw.sample(range(len(every)), MOST_VALUES))
    for number, place in enumerate(every[i] if isinstance(i, int) else i for i in chosen):
        form = FORMATS[number % len(FORMATS)]
        value = at(valid, place)
        names = sorted(wrong_for(value))
        for name in draw.sample(names, 2):
            raw = wrong_for(value)[name]
            free = place[0] in FREE and name not in NEVER_RIGHT
            words = (*(str(key) for key in place if isinstance(key, str)), *JSON_WORDS)
            check: Check = anything if free else same_as(fixtures, form)
            yield trial(f"report/{number}-{name}", dumps(valid, place, raw), form, words, check)
    for number, place in enumerate(place for place in every if isinstance(place[-1], str)):
        if number % 3 == 0 and place[-1] not in NAMED:
            words = tuple(str(key) for key in place if isinstance(key, str))
            optional = place[0] in (
                "corpora",
                "consistency",
                "comparisons",
                "notes",
                "findings",
                "run",
                "systems",
                "trained_on",
                "published",
                "titles",
            )
            words = (*words, "qalign-results")
            check = anything if optional and len(place) <= 2 else same_as(fixtures, "terminal")
            yield trial(f"report/without-{number}", dumps(removed(valid, place)), "terminal", words, check)
    for key in valid:
        yield trial(f"report/twice-{key}", with_key_twice(valid, key, "{}"), "terminal", (key,))
    text = path.read_text(encoding="utf-8")
    for number in range(30):
        place = len(text) * (number + 1) // 32
        yield trial(f"report/cut-{number}", text[:place], "terminal", ("JSON",))
    for name, whole in WHOLE.items():
        yield trial(f"report/whole-{name}", whole, "terminal", ("",))
    for number, version in enumerate(("0", "3", "1.0", "2.0", '"2"', "true", "-1", "null", "1e400", "[1]")):
        yield trial(f"report/version-{number}", dumps(valid, ("version",), version), "terminal", ("version", "large"))
    for number, text in enumerate(STEERING):
        for place in (("run", "base"), ("systems", text), ("findings", text), ("notes", text), ("corpora", text)):
            changed = steered(valid, place[0], text)
            yield trial(
                f"report/steering-{place[0]}-{number}", json.dumps(changed), FORMATS[number % 4], ("",), anything
            )


WHOLE = {
    "empty": "",
    "null": "null",
    "list": "[]",
    "text": '"x"',
    "object": "{}",
    "number": "5",
    "deep-list": "[" * 100000 + "]" * 100000,
    "deep-object": '{"a":' * 50000 + "1" + "}" * 50000,
    "deep-and-open": "[" * 1000000,
    "format-only": '{"format": "qalign-results", "version": 1}',
    "minimal": '{"format": "qalign-results", "version": 1, "run": {}, "systems": {}, "trained_on": {}, "published": {}}',
    "many-digits": '{"format": "qalign-results", "version": ' + "1" * 10000 + "}",
    "html": "<html></html>",
}
STEERING = (
    "a\x1b[31mb",
    "a\x1b]52;c;eA==\x07b",
    "a\nb",
    "a\u202eb",
    "a\x9b31mb",
    "a\x00b",
    "[red]x[/red]",
    "[/]",
    "[link=file:///etc]x",
)


def steered(valid: dict[str, Any], part: str, text: str) -> dict[str, Any]:
    """The results with a text that steers a terminal in one part."""
    if part == "run":
        return replaced(valid, ("run", "base"), text)
    if part == "systems":
        systems = {f"{name}{text}": scores for name, scores in valid["systems"].items()}
        return {**valid, "systems": systems, "comparisons": [], "consistency": {}}
    if part in ("findings", "notes"):
        return {**valid, part: [text]}
    return {**valid, "corpora": [{**valid["corpora"][0], "notes": [text], "folder": text}]}


def trial(name: str, text: str, form: str, refused: Sequence[str], accepted: Check | None = None) -> Trial:
    """A results.json that is reported in a format."""

    def run(folder: Path, draw: random.Random) -> Run:
        write(folder / "results.json", text.encode("utf-8", "surrogatepass"))
        result = yield Call(["report", "results.json", "--format", form])
        return judged(result, refused=refused, accepted=accepted)

    return Trial(name, run)


def anything(result: Result) -> str | None:
    """What is free may change what is shown."""
    return None


def same_as(fixtures: Path, form: str) -> Check:
    """Whether the tables are those of the valid file: what was damaged is then not read."""

    def check(result: Result) -> str | None:
        expected = (fixtures / "shown" / form).read_text(encoding="utf-8")
        return None if result.stdout == expected else "other tables than those of the valid file"

    return check
