"""Preparation speed: examples to token ids, the package beside the reference's way, in examples a second.

    python bench/preparation.py --data FOLDER

The reference's way, as published training code for this kind of data has it (NJUNLP/QAlign's train.py, after
tatsu-lab/stanford_alpaca): the SentencePiece tokenizer in Python, one text at a time; each example once whole and once
without its answer, for the length of the prompt; a tensor each. Beside both, the library tokenizers on all cores: the same
texts, whole and prompts, given to it in batches and nothing done with what comes back. Both open their tokenizers anew in
each round, so that nothing is remembered from the round before. The package's ids of all examples are compared with those
of the library tokenizers.

With `--growth`: time and memory against the number of examples, each in a process of its own, on as many examples as
asked for with questions and answers of MetaMathQA's kind (made of GSM8K's: two answers after each question).
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import common
import data

import models
from qalign.alignment.encoding import FEWEST
from qalign.alignment.prompts import prompt
from qalign.models.opening import load_tokenizer_as_saved
from qalign.records import Example, read_jsonl, write_jsonl
from qalign.training.config import TrainingConfig
from qalign.training.tokens import tokenize

CONFIG = TrainingConfig(max_length=8192)
REFERENCE, PACKAGE, ALONE = "reference's way", "qalign", "tokenizers alone"
SIZES = (1_000, 10_000, 100_000, 395_000)


def package(examples: Sequence[Example], base: Path) -> common.Measured:
    """`qalign.training.tokens.tokenize`, as every training stage begins."""
    tokenizer = load_tokenizer_as_saved(base)
    gc.collect()  # what loading left, before the clock runs
    begun = time.perf_counter()
    made = tokenize(examples, tokenizer, CONFIG)
    return _measured(len(made), int(made.starts[-1]), time.perf_counter() - begun)


def alone(examples: Sequence[Example], base: Path) -> common.Measured:
    """The library's own rate, 1,024 examples at a time."""
    backend = load_tokenizer_as_saved(base).backend_tokenizer
    gc.collect()
    begun, tokens = time.perf_counter(), 0
    for start in range(0, len(examples), 1024):
        asked = [prompt(example.instruction or "") for example in examples[start : start + 1024]]
        backend.encode_batch_fast(asked)
        whole = [text + example.response for text, example in zip(asked, examples[start : start + 1024], strict=True)]
        tokens += sum(map(len, backend.encode_batch_fast(whole)))
    return _measured(len(examples), tokens, time.perf_counter() - begun)


def differing(examples: Sequence[Example], base: Path) -> int:
    """Of how many examples the package's ids are not those of the library tokenizers, one text at a time."""
    tokenizer = load_tokenizer_as_saved(base)
    made = tokenize(examples, tokenizer, CONFIG)
    backend = tokenizer.backend_tokenizer
    texts = (prompt(example.instruction or "") + example.response for example in examples)
    rows = (made.ids[start:end].tolist() for start, end in pairwise(made.starts))
    eos = tokenizer.eos_token_id
    return sum([*backend.encode(text).ids, eos] != row for text, row in zip(texts, rows, strict=True))


def reference(examples: Sequence[Example], tokenizer: Any) -> common.Measured:
    """One text at a time, twice, a tensor each, prompt positions masked in a copy."""
    gc.collect()
    begun, tokens = time.perf_counter(), 0
    for example in examples:
        source = prompt(example.instruction or "")
        ids, asked = (
            tokenizer(
                text, return_tensors="pt", padding="longest", max_length=CONFIG.max_length, truncation=True
            ).input_ids[0]
            for text in (source + example.response + tokenizer.eos_token, source)
        )
        labels = ids.clone()
        labels[: len(asked)] = -100
        tokens += len(ids)
    return _measured(len(examples), tokens, time.perf_counter() - begun)


def _measured(examples: int, tokens: int, seconds: float) -> common.Measured:
    return {"examples_per_second": examples / seconds, "tokens_per_second": tokens / seconds}


def slow_tokenizer(tokenizer_model: Path) -> Any:
    """The SentencePiece tokenizer that works in Python."""
    from transformers.tokenization_utils_sentencepiece import SentencePieceBackend

    class Slow(SentencePieceBackend):  # type: ignore[misc]  # transformers is not typed
        def build_inputs_with_special_tokens(self, first: list[int], second: list[int] | None = None) -> list[int]:
            return [self.bos_token_id, *first]

    return Slow(
        vocab_file=str(tokenizer_model), bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<unk>"
    )


