"""Generation for many problems in chunks, each saved when it is complete.

An interruption costs at most one chunk. An answer that depends on no other is saved as it arrives. Chunks follow from the
requests and from the chunk size, which the saved file states. So a resumed run has the same batches as an uninterrupted
one, and on the same machine the same answers to the last bit. The saved file starts with its settings, so no answer is
reused under other settings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec

from ..errors import DataError, StageError
from ..placement import Placement
from ..progress import Bar
from ..records import Finish, Prediction, atomic_file, sha256
from ..terminal import log
from ..untrusted import parse_json, with_whole_pairs
from ..wording import counted
from .protocol import Backend, Completion, Question, Request

KEPT = "predictions.partial.jsonl"

FIELDS = ("language", "id", "sample", "text", "prompt_sha256", "tokens", "finish")
_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
_Row = tuple[str, str, _Count, str, str, _Count, Finish]
VERSION = 2
"""The version of the saved file. Answers of another version are not reused."""


def generate(
    questions: Sequence[Question],
    backend: Backend,
    scratch: Path,
    settings: Mapping[str, object],
    title: str,
    placement: Placement,
) -> list[Prediction]:
    """Predictions for questions, in their order.

    Answers that an earlier attempt saved in `scratch` are reused where its `settings`, all values that decide an answer, were
    the same. Raises StageError where a backend skipped a request, answered one twice, or returned an invalid answer.
    """
    by_key = {question.key: question for question in questions}
    assert len(by_key) == len(questions), "questions differ in language, id or sample"

    # Long prompts first: the largest need of memory shows at once. UTF-8 bytes are a fair measure in every script. Samples of
    # one prompt stand together, so that it is read once.
    def order(key: str) -> tuple[int, str, int]:
        question = by_key[key]
        return -len(question.instruction.encode()), f"{question.language}/{question.id}", question.sample

    ordered = sorted(by_key, key=order)
    saved = scratch / KEPT
    done, chunk_size = _taken_over(saved, settings, ordered, backend.chunk)
    remaining = [chunk for chunk in _chunks(ordered, chunk_size) if not done.keys() >= set(chunk)]
    if chunk_size is None and remaining:  # no answer depends on another
        remaining = [[key for chunk in remaining for key in chunk]]
    repaired = 0
    with (
        Bar(placement.titled(title, scratch), len(ordered), len(done), quiet=placement.quiet) as bar,
        saved.open("a", encoding="utf-8") as file,
    ):

        def keep(answers: Mapping[str, Prediction]) -> None:
            rows = json.dumps([[getattr(answer, name) for name in FIELDS] for answer in answers.values()])
            file.write(f"{sha256(rows)} {rows}\n")  # the hash detects damage
            file.flush()
            done.update(answers)

        try:
            for chunk in remaining:
                answered: dict[str, Prediction] = {}
                for completion in backend.generate(
                    [Request(key, by_key[key].instruction, by_key[key].own_prompt) for key in chunk]
                ):
                    if completion.key in answered:
                        raise StageError(f"the backend answered {completion.key} twice")
                    answered[completion.key] = answer = _checked(completion, by_key)
                    repaired += answer.text != completion.text
                    if chunk_size is None:
                        keep({completion.key: answer})
                    bar.advance(1)
                if missing := [key for key in chunk if key not in answered]:
                    left = counted(len(missing), "request")
                    raise StageError(f"the backend left {left} unanswered, the first of them {missing[0]}")
                if chunk_size is not None:
                    keep({key: answered[key] for key in chunk})
        finally:
            if repaired:
                log(f"{title}: {counted(repaired, 'answer')} held half of a surrogate pair; U+FFFD stands in its place")
    return [done[key] for key in by_key]


def _checked(answer: Completion, asked: Mapping[str, Question]) -> Prediction:
    """The answer to its question, with U+FFFD for half surrogate pairs, which no file can hold. StageError if it is none."""
    if (question := asked.get(answer.key)) is None:
        raise StageError(f"the backend answered {str(answer.key)[:60]}, which was not asked")
    of_question = [question.language, question.id, question.sample]
    try:
        prediction = _predicted([*of_question, answer.text, answer.prompt_sha256, answer.tokens, answer.finish])
    except msgspec.ValidationError as error:
        raise StageError(f"the backend answered {answer.key} with something that is not an answer ({error})") from error
    return replace(prediction, text=with_whole_pairs(prediction.text))


def _predicted(row: Sequence[object]) -> Prediction:
    """The prediction that has these `FIELDS`, checked."""
    return msgspec.convert(dict(zip(FIELDS, msgspec.convert(row, _Row), strict=True)), Prediction)


def _chunks(ordered: Sequence[str], size: int | None) -> list[Sequence[str]]:
    """The keys that are saved on one line: the same in every attempt."""
    return [ordered[start : start + (size or 1)] for start in range(0, len(ordered), size or 1)]


def _taken_over(
    saved: Path, settings: Mapping[str, object], ordered: Sequence[str], chunk: int | None
) -> tuple[dict[str, Prediction], int | None]:
    """The saved answers of complete chunks, and the size of these chunks.

    The size may come from a machine with other memory. If the settings differ, the file is started again with size `chunk`. A
    line that is torn, damaged or not one chunk is ignored, and its chunk is asked again.
    """
    lines = saved.read_bytes().splitlines(keepends=True) if saved.is_file() else []
    size = _chunk_of(lines[0]) if lines else None
    if not lines or lines[0] != _header(settings, ordered, size) or (size is None) != (chunk is None):
        with atomic_file(saved) as temporary:
            temporary.write_bytes(_header(settings, ordered, chunk))
        return {}, chunk
    done: dict[str, Prediction] = {}
    good = [lines[0]]
    chunks = {chunk[0]: chunk for chunk in _chunks(ordered, size)}
    for line in lines[1:]:
        predictions = _predictions_of(line)
        keys = [Question(id=p.id, language=p.language, instruction="", sample=p.sample).key for p in predictions]
        if keys and keys == chunks.get(keys[0]) and not done.keys() & set(keys):
            good.append(line)
            done |= zip(keys, predictions, strict=True)
    if len(good) < len(lines):
        if damaged := sum(line.endswith(b"\n") for line in lines) - len(good):  # a torn last line is an interruption
            log(f"{saved}: {counted(damaged, 'line')} of kept answers cannot be read; what they held is asked again")
        with atomic_file(saved) as temporary:
            temporary.write_bytes(b"".join(good))
    return done, size


def _predictions_of(line: bytes) -> list[Prediction]:
    """The answers of a line of the saved file, none if it is torn or damaged."""
    digest, _, rows = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or hashlib.sha256(rows).hexdigest().encode() != digest:
        return []
    try:
        return [_predicted(row) for row in msgspec.json.decode(rows, type=list[list[object]])]
    except msgspec.DecodeError:
        return []


def _header(settings: Mapping[str, object], ordered: Sequence[str], chunk: int | None) -> bytes:
    """The first line of a saved file."""
    values = {"version": VERSION, "settings": settings, "requests": ordered, "chunk": chunk}
    return (json.dumps(values, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _chunk_of(header: bytes) -> int | None:
    try:
        size = parse_json(header, "the header")["chunk"]
    except (DataError, KeyError, TypeError):
        return None  # torn, or of an earlier version
    return size if isinstance(size, int) and size > 0 else None
