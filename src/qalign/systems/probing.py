"""The probes of the embedded world, put to a base: losses, and what it would write itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..alignment.encoding import encode
from ..languages import STUDY
from ..models.folders import check_folder
from ..models.opening import load_model, load_tokenizer, pad_id, resolve
from ..progress import Bar
from ..results.tables import Table
from ..world.probes import ASKED_OF_ENGLISH, COUNT, NEW, TITLES, Probe, probes

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

BATCH = 40


@dataclass(slots=True)
class Found:
    """What a base makes of the probes of a kind in a language."""

    loss: float = 0.0
    """The sum over all tokens that had to follow, in nats."""
    tokens: int = 0
    exact: int = 0
    """Probes in which each token that had to follow is the likeliest one: greedy decoding writes it."""
    probes: int = 0


def probe(model: Path, name: str, count: int = COUNT, quiet: bool = False) -> list[Table]:
    """The tables of a base: language, and reasoning.

    Args:
        model: its folder.
        name: what the tables call it.
        count: probes of a kind in a language.

    Raises:
        ModelError: the folder holds no model.
    """
    found = ask(model, list(probes(list(STUDY), count)), quiet)
    of_language = [kind for kind in TITLES if kind not in ASKED_OF_ENGLISH]

    def loss(kind: str, code: str) -> str:
        return f"{found[kind, code].loss / found[kind, code].tokens:.2f}"

    def exact(kind: str, code: str) -> str:
        return f"{100 * found[kind, code].exact / found[kind, code].probes:.0f}"

    return [
        Table(
            title=f"{name}: loss a token",
            columns=["what follows", *STUDY],
            rows=[[TITLES[kind], *(loss(kind, code) for code in STUDY)] for kind in of_language],
            note=f"In nats; {count} probes of a kind in a language.",
        ),
        Table(
            title=f"{name}: written by itself, in percent",
            columns=["what follows", *STUDY],
            rows=[[TITLES[kind], *(exact(kind, code) for code in STUDY)] for kind in of_language if kind not in NEW],
            note="All of it exactly, by greedy decoding.",
        ),
        Table(
            title=f"{name}: reasoning, in English",
            columns=["what follows", "loss a token", "written by itself, %"],
            rows=[[TITLES[kind], loss(kind, "en"), exact(kind, "en")] for kind in ASKED_OF_ENGLISH],
            note="A step is one operation with its result; what stands before it is right.",
        ),
    ]


def ask(model: Path, asked: Sequence[Probe], quiet: bool = False) -> Mapping[tuple[str, str], Found]:
    """What a base makes of probes, by kind and language."""
    import torch

    check_folder(folder := resolve(model))
    tokenizer, loaded = load_tokenizer(folder), load_model(folder, torch.float32).eval()
    found = {(one.kind, one.language): Found() for one in asked}
    rows = sorted(zip(asked, _encoded(asked, tokenizer), strict=True), key=lambda row: len(row[1][0]))
    with Bar("probes", len(rows), quiet=quiet) as bar, torch.inference_mode():
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            losses = _losses([ids for _, (ids, _) in batch], loaded, pad_id(tokenizer, loaded.config.vocab_size))
            for (one, (ids, before)), (loss, likeliest) in zip(batch, losses, strict=True):
                total = found[one.kind, one.language]
                total.loss += float(loss[before - 1 :].sum())
                total.tokens += len(ids) - before
                total.exact += bool(likeliest[before - 1 :].all())
                total.probes += 1
            bar.advance(len(batch))
    return found


def _encoded(asked: Sequence[Probe], tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[list[int], int]]:
    """The tokens of each probe, and how many stand before what follows: at least the first."""
    wholes = encode(tokenizer, [f"{one.before}{one.after}" for one in asked])
    fronts = encode(tokenizer, [one.before for one in asked])
    for whole, front in zip(wholes, fronts, strict=True):
        same = next(
            (n for n, (a, b) in enumerate(zip(whole, front, strict=False)) if a != b), min(len(whole), len(front))
        )
        yield whole.tolist(), max(same, 1)


def _losses(rows: Sequence[list[int]], model: PreTrainedModel, pad: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """For each row: the loss of each token but the first (tokens - 1,), and whether it was the likeliest."""
    import torch

    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows])
    there = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    scores = model(input_ids=ids, attention_mask=there).logits[:, :-1].float()
    losses = torch.nn.functional.cross_entropy(scores.transpose(1, 2), ids[:, 1:], reduction="none")
    likeliest = scores.argmax(-1) == ids[:, 1:]
    for row, loss, right in zip(rows, losses, likeliest, strict=True):
        yield loss[: len(row) - 1], right[: len(row) - 1]