def synthetic(answers: Sequence[Example], count: int) -> Iterator[Example]:
    """So many examples with a question of GSM8K and two of its answers."""
    for place in range(count):
        asked, other = answers[place % len(answers)], answers[(place * 7 + place // len(answers)) % len(answers)]
        yield Example(str(place), "en", "synthetic", asked.instruction, f"{asked.response} {other.response}")


def one_size(count: int, base: Path, answers: Path) -> dict[str, float]:
    """Tokenises in this process; what it took, and the most memory that the process had."""
    rows = list(read_jsonl(answers, Example))
    tokenizer = load_tokenizer_as_saved(base)
    tokenize(rows[:FEWEST], tokenizer, CONFIG)  # as many as open all that is opened
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    begun = time.perf_counter()
    made = tokenize(synthetic(rows, count), tokenizer, CONFIG)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return {
        "examples": count,
        "tokens": int(made.starts[-1]),
        "seconds": seconds,
        "peak_mib": peak,
        "before_mib": before,
    }


def growth(base: Path, answers: Path) -> list[dict[str, float]]:
    """Each size in a process of its own."""
    measured = []
    for count in SIZES:
        command = [sys.executable, __file__, "--one-size", str(count), str(base), str(answers)]
        measured.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
        print(measured[-1], flush=True)
    return measured


def main() -> None:
    """Measures, prints, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with local copies of the corpora")
    parser.add_argument("--examples", type=int, help="of each dataset (all)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (%(default)s)")
    parser.add_argument("--growth", action="store_true", help="time and memory against the number of examples instead")
    parser.add_argument("--no-publish", action="store_true", help="print only; write nothing")
    parser.add_argument("--one-size", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one_size:
        count, base, answers = options.one_size
        print(json.dumps(one_size(int(count), Path(base), Path(answers))))
        return
    if options.data is None:
        parser.error("give --data")
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        prepared = data.examples(options.data, scratch / "runs")
        shape = models.SHAPES["20m"]
        model = models.make_tokenizer(data.texts(prepared), shape.vocabulary, scratch / "tokenizer")
        base = models.make_base(shape, model, scratch / "base")
        if options.growth:
            answers = scratch / "answers.jsonl"
            write_jsonl(answers, prepared["GSM8K"])
            measured = growth(base, answers)
            name, results, text = "preparation-growth", {"sizes": measured}, growth_table(measured)
        else:
            slow = slow_tokenizer(model)
            rounds, differ = {}, {}
            for dataset, rows in prepared.items():
                some = rows[: options.examples]
                rounds[dataset] = common.take_turns(
                    {
                        PACKAGE: lambda some=some: package(some, base),
                        REFERENCE: lambda some=some: reference(some, slow),
                        ALONE: lambda some=some: alone(some, base),
                    },
                    options.repeats,
                )
                differ[dataset] = differing(rows, base)
            name, results, text = "preparation", {"rounds": rounds, "differ": differ}, table(rounds, differ)
    if options.no_publish:
        print(text)
    else:
        common.publish(name, results, text)


def table(rounds: dict[str, dict[str, list[common.Measured]]], differ: dict[str, int]) -> str:
    """Examples a second of all sides, the ratios, and whether the ids are the same."""
    rows = []
    for dataset, measured in rounds.items():
        middle = common.medians(measured)
        rows.append(
            [
                dataset,
                *(f"{middle[side]['examples_per_second']:,.0f}" for side in (PACKAGE, REFERENCE, ALONE)),
                *(
                    f"{common.ratio(measured, 'examples_per_second', side, REFERENCE):.1f}x"
                    for side in (PACKAGE, ALONE)
                ),
                differ[dataset],
            ]
        )
    header = ["examples a second", PACKAGE, REFERENCE, ALONE, f"{PACKAGE}'s ratio", f"ratio of {ALONE}"]
    return common.table([*header, "examples whose ids differ"], rows)


def growth_table(measured: list[dict[str, float]]) -> str:
    """Time and memory by number of examples."""
    rows = [
        [
            f"{row['examples']:,.0f}",
            f"{row['tokens']:,.0f}",
            f"{row['seconds']:.1f} s",
            f"{row['examples'] / row['seconds']:,.0f}",
            f"{row['peak_mib']:,.0f} MiB",
            f"{row['peak_mib'] - row['before_mib']:,.0f} MiB",
        ]
        for row in measured
    ]
    return common.table(["examples", "tokens", "time", "examples a second", "peak memory", "for the examples"], rows)


if __name__ == "__main__":
    main()
