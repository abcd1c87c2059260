"""Generation speed: the package beside the reference's way, in questions a second, same model and same questions.

    python bench/generation.py --data FOLDER
    python bench/generation.py --data FOLDER --without loops slots refilling order prefix

Two trials. (1) A model of the embedded world answers the world's test sets; answers are compared one by one. (2) A model of
20M random weights whose answers end where those of a real 7B model did (`generations/mcot7b` of the data folder): both
sides get the same lengths. The reference's way: `transformers`' generate, batches of 32 in the order of the file, padded
on the left.

`--without` measures instead what each way of the package to be fast brings, by leaving one out at a time. Time of the
processor counts there, which other work on the machine changes least; for the loops, which fill idle cores, the clock does.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import random
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import common
import data

import models
from qalign.alignment.prompts import encode_prompts, prompt
from qalign.generation import local
from qalign.generation.local import Local, device_memory, loops_at_once, rows_at_once
from qalign.generation.protocol import DecodingConfig, Request
from qalign.models.opening import load_model, load_tokenizer
from qalign.pipeline import run
from qalign.placement import Placement
from qalign.records import Problem, read_jsonl
from qalign.systems.artifacts import RECORDS
from qalign.systems.recipes import monoreason
from qalign.systems.scales import SCALES
from qalign.systems.study import Study

PACKAGE, REFERENCE = "qalign", "reference's way"
REFERENCE_BATCH = 32
Answers = dict[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """What both sides answer, test set by test set; where `lengths` are given, an answer has so many tokens."""

    model: Any
    tokenizer: Any
    sets: Sequence[Sequence[Request]]
    new_tokens: int
    lengths: Sequence[int] | None = None
    rows: int | None = None
    """Questions that the package answers at once; by default as many as it would take."""

    @property
    def requests(self) -> list[Request]:
        """All of them."""
        return [request for requests in self.sets for request in requests]


def package(asked: Asked, answers: Answers, without: str = "") -> common.Measured:
    """The backend `transformers` of the package, all of it or without one of `WITHOUT`."""
    rows = asked.rows or rows_at_once(asked.model, asked.new_tokens, device_memory("cpu"))
    loops = 1 if without == "loops" else loops_at_once(asked.model)
    with WITHOUT[without]():
        backend = Local(asked.model, asked.tokenizer, DecodingConfig(max_new_tokens=asked.new_tokens), rows, loops)
        if asked.lengths is not None:
            keys = [request.key for request in asked.requests]
            backend = OfGivenLengths(backend, dict(zip(keys, asked.lengths, strict=True)))
        clock = Clock()
        made: list[Any] = []
        for requests in asked.sets:
            ordered = sorted(requests, key=lambda request: -len(request.instruction.encode()))
            for start in range(0, len(ordered), backend.chunk):  # as a stage does
                made += backend.generate(ordered[start : start + backend.chunk])
        measured = clock.measured(len(made), sum(one.tokens for one in made))
    answers.update({one.key: one.text for one in made})
    return measured


WITHOUT: dict[str, Callable[[], Any]] = {
    "": contextlib.nullcontext,
    "loops": contextlib.nullcontext,
    "slots": partial(patch.object, local, "room", lambda model: 0),
    "refilling": partial(patch.object, local, "FREE_TO_REFILL", 1.0),
    "order": partial(patch.object, local, "_shortest_first", lambda prompts: list(range(len(prompts)))),
    "prefix": partial(patch.object, local, "in_common", lambda prompts: 0),
}
"""What can be left out: the two loops; the cache of slots, for `generate` in large batches; putting prompts into slots that
fall free, and dropping these; the shortest prompts first; reading once what all prompts begin with."""


class Clock:
    """The time from here on, by the clock and of the processor."""

    def __init__(self) -> None:
        self.begun = self._now()

    def measured(self, questions: int, tokens: int) -> common.Measured:
        """What so much work took."""
        seconds, processor = (now - then for now, then in zip(self._now(), self.begun, strict=True))
        return {
            "questions_per_second": questions / seconds,
            "tokens_per_second": tokens / seconds,
            "questions_per_processor_second": questions / processor,
        }

    def _now(self) -> tuple[float, float]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return time.perf_counter(), used.ru_utime + used.ru_stime


class OfGivenLengths(Local):
    """A backend whose answers end after so many tokens, whatever the model says."""

    def __init__(self, backend: Local, tokens: dict[str, int]) -> None:
        rows = backend.batch_size * backend.loops
        super().__init__(backend.model, backend.tokenizer, backend.decoding, rows, backend.loops)
        self.tokens = tokens

    def generate(self, requests: Sequence[Request]) -> Any:
        self.lengths = [self.tokens[request.key] for request in requests]
        return super().generate(requests)

    def _choose(self, logits: Any, draws: Sequence[Any]) -> Any:
        logits[:, self.ends] = -float("inf")
        return super()._choose(logits, draws)

    def _take(self, slot: Any, token: int) -> Any:
        return super()._take(slot, self.ends[0] if len(slot.answer) == self.lengths[slot.place] else token)


def reference(asked: Asked, answers: Answers) -> common.Measured:
    """`generate`, batch by batch as the questions come."""
    import torch

    tokenizer, requests, lengths = asked.tokenizer, asked.requests, asked.lengths
    end = tokenizer.eos_token_id
    clock, tokens = Clock(), 0
    for start in range(0, len(requests), REFERENCE_BATCH):
        batch = requests[start : start + REFERENCE_BATCH]
        prompts = encode_prompts([prompt(request.instruction) for request in batch], tokenizer)
        width = max(len(ids) for ids in prompts)
        ids = torch.tensor([[end] * (width - len(row)) + row for row in prompts])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in prompts])

        def given(ids: Any, scores: Any, start: int = start, width: int = width) -> Any:
            if lengths is not None:
                now = torch.tensor([lengths[start + row] == ids.shape[1] - width for row in range(len(ids))])
                scores[:, end] = torch.where(now, float("inf"), -float("inf"))
            return scores

        with torch.inference_mode():
            out = asked.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=asked.new_tokens,
                do_sample=False,
                eos_token_id=end,
                pad_token_id=end,
                logits_processor=[given],
            )
        for request, row in zip(batch, out[:, width:].tolist(), strict=True):
            kept = row[: row.index(end)] if end in row else row
            tokens += len(kept)
            answers[request.key] = tokenizer.decode(kept, skip_special_tokens=True)
    return clock.measured(len(requests), tokens)


def real_lengths(folder: Path, tokenizer: Any) -> list[int]:
    """Lengths in tokens of the answers of a published model to mGSM, in the languages of the tokenizer's texts."""
    answers = []
    for path in sorted((folder / "generations" / "mcot7b").glob("mgsm_[defjrsz]*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            answers += [json.loads(line)["response"] for line in file]
    return [len(ids) for ids in tokenizer(answers, add_special_tokens=False)["input_ids"]]


def lengths_trial(folder: Path, scratch: Path, questions: int) -> Asked:
    """Answer lengths of a real model, on a model of 20M random weights and real questions."""
    from transformers import AutoModelForCausalLM

    prepared = data.examples(folder, scratch / "runs")
    shape = models.SHAPES["20m"]
    vocabulary = models.make_tokenizer(data.texts(prepared), shape.vocabulary, scratch / "tokenizer")
    base = models.make_base(shape, vocabulary, scratch / "base")
    tokenizer = load_tokenizer(base)
    rows = random.Random(0).sample(prepared["GSM8K"], questions)
    requests = [Request(row.id, row.instruction or "") for row in rows]
    drawn = random.Random(1).sample(real_lengths(folder, tokenizer), questions)
    model = AutoModelForCausalLM.from_pretrained(base)
    return Asked(model, tokenizer, [requests], max(drawn) + 1, drawn)


def world_trial(folder: Path | None, scratch: Path, share: int) -> Asked:
    """A fine-tuned model of the world (MonoReason, trained here where no folder is given) on the world's test sets, in ten
    languages, or on one question of `share`."""
    import torch

    study = Study(base_name="world", scale=SCALES["toy"], runs=scratch / "runs")
    scores = study.scored(study.base)
    tests = {name: score.problems for name, score in scores.items()}
    run(list(tests.values()), study.runs, Placement(runs=study.runs))
    sets = [
        [
            Request(f"{name}/{problem.language}/{problem.id}", problem.question)
            for problem in list(read_jsonl(test.folder(study.runs) / RECORDS, Problem))[::share]
        ]
        for name, test in tests.items()
    ]
    if folder is None:
        trained = monoreason(study)
        run([trained], study.runs, Placement(runs=study.runs, trackers=()))
        folder = trained.folder(study.runs)
    new_tokens = max(score.answers.decoding.max_new_tokens for score in scores.values())
    return Asked(load_model(folder, torch.float32), load_tokenizer(folder), sets, new_tokens)


def compared(asked: Asked, repeats: int) -> dict[str, Any]:
    """The package and the reference's way, in turns."""
    ours, theirs = Answers(), Answers()
    rounds = common.take_turns(
        {
            PACKAGE: lambda: package(asked, ours),
            REFERENCE: lambda: reference(asked, theirs),
        },
        repeats,
    )
    different = [key for key in theirs if ours[key] != theirs[key]]
    return {
        "questions": len(asked.requests),
        "rounds": rounds,
        "different": {key: [ours[key], theirs[key]] for key in different},
    }


def left_out(asked: Asked, repeats: int, without: Sequence[str]) -> dict[str, Any]:
    """The package whole, and without each of some ways to be fast, in turns."""
    if asked.lengths is not None:  # `generate` in batches would end answers where the model does
        without = [name for name in without if name != "slots"]
    names = {PACKAGE: "", **{f"without {name}": name for name in without}}
    sides = {side: partial(package, asked, Answers(), name) for side, name in names.items()}
    return {"questions": len(asked.requests), "rounds": common.take_turns(sides, repeats)}


def table_of_left_out(trials: dict[str, dict[str, Any]]) -> str:
    """How much longer each trial takes without each way to be fast: by the processor's time, and by the clock."""
    sides = dict.fromkeys(side for found in trials.values() for side in found["rounds"] if side != PACKAGE)
    figures = ("questions_per_processor_second", "questions_per_second")
    rows = [
        [
            side,
            *(
                f"{common.ratio(found['rounds'], figure, PACKAGE, side) - 1:+.0%}" if side in found["rounds"] else ""
                for found in trials.values()
                for figure in figures
            ),
        ]
        for side in sides
    ]
    header = [f"{name}, {words}" for name in trials for words in ("processor", "clock")]
    return common.table(["longer by", *header], rows)


def table(trials: dict[str, dict[str, Any]]) -> str:
    """Questions a second of both, the ratio, and the answers that differ."""
    rows = []
    for name, found in trials.items():
        middle = common.medians(found["rounds"])
        rows.append(
            [
                f"{name}, {found['questions']:,} questions",
                *(f"{middle[side]['questions_per_second']:.1f}" for side in (PACKAGE, REFERENCE)),
                f"{common.ratio(found['rounds'], 'questions_per_second', PACKAGE, REFERENCE):.1f}x",
                f"{len(found['different'])}",
            ]
        )
    return common.table(["questions a second", PACKAGE, REFERENCE, "ratio", "answers that differ"], rows)


def main() -> None:
    """Measures, prints, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, help="folder with local copies of the corpora; without it, the world alone"
    )
    parser.add_argument("--model", type=Path, help="a fine-tuned model of the world (by default MonoReason is trained)")
    parser.add_argument("--questions", type=int, default=384, help="of real length (%(default)s)")
    parser.add_argument("--share", type=int, default=1, help="one of so many of the world's questions (%(default)s)")
    parser.add_argument(
        "--rows", type=int, help="questions at once; with a share of the questions, the same share of 512"
    )
    parser.add_argument("--without", nargs="+", choices=sorted(WITHOUT)[1:], help="measure what each of these brings")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (%(default)s)")
    parser.add_argument("--no-publish", action="store_true", help="print only; write nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        asked = {}
        if options.data:
            asked["20M, lengths of a real model"] = lengths_trial(options.data, scratch, options.questions)
        asked["the world's model"] = world_trial(options.model, scratch, options.share)
        asked = {name: replace(one, rows=options.rows) for name, one in asked.items()}
        if options.without:
            trials = {name: left_out(one, options.repeats, options.without) for name, one in asked.items()}
            name, text = "generation-without", table_of_left_out(trials)
        else:
            trials = {name: compared(one, options.repeats) for name, one in asked.items()}
            name, text = "generation", table(trials)
    if options.no_publish:
        print(text)
    else:
        common.publish(name, {"trials": trials}, text)


if __name__ == "__main__":
    main()
