"""The small files that runs keep and read again, damaged: records of stages, counts, what was looked up before."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from .fixtures import eval_words
from .kills import link, outcome_of
from .models import EVAL, same_answers
from .mutations import DEEP_OBJECT, NEVER_RIGHT, at, dumps, places, removed, wrong_for
from .settings import PLAN
from .trial import Call, Run, Trial, judged, mishap


def trials(fixtures: Path, seed: int) -> Iterator[Trial]:
    """Every value of the small files of a finished run, of another type: refused, or of no effect."""
    draw = random.Random(seed)
    source = fixtures / "undisturbed" / "scripted" / "runs"
    for path in sorted(source.glob("stages/*/*.json")):
        valid = json.loads(path.read_text(encoding="utf-8"))
        every = [place for place in places(valid) if len(place) < 4]
        short = f"{path.parent.name.rsplit('-', 1)[0]}-{path.stem}"
        for number, place in enumerate(draw.sample(every, min(18, len(every)))):
            name = draw.choice(sorted(wrong_for(at(valid, place))))
            text = dumps(valid, place, wrong_for(at(valid, place))[name])
            yield record_trial(f"{short}-{number}-{name}", fixtures, path, text)
        for number, place in enumerate(draw.sample(every, min(6, len(every)))):
            yield record_trial(f"{short}-without-{number}", fixtures, path, dumps(removed(valid, place)))
        for name, text in {
            "empty": "",
            "half": dumps(valid)[:60],
            "list": "[]",
            "null": "null",
            "deep": DEEP_OBJECT,
            "object": "{}",
            "text": '"x"',
        }.items():
            yield record_trial(f"{short}-{name}", fixtures, path, text)
    for name, text in {
        **{f"value-{kind}": f'{{"model:x/y": {raw}}}' for kind, raw in {"null": "null", "number": "5", "list": "[]", "object": "{}", **NEVER_RIGHT}.items()},
        "empty": "", "list": "[]", "null": "null", "half": '{"a', "number": "5", "text": '"x"', "deep": DEEP_OBJECT, "pairs": '[["a", "b"]]', "nul": "\0",
    }.items():  # fmt: skip
        for file in ("revisions.json", "hashes.json"):
            yield cache_trial(f"{file.removesuffix('.json')}-{name}", fixtures, file, text)


def record_trial(name: str, fixtures: Path, path: Path, text: str) -> Trial:
    """A file of a finished stage is another; a later stage has to be made again, or explained."""
    relative = path.relative_to(fixtures / "undisturbed" / "scripted")

    def run(folder: Path, draw: random.Random) -> Run:
        link(fixtures, folder)
        shutil.copytree(fixtures / "undisturbed" / "scripted" / "runs", folder / "runs")
        (folder / relative).write_text(text, encoding="utf-8")
        words = [*eval_words("scripted"), "--runs", "runs", "--output", "results", "--quiet"]
        if draw.random() < 0.3:
            changed = ["explain", "monoreason", *PLAN[2:], "--runs", "runs"]
            result = yield Call(changed)
            if outcome := mishap(result):
                return outcome
        result = yield Call(words)
        return judged(
            result, refused=(relative.parent.name, relative.name), accepted=lambda r: _same_run(folder, fixtures)
        )

    return Trial(f"records/{name}", run)


def _same_run(folder: Path, fixtures: Path) -> str | None:
    expected = json.loads((fixtures / "undisturbed.json").read_text())["scripted"]["outcome"]
    found = outcome_of(folder)
    differing = sorted(name for name in {**expected, **found} if expected.get(name) != found.get(name))
    return f"{len(differing)} files: {', '.join(differing[:4])}" if differing else None


def cache_trial(name: str, fixtures: Path, file: str, text: str) -> Trial:
    """A file of what was looked up before is damaged: refused, or looked up again."""

    def run(folder: Path, draw: random.Random) -> Run:
        link(fixtures, folder)
        (folder / "runs").mkdir()
        (folder / "runs" / file).write_text(text, encoding="utf-8")
        if file == "hashes.json":
            result = yield Call(EVAL)
            return judged(result, refused=(file,), accepted=lambda r: same_answers(folder, fixtures))
        result = yield Call(
            (
                "plan",
                "monoreason",
                "--base",
                "x/y",
                "--scale",
                "sample",
                "--english",
                "own/english.jsonl",
                "--test",
                "own/test",
                "--runs",
                "runs",
            )
        )
        return judged(result, refused=(file, "x/y"))

    return Trial(f"records/{name}", run)
