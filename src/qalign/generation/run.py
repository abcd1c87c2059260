"""Generating for many problems: in chunks, each kept when it is whole, so that an interruption costs one chunk; an answer
that depends on no other is kept as it comes.

The chunks and their order follow from the requests and from how many a chunk has, which the kept file says. A run that was
interrupted therefore asks in the same company as an undisturbed one, and on the same machine, with as many prompts at once,
its answers are the same to the last bit; an answer is never taken over from a run under other settings, because the kept
file begins with the settings it was made under.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import StageError
from ..placement import Placement
from ..progress import Bar
from ..records import Prediction, Problem
from .protocol import Backend, Completion, Request

KEPT = "predictions.partial.jsonl"


def generate(
    problems: Sequence[Problem],
    backend: Backend,
    scratch: Path,
    settings: Mapping[str, Any],
    title: str,
    placement: Placement,
) -> list[Prediction]:
    """Predictions for problems, in their order. What `scratch` holds of an earlier attempt under the same `settings` is
    taken over.

    Raises:
        StageError: a backend left a request out or answered one twice.
    """
    by_key = {f"{problem.language}/{problem.id}": problem for problem in problems}
    assert len(by_key) == len(problems), "problems have distinct language and id"
    # Long prompts first: the largest need of memory shows at once. UTF-8 bytes are a fair measure in every script.
    ordered = sorted(by_key, key=lambda key: (-len(by_key[key].question.encode()), key))
    kept = scratch / KEPT
    done, chunk_size = _taken_over(kept, {"settings": settings, "requests": ordered}, backend.chunk)
    with Bar(title, len(ordered), len(done), quiet=placement.quiet) as bar, kept.open("a", encoding="utf-8") as file:

        def keep(answers: Sequence[Completion]) -> None:
            predictions = [_prediction(by_key[answer.key], answer) for answer in answers]
            rows = [[p.language, p.id, p.text, p.prompt_sha256, p.tokens, p.finish] for p in predictions]
            file.write(json.dumps(rows) + "\n")
            file.flush()
            done.update({f"{p.language}/{p.id}": p for p in predictions})

        for chunk in _chunks(ordered, done, chunk_size):
            answered: dict[str, Completion] = {}
            for completion in backend.generate([Request(key, by_key[key].question) for key in chunk]):
                if completion.key in answered:
                    raise StageError(f"the backend answered {completion.key} twice")
                answered[completion.key] = completion
                if chunk_size is None:
                    keep([completion])
                bar.advance(1)
            if missing := [key for key in chunk if key not in answered]:
                raise StageError(f"the backend left {len(missing)} requests unanswered, the first of them {missing[0]}")
            if chunk_size is not None:
                keep([answered[key] for key in chunk])
    return [done[key] for key in by_key]


def _chunks(ordered: Sequence[str], done: Mapping[str, Prediction], size: int | None) -> Iterator[Sequence[str]]:
    """What is asked together: the same chunks in every attempt, or all that is left where that makes no difference."""
    if size is None:
        if left := [key for key in ordered if key not in done]:
            yield left
        return
    for start in range(0, len(ordered), size):
        chunk = ordered[start : start + size]
        if not all(key in done for key in chunk):
            yield chunk


def _taken_over(kept: Path, asked: Mapping[str, Any], chunk: int | None) -> tuple[dict[str, Prediction], int | None]:
    """The answers of whole chunks of an earlier attempt, and the size of its chunks, which may have been chosen on a machine
    with other memory; starts the file anew, with chunks of this size, if something else was asked."""
    done: dict[str, Prediction] = {}
    good = 0
    if kept.is_file():
        with kept.open("rb") as file:
            header = file.readline()
            size = _chunk_of(header)
            if header == _header(asked, size):
                chunk, good = size, len(header)
                for line in file:
                    try:
                        rows = json.loads(line) if line.endswith(b"\n") else []
                    except ValueError:
                        break
                    if not rows:
                        break  # torn by a kill: this chunk is asked again
                    for language, key, text, prompt_sha256, tokens, finish in rows:
                        done[f"{language}/{key}"] = Prediction(key, language, text, prompt_sha256, tokens, finish)
                    good += len(line)
    if good:
        with kept.open("r+b") as file:
            file.truncate(good)
    else:
        kept.write_bytes(_header(asked, chunk))
    return done, chunk


def _header(asked: Mapping[str, Any], chunk: int | None) -> bytes:
    """The line that a kept file begins with."""
    return (json.dumps({**asked, "chunk": chunk}, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _chunk_of(header: bytes) -> int | None:
    try:
        return json.loads(header)["chunk"]  # type: ignore[no-any-return]
    except (ValueError, KeyError, TypeError):
        return None  # torn, or of an earlier version: no header that is asked for now


def _prediction(problem: Problem, answer: Completion) -> Prediction:
    return Prediction(problem.id, problem.language, answer.text, answer.prompt_sha256, answer.tokens, answer.finish)
