"""How large a stage will be, for `plan`: exact where its inputs are done, else an estimate marked with `~`. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..generation import DecodingConfig
from ..pipeline import Stage
from ..training.config import FEW_STEPS, TrainingConfig
from ..wording import counted
from .outputs import corpus_counts, mixture

UNITS = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10}


def corpus(published: Mapping[str, int]) -> str:
    """The published size of a corpus that has not been read yet."""
    return (
        f"~{counted(sum(published.values()), 'row')} ({_by_language(published)})"
        if published
        else "size known when read"
    )


def examples(config: Mapping[str, Any], inputs: Mapping[str, Path], parts: Mapping[str, Stage]) -> str:
    """The size of a mixture by language."""
    counts, exact = _example_counts(config, inputs, parts)
    if not counts:
        return "size known when its corpus is read"
    return f"{'' if exact else '~'}{counted(sum(counts.values()), 'example')} ({_by_language(counts)})"


def _example_counts(
    config: Mapping[str, Any], inputs: Mapping[str, Path], parts: Mapping[str, Stage]
) -> tuple[Counter[str], bool]:
    counts: Counter[str] = Counter()
    exact = all(name in inputs for name in parts)
    for name, part in parts.items():
        if name in inputs:
            held = corpus_counts(inputs[name])["counts"]
        else:
            held = _published(part)
        limit = config["examples_per_language"]
        for code, count in held.items():
            counts[code] += round(config["weights"][name] * (count if limit is None else min(count, limit)))
    return counts, exact


def _published(part: Stage) -> dict[str, int]:
    from ..corpora import CORPORA

    name = part.config["source"]["corpus"]
    published = CORPORA[name].published if name in CORPORA else {}
    return {code: published[code] for code in part.config["languages"] if code in published}


def training(config: TrainingConfig, inputs: Mapping[str, Path], made: Stage) -> str:
    """Examples, epochs and steps of a training stage."""
    if "examples" in inputs:
        counts = Counter[str]()
        for row in mixture(inputs["examples"]):
            counts[row["language"]] += row["examples"]
    else:
        counts, _ = _example_counts(made.config, {}, made.inputs)
    if not counts:
        return "size known when its corpus is read"
    total = sum(counts.values())
    mark = "" if "examples" in inputs else "~"
    steps = f"{mark}{counted(config.steps(total), 'step')} of {config.global_batch_size}"
    few = " (few to learn from)" if replace(config, max_steps=None).steps(total) < FEW_STEPS else ""
    return f"{mark}{counted(total, 'example')} x {counted(config.epochs, 'epoch')}, {steps}{few}"


def generation(decoding: DecodingConfig, inputs: Mapping[str, Path], test: Stage) -> str:
    """Problems by language and the most tokens that an answer may have."""
    if "test" in inputs:
        counts = corpus_counts(inputs["test"])["kept"]
    else:
        counts = _published(test)
        limit = test.config["problems_per_language"]
        counts = {code: count if limit is None else min(count, limit) for code, count in counts.items()}
    mark = "" if "test" in inputs else "~"
    if not counts:
        return "size known when its test set is read"
    problems = counted(sum(counts.values()), "problem")
    return f"{mark}{problems} ({_by_language(counts)}), up to {decoding.max_new_tokens} tokens each"


def _by_language(counts: Mapping[str, int]) -> str:
    """`de 400, es 400`, or `400 each of de, es` where all are the same."""
    values = set(counts.values())
    if len(values) == 1 and len(counts) > 1:
        return f"{_short(next(iter(values)))} each of {' '.join(counts)}"
    return ", ".join(f"{code} {_short(count)}" for code, count in counts.items())


def _short(count: float) -> str:
    return f"{count:,.0f}" if count < 1e6 else f"{count / 1e6:,.1f}M"


def in_bytes(count: float) -> str:
    """`27.3 GiB`, or less in the unit that suits."""
    name, size = next(((name, size) for name, size in UNITS.items() if count >= size), ("KiB", 2**10))
    return f"{count / size:,.1f} {name}"
