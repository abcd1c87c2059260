"""Asking a model questions, outside of any study."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..generation import DecodingConfig, open_backend
from ..generation.protocol import Request
from ..placement import Placement
from ..training.memory import out_of_memory_in_one_line
from .bases import WORLD, WORLD_FOLDER, checkpoint


def ask(
    model: str | Path,
    questions: str | Iterable[str],
    *,
    max_new_tokens: int = 600,
    temperature: float = 0.0,
    seed: int = 1234,
    placement: Placement | None = None,
    runs: Path | str = "runs",
) -> list[str]:
    """The answers of a model to questions, in their order, under the study's prompt.

    Args:
        model: a folder, a hub name or `world`.
        questions: one or several.
        max_new_tokens: the most tokens of an answer.
        temperature: 0 is greedy decoding. Above 0 tokens are sampled.
        seed: of sampling.
        placement: how the work is executed.
        runs: the folder where hub revisions are recorded.

    Raises:
        QAlignError: the model or a value cannot be used.
    """
    decoding = DecodingConfig(max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)
    folder = WORLD_FOLDER if model == WORLD else checkpoint(str(model), Path(runs))
    texts = [questions] if isinstance(questions, str) else list(questions)
    answers: dict[str, str] = {}
    with out_of_memory_in_one_line("a lower batch_size"):
        backend = open_backend(folder, decoding, placement or Placement())
        requests = [Request(str(place), text) for place, text in enumerate(texts)]
        size = backend.chunk or max(1, len(requests))
        for start in range(0, len(requests), size):
            answers |= {one.key: one.text for one in backend.generate(requests[start : start + size])}
    return [answers[request.key] for request in requests]
