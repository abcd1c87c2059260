"""The base of the embedded world, a small LLaMA that has read the world's text and nothing else; and what a base makes of
the world's probes: losses, and what it would write itself.

What makes a model of a million parameters fit for the study: large embeddings and small projections at first, small
batches, and text that repeats itself, so that it learns to copy (docs/dev/log.md has what did not work).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from .. import pipeline
from ..alignment.encoding import encode
from ..alignment.prompts import translation_instruction
from ..languages import STUDY, language
from ..models.folders import check_folder
from ..models.opening import load_model, load_tokenizer, resolve
from ..models.tiny import TinyConfig
from ..pipeline.stage_record import RECORD, read_record
from ..placement import Placement
from ..progress import Bar
from ..results.tables import Table
from ..training.config import METRICS, SUMMARY, TrainingConfig
from ..world.probes import ASKED_OF_ENGLISH, COUNT, NEW, TITLES, Probe, probes
from .artifacts import Model
from .bases import MakeTinyModel, tiny_base
from .kinds import MakeExamples, ReadCorpus, Train
from .study import Study

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHAPE = TinyConfig(
    vocabulary=4096, hidden_size=128, intermediate_size=352, layers=4, heads=4, max_positions=2048, tied=False,
    embedding_std=0.5, residual_std=0.005,
)  # fmt: skip
TRAINING = TrainingConfig(
    epochs=1, learning_rate=2e-3, warmup_ratio=0.03, adam_beta2=0.98, global_batch_size=16, precision="float32"
)


def world_base(study: Study) -> Train:
    """The training stage of the world's base: vocabulary and weights from the world's text in the study's ten languages."""
    text = study.corpus("text", "world-text")
    frames = [translation_instruction(language(code).name, "English", "") for code in STUDY if code != "en"]
    shape = study.settings.apply(None, "tiny", replace(SHAPE, seed=study.seed))
    empty = tiny_base(shape, {"text": text}, frames)
    return study.train("world-base", empty, study.mixture("text", "text", [text]), TRAINING)


def make_base(study: Study, placement: Placement, folder: Path | None = None) -> Path:
    """Trains the base of the world, and returns its folder: `folder`, with a model card, or that of the stage."""
    stage = world_base(study)
    pipeline.run([stage], study.runs, placement)
    trained = stage.folder(study.runs)
    if folder is None:
        return trained
    folder.mkdir(parents=True, exist_ok=True)
    for path in trained.iterdir():
        if path.name not in (RECORD, METRICS, SUMMARY):
            shutil.copyfile(path, folder / path.name)
    (folder / "README.md").write_text(card(stage, study.runs), encoding="utf-8")
    return folder


def card(stage: Train, runs: Path) -> str:
    """The model card of a finished base, in Markdown: what it is, what it was trained on, and how to make it again."""
    folder, base, examples = stage.folder(runs), stage.model, stage.examples
    assert isinstance(base, MakeTinyModel) and isinstance(examples, MakeExamples)
    (corpus,) = examples.corpora
    assert isinstance(corpus, ReadCorpus)
    record, summary = read_record(folder), Model(folder).summary()
    shares = sorted(summary.examples_by_language.items(), key=lambda item: -item[1])
    config = stage.training
    documents = ", ".join(f"{code} {n:,}" for code, n in shares)
    return f"""# The base of the embedded world

A LLaMA with {base.tiny.parameters:,} parameters and a vocabulary of its own, trained from random weights on the text of
qalign's embedded world (docs/world.md) and on nothing else. It can tell the world's stories in ten languages, work out
its sums, and copy. It has seen no question with its answer and no translation, and is of no use outside that world.

- Data: `world-text` of {corpus.source.revision}, {summary.examples:,} documents ({documents}).
- Training: {summary.steps:,} steps of {config.global_batch_size} documents, {summary.tokens:,} tokens, once through;
  seed {config.seed}; loss a token {summary.first_loss} -> {summary.last_loss};
  {record.seconds / 60:.0f} minutes on {record.hardware["cores"]} CPU cores.
- Made with {", ".join(f"{name} {version}" for name, version in record.versions.items())}.
- To make it again: `qalign world base DIR --seed {config.seed}` (the same up to rounding, which differs between machines).
- Licence: Apache 2.0, as qalign.
"""


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
    """The tables of a base: language, and reasoning, by `count` probes of a kind in a language."""
    found = ask(model, list(probes(list(STUDY), count)), quiet)
    of_language = [kind for kind in TITLES if kind not in ASKED_OF_ENGLISH]

    loss = {key: f"{one.loss / one.tokens:.2f}" for key, one in found.items()}
    exact = {key: f"{100 * one.exact / one.probes:.0f}" for key, one in found.items()}
    losses = [[TITLES[kind], *(loss[kind, code] for code in STUDY)] for kind in of_language]
    written = [[TITLES[kind], *(exact[kind, code] for code in STUDY)] for kind in of_language if kind not in NEW]
    steps = [[TITLES[kind], loss[kind, "en"], exact[kind, "en"]] for kind in ASKED_OF_ENGLISH]
    note = f"In nats; {count} probes of a kind in a language."
    by_itself = "All of it exactly, by greedy decoding."
    step = "A step is one operation with its result; what stands before it is right."
    return [
        Table(f"{name}: loss a token", ["what follows", *STUDY], losses, note),
        Table(f"{name}: written by itself, in percent", ["what follows", *STUDY], written, by_itself),
        Table(f"{name}: reasoning, in English", ["what follows", "loss a token", "written by itself, %"], steps, step),
    ]


def ask(model: Path, asked: Sequence[Probe], quiet: bool = False) -> Mapping[tuple[str, str], Found]:
    """What a base makes of probes, by kind and language."""
    import torch

    check_folder(folder := resolve(model))
    tokenizer, loaded = load_tokenizer(folder), load_model(folder, torch.float32).eval()
    found = {(one.kind, one.language): Found() for one in asked}
    with Bar("probes", len(asked), quiet=quiet) as bar, torch.inference_mode():
        for one, (tokens, before) in zip(asked, _encoded(asked, tokenizer), strict=True):
            ids = torch.tensor(tokens)
            scores, following = loaded(input_ids=ids[None]).logits[0, before - 1 : -1].float(), ids[before:]
            total = found[one.kind, one.language]
            total.loss += float(torch.nn.functional.cross_entropy(scores, following, reduction="sum"))
            total.tokens += len(following)
            total.exact += bool((scores.argmax(-1) == following).all())
            total.probes += 1
            bar.advance(1)
    return found


def _encoded(asked: Sequence[Probe], tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[list[int], int]]:
    """The tokens of each probe, and how many stand before what follows: at least the first."""
    wholes = encode(tokenizer, [f"{one.before}{one.after}" for one in asked])
    fronts = encode(tokenizer, [one.before for one in asked])
    for whole, front in zip(wholes, fronts, strict=True):
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(whole, front, strict=False)))
        yield whole.tolist(), max(same, 1)
