"""The base of the embedded world, a small LLaMA that has read the world's text alone, and what a base makes of its probes.

A model of a million parameters learns enough for the study from large embeddings and small projections at first, and from
small batches. The text repeats itself, so that it learns to copy. What did not work is in docs/dev/log.md.
"""

from __future__ import annotations

import multiprocessing
import shutil
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from .. import pipeline
from ..alignment.encoding import encode
from ..alignment.prompts import translation_instruction
from ..languages import STUDY, language
from ..models.folders import check_folder
from ..models.opening import load_model, load_tokenizer, resolve
from ..models.tiny import TinyConfig
from ..pipeline import Stage, Work
from ..pipeline.stage_record import RECORD, read_record
from ..placement import Placement
from ..progress import Bar
from ..records import Example, atomic_file, to_json, write_json
from ..resources import cores
from ..results.tables import Table
from ..training.config import METRICS, SUMMARY, TrainingConfig
from ..world import VERSION
from ..world.probes import ASKED_OF_ENGLISH, COUNT, NEW, TITLES, Probe, probes
from ..world.text import CHUNK, SUMS, WORKED, chunk
from .artifacts import EXAMPLES, MIXTURE, Examples, Model
from .bases import MakeTinyModel, tiny_base
from .kinds import Train
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
ON_GPU = replace(TRAINING, learning_rate=3e-3, global_batch_size=128, precision="bfloat16")
"""Large batches, which a GPU needs to be busy."""
DOCUMENTS = 320_000
"""Documents that the shipped base has read."""
SOURCE = "world-text"
"""What the examples are of."""
_Chunk = tuple[bytes, Counter[tuple[str, str]]]
"""Lines, and what they count by language and name."""
AHEAD = 4
"""Chunks of documents that each core may be ahead of the file."""


@dataclass(frozen=True, eq=False, kw_only=True)
class WriteText(Stage[Examples]):
    """The world's text as examples, made on all cores and written as it is made. It is the same on any number of cores."""

    on_device: ClassVar[bool] = False
    revision: str
    languages: tuple[str, ...]
    documents: int
    sums: float
    """The share of the English documents that are sums."""
    worked: float
    """The share of the English documents that are stories worked out."""

    def run(self, work: Work) -> None:
        """Writes examples and the table of the mixture."""
        total = Counter[tuple[str, str]]()
        with (
            Bar("text", self.documents, quiet=work.placement.quiet) as bar,
            atomic_file(work.output / EXAMPLES) as temporary,
            temporary.open("wb") as file,
        ):
            for lines, counts in self._chunks():
                file.write(lines)
                total.update(counts)
                bar.advance(min(CHUNK, self.documents - bar.done))
        codes = sorted(self.languages, key=lambda code: -total[code, "examples"])
        sizes = ("examples", "characters", "utf8_bytes")
        rows = [
            {"source": SOURCE, "language": one, "repeated": 0, **{n: total[one, n] for n in sizes}} for one in codes
        ]
        write_json(work.output / MIXTURE, rows)

    def _chunks(self) -> Iterator[_Chunk]:
        """The chunks in their order, each made by a process of its own."""
        places = range(-(-self.documents // CHUNK))
        waiting: deque[Future[_Chunk]] = deque()
        # Spawned, not forked: this process has threads.
        with ProcessPoolExecutor(cores(), multiprocessing.get_context("spawn")) as pool:
            for place in places:
                size = min(CHUNK, self.documents - place * CHUNK)
                waiting.append(pool.submit(_chunk, place, size, self.languages, self.sums, self.worked))
                if len(waiting) >= AHEAD * cores():
                    yield waiting.popleft().result()
            yield from (done.result() for done in waiting)

    def size(self, runs: Path) -> str:
        """Its documents."""
        return f"{self.documents:,} documents"


def _chunk(place: int, size: int, languages: tuple[str, ...], sums: float, worked: float) -> _Chunk:
    """The lines of a chunk's first documents, and what they count."""
    lines, counts = [], Counter[tuple[str, str]]()
    for number, document in enumerate(islice(chunk(place, languages, sums=sums, worked=worked), size)):
        code, text = document.language, document.text
        example = Example(id=str(place * CHUNK + number), language=code, source=SOURCE, instruction=None, response=text)
        lines.append(to_json(example) + "\n")
        counts.update(
            {(code, "examples"): 1, (code, "characters"): len(text), (code, "utf8_bytes"): len(text.encode())}
        )
    return "".join(lines).encode(), counts


def world_base(study: Study, documents: int = DOCUMENTS, device: str = "auto") -> Train:
    """The training stage of the world's base: vocabulary and weights from the world's text in the study's ten languages. A
    smaller number of documents gives the first of a larger one. On a GPU batches are large, and arithmetic is bfloat16."""
    frames = [translation_instruction(language(code).name, "English", "") for code in STUDY if code != "en"]
    shape = study.settings.apply(None, "tiny", replace(SHAPE, seed=study.seed))
    empty = tiny_base(shape, {"text": study.corpus("text", "world-text")}, frames)
    text = WriteText(
        name="text", revision=f"world-{VERSION}", languages=tuple(STUDY), documents=documents, sums=SUMS, worked=WORKED
    )
    training = ON_GPU if on_gpu(device) else TRAINING
    stage = study.settings.tuned(None, study.train("world-base", empty, text, training))
    study.settings.check_all_used()
    return stage


def on_gpu(device: str) -> bool:
    """Whether `--device DEVICE` means a GPU here."""
    if device != "auto":
        return device == "cuda"
    import torch

    return torch.cuda.is_available()


def make_base(stage: Train, placement: Placement, folder: Path | None = None) -> Path:
    """Trains the base of the world, and returns its folder. The stage is what `world_base` gave. On a GPU it is one process;
    on a CPU, 512 tokens at once are fastest. A `folder` gets a copy of the model, with a model card."""
    if on_gpu(placement.device):
        placement = replace(placement, processes=1)
    elif placement.tokens_per_micro_batch is None:
        placement = replace(placement, tokens_per_micro_batch=512)
    runs = placement.runs
    pipeline.run([stage], runs, placement)
    trained = stage.folder(runs)
    if folder is None:
        return trained
    folder.mkdir(parents=True, exist_ok=True)
    for path in trained.iterdir():
        if path.is_file() and path.name not in (RECORD, METRICS, SUMMARY):
            shutil.copyfile(path, folder / path.name)
    (folder / "README.md").write_text(card(stage, runs), encoding="utf-8")
    return folder


def card(stage: Train, runs: Path) -> str:
    """The model card of a finished base, in Markdown: what it is, what it was trained on, and how to make it again."""
    folder, config, base, text = stage.folder(runs), stage.training, stage.model, stage.examples
    assert isinstance(base, MakeTinyModel) and isinstance(text, WriteText)
    record, summary = read_record(folder), Model(folder).summary()
    shares = sorted(summary.examples_by_language.items(), key=lambda item: -item[1])
    documents = ", ".join(f"{code} {n:,}" for code, n in shares)
    cores_used = record.hardware["cores"]
    where = "a GPU" if config.precision == "bfloat16" else f"{cores_used} CPU cores"
    asked = f"--documents {text.documents} --set text.sums={text.sums:g} --set text.worked={text.worked:g} --seed {config.seed}"
    return f"""# The base of the embedded world

A LLaMA with {base.tiny.parameters:,} parameters and a vocabulary of its own, trained from random weights on the text of
qalign's embedded world (docs/world.md) and on nothing else. It can tell the world's stories in ten languages, work out
its sums, and copy. It has seen no question with its answer and no translation, and is of no use outside that world.

- Data: `world-text` of {text.revision}, {summary.examples:,} documents ({documents}). Of the English ones
  {text.sums:.0%} are sums and {text.worked:.0%} are stories worked out.
- Training: {summary.steps:,} steps of {config.global_batch_size} documents, {summary.tokens:,} tokens, once through;
  seed {config.seed}; loss a token {summary.first_loss} -> {summary.last_loss};
  {record.seconds / 60:.0f} minutes on {where}.
- Made with {", ".join(f"{name} {version}" for name, version in record.versions.items())}.
- To make it again: `qalign world base DIR {asked}` (the same up to rounding, which differs between machines).
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
