"""How much text a stage will see: examples, tokens, bytes.

They are counted where the data are there, else estimated. The lengths that an earlier look counted come first. Then come
the examples of a finished stage, the user's own files, and the published sizes. No torch.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from ..alignment.templates import STUDY
from ..corpora import CORPORA
from ..errors import QAlignError
from ..generation import DecodingConfig
from ..generation.protocol import Request
from ..models.folders import TOKENIZER_FILES
from ..models.opening import load_config, load_tokenizer_as_saved
from ..pipeline import Artifact, Node, Stage
from ..records import Example, write_json
from ..terminal import announce
from ..training.config import FEW_STEPS, TrainingConfig
from ..training.memory import SUPERVISED
from ..training.policy import ReinforceConfig
from ..training.tokens import Lengths
from ..wording import counted
from .artifacts import Examples, Model, Records
from .ask import Ask
from .bases import MakeTinyModel, first_model, origin
from .kinds import MakeExamples, ReadCorpus, Record, Train, examples_of, languages_of, records_for, rows_of
from .known import LENGTHS, Length
from .reinforce import Reinforce

BYTES_PER_TOKEN, TINY_BYTES_PER_TOKEN = 3.0, 1.6
"""UTF-8 bytes of a token: of LLaMA's tokenizer on mathematical texts, and of the tiny base's, which knows 4,096 tokens."""
PROMPT_TOKENS = 44
"""The tokens of the prompt prefix and suffix under LLaMA's tokenizer."""
SAMPLE = 300
"""Examples of a language whose tokens are counted where a tokenizer is there."""
FOLDER = "lengths"
"""In the folder of runs: a file for each tokenizer and set of texts."""
DECIDING = (*TOKENIZER_FILES, "config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
"""The files of a model folder that decide on tokens and positions."""
ENOUGH = 200
"""The steps that the advice leads to: enough for the warm-up and for a loss that falls."""
HIGH_RATE, LONG_ANSWER = 0.01, 8192
"""The learning rate and the tokens of an answer above which a run says so."""
ANSWER_TOKENS = 135
"""The mean length of the answers of a published 7B model."""
SMALLEST_BATCH = 8
"""Examples of a step that the advice goes down to before it takes more epochs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """What a training stage sees in one epoch, within the limit."""

    examples: int
    tokens: float
    supervised: float
    """The supervised share of the tokens."""
    utf8_bytes: float


def trained_on(stage: Node, runs: Path, reads: bool = True) -> Amount | None:
    """What a training stage sees in one epoch, and reinforcement learning in one step; None of another stage, and if the size of
    its data is unknown. The user's own files are read if `reads`."""
    if isinstance(stage, Reinforce):
        return _sampled(stage.reinforce, trained_on(stage.model, runs, reads))
    if not isinstance(stage, Train):
        return None
    config, examples, folder = stage.training, stage.examples.result(runs), origin(stage.model, runs)
    if examples is None:
        return mixed(stage.examples, runs, reads, stage.model, config.max_length)
    total = sum(row.utf8_bytes for row in examples.mixture())
    if folder is not None:
        with suppress(QAlignError, ImportError):  # said elsewhere; bytes tell enough
            return _of_lengths(token_counts(folder, stage.examples, runs)[0], config, total)
    count = sum(examples.by_language().values())
    tokens = total / _bytes_per_token(stage.model) + PROMPT_TOKENS * count
    return Amount(examples=count, tokens=tokens, supervised=SUPERVISED, utf8_bytes=total)


def _sampled(config: ReinforceConfig, before: Amount | None) -> Amount:
    """The answers of a step, as long as those that the model was trained on before."""
    answer, prompt = float(ANSWER_TOKENS), (1 - SUPERVISED) / SUPERVISED * ANSWER_TOKENS
    if before and before.examples:
        answer = before.tokens * before.supervised / before.examples
        prompt = before.tokens / before.examples - answer
    answer, count = min(answer, config.max_new_tokens), config.problems_per_step * config.samples
    return Amount(
        examples=count, tokens=count * (prompt + answer), supervised=answer / (prompt + answer), utf8_bytes=0.0
    )


def _of_lengths(lengths: Lengths, config: TrainingConfig, utf8_bytes: float) -> Amount:
    """The examples that training keeps, their tokens truncated at the limit."""
    limit = config.max_length
    lines = [line for counts in lengths.examples.values() for line in counts.items()]
    kept = [(min(n, limit), count) for n, count in lines if n <= limit or config.too_long != "drop"]
    prompts = sum(n * count for n, count in lengths.prompts.items())
    return Amount(
        examples=sum(count for _, count in kept),
        tokens=sum(n * count for n, count in kept),
        supervised=max(0.0, 1 - prompts / max(sum(n * count for n, count in lines), 1)),
        utf8_bytes=utf8_bytes,
    )


def mixed(
    examples: Stage[Examples], runs: Path, reads: bool = True, model: Stage[Model] | None = None, limit: int = 2**20
) -> Amount | None:
    """The sum over the corpora of a mixture that has not been made yet; None for examples of a user's own kind. The tokenizer
    of `model` counts, in examples of `limit` tokens at most."""
    if not isinstance(examples, MakeExamples):
        return None
    parts: list[tuple[int, Length]] = []
    for corpus, weight in zip(examples.corpora, examples.weights, strict=True):
        lengths = _lengths(corpus, examples, model, runs, reads)
        if lengths is None:
            return None
        kept = examples.kept({code: count for code, (count, _) in lengths.items()}, weight)
        parts += [(count, lengths[code][1]) for code, count in kept.items()]
    if not parts:
        return None
    tokens = sum(count * min(length.tokens, limit) for count, length in parts)
    supervised = sum(count * min(length.tokens, limit) * length.supervised for count, length in parts)
    if examples.form.loss == "everything":
        supervised = tokens
    return Amount(
        examples=sum(count for count, _ in parts),
        tokens=tokens,
        supervised=supervised / max(tokens, 1),
        utf8_bytes=sum(count * length.utf8_bytes for count, length in parts),
    )


def _lengths(
    corpus: Stage[Records], examples: MakeExamples, model: Stage[Model] | None, runs: Path, reads: bool
) -> dict[str, tuple[int, Length]] | None:
    """The number of records of a corpus in each language, and the mean example made of them."""
    if not isinstance(corpus, ReadCorpus):
        return None
    name, records, known = corpus.source.name, corpus.result(runs), LENGTHS.get((corpus.source.name, examples.task))
    if known is not None and (counts := rows_of(corpus, runs)[0]):
        size = _bytes_per_token(model)
        if size != BYTES_PER_TOKEN and CORPORA[name].world is None:  # of the world: as many tokens as its base has
            known = replace(known, tokens=known.utf8_bytes / size + PROMPT_TOKENS)
        return {code: (count, known) for code, count in counts.items()}
    if records is None and not (reads and corpus.source.kind == "files"):
        return None
    try:
        held = records_for(examples.task, records) if records else own_records(corpus)
        languages = languages_of({**corpus.languages, **examples.languages})
        made = defaultdict[str, list[Example]](list)
        for example in examples_of(examples.task, held, languages):
            made[example.language].append(example)
    except QAlignError:  # listed with what is known to fail
        return None
    count_tokens = _counter(model, runs)
    return {code: (len(rows), _mean(rows[:SAMPLE], count_tokens)) for code, rows in made.items()}


def _mean(examples: Sequence[Example], count_tokens: Callable[[str], float]) -> Length:
    responses = sum(count_tokens(one.response) for one in examples)
    tokens = responses + sum(PROMPT_TOKENS + count_tokens(one.instruction or "") for one in examples)
    size = sum(len(((one.instruction or "") + one.response).encode()) for one in examples)
    return Length(tokens / len(examples), responses / max(tokens, 1), size / len(examples))


def _bytes_per_token(model: Stage[Model] | None) -> float:
    is_tiny = model is not None and isinstance(first_model(model), MakeTinyModel)
    return TINY_BYTES_PER_TOKEN if is_tiny else BYTES_PER_TOKEN


def _counter(model: Stage[Model] | None, runs: Path) -> Callable[[str], float]:
    """A function from a text to its number of tokens: counted where the model's tokenizer is there, else estimated."""
    folder, per_token = origin(model, runs) if model else None, _bytes_per_token(model)
    if folder is not None and (folder / "tokenizer.json").is_file():
        try:
            from tokenizers import Tokenizer

            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
        except Exception:  # the library raises one bare kind for all; opening the base says what is wrong with it
            pass
    return lambda text: len(text.encode()) / per_token


def own_counts(corpus: Stage[Records]) -> dict[str, int]:
    """The records of a user's own files by language; empty for any other corpus."""
    if not isinstance(corpus, ReadCorpus) or corpus.source.kind != "files":
        return {}
    return dict(Counter(record.language for record in own_records(corpus)))


_READ: dict[str, list[Record]] = {}
"""What has been read of a user's own files, by fingerprint of the stage."""


def own_records(corpus: ReadCorpus) -> list[Record]:
    """All records of a user's own files, read once; a line says so where they are large."""
    if corpus.fingerprint not in _READ:
        if (path := corpus.source.path) is not None:
            announce("reading", path, sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file()))
        _READ[corpus.fingerprint] = corpus.text().records
    return _READ[corpus.fingerprint]


# --- tokens, counted -------------------------------------------------------------------------------------------------


def token_counts(folder: Path, texts: Node, runs: Path, ask: Ask | None = None) -> tuple[Lengths, float]:
    """The tokens of finished examples, or of what `ask` asks, and the positions of the model, infinite where no limit is known.
    They are counted once: other systems, the next run and `plan` take them from the folder of runs."""
    template = "" if ask is None or ask.prompt_template == STUDY else f"-{ask.prompt_template}"
    kept = runs / FOLDER / f"{_identity(folder)[:16]}-{texts.fingerprint[:16]}{template}.json"
    try:
        values = msgspec.json.decode(kept.read_bytes())
        lengths, positions = msgspec.convert(values["lengths"], Lengths, str_keys=True), values["positions"]
    except (OSError, ValueError, TypeError, KeyError):  # none, or not whole: it is counted again
        lengths = _measured(folder, texts.open(texts.folder(runs)), ask)
        positions = getattr(load_config(folder), "max_position_embeddings", None)
        if runs.is_dir():
            kept.parent.mkdir(exist_ok=True)
            write_json(kept, {"lengths": msgspec.to_builtins(lengths, str_keys=True), "positions": positions})
    return lengths, positions if isinstance(positions, int) else math.inf


def _measured(folder: Path, texts: Artifact, ask: Ask | None) -> Lengths:
    from ..alignment.prompts import encode_prompts
    from ..training.tokens import measure

    tokenizer = load_tokenizer_as_saved(folder)
    if isinstance(texts, Examples):
        return measure(texts.examples(), tokenizer)
    assert isinstance(texts, Records)
    assert ask is not None
    questions = ask.questions(texts)
    prompts = [Request(one.key, one.instruction, one.own_prompt).prompt for one in questions]
    found = Lengths()
    for question, ids in zip(questions, encode_prompts(prompts, tokenizer), strict=True):
        found.add(question.language, len(ids), len(ids))
    return found


def _identity(folder: Path) -> str:
    """A hash of what decides on the tokens and positions of a model."""
    total = hashlib.sha256()
    for name in DECIDING:
        if (folder / name).is_file():
            total.update(f"{name}\0{hashlib.sha256((folder / name).read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


# --- steps -----------------------------------------------------------------------------------------------------------


def few_steps(trainings: Iterable[tuple[Node, Amount | None]]) -> list[str]:
    """The lines about trainings of few steps, each once. Each stage comes with what it sees in an epoch."""
    pairs = ((stage, amount) for stage, amount in trainings if isinstance(stage, Train) and amount)
    lines = [advice(stage.training, stage.title, amount.examples) for stage, amount in pairs]
    return [line for line in dict.fromkeys(lines) if line]


def oddities(stages: Iterable[Node]) -> list[str]:
    """Sentences on settings that a run takes and that are seldom meant, each once."""
    lines = []
    for stage in stages:
        config: object = getattr(stage, stage.tuned) if stage.tuned else None
        if isinstance(config, TrainingConfig) and (rate := config.learning_rate) > HIGH_RATE:
            lines.append(f"{stage.title} has a learning rate of {rate:g}: most models diverge above {HIGH_RATE:g}")
        if isinstance(config, DecodingConfig) and (most := config.max_new_tokens) > LONG_ANSWER:
            lines.append(f"{stage.title} allows answers of {most:,} tokens: an answer that never ends takes them all")
    return list(dict.fromkeys(lines))


def advice(config: TrainingConfig, stage: str, examples: int) -> str | None:
    """A line about a training of few steps, with settings of the stage that give about 200; none about enough steps."""
    if examples < 1 or replace(config, max_steps=None).steps(examples) >= FEW_STEPS:
        return None
    batch = min(config.global_batch_size, max(SMALLEST_BATCH, config.epochs * examples // ENOUGH))
    epochs = max(config.epochs, round(ENOUGH / -(-examples // batch)))
    limit = None if config.max_steps is None else max(config.max_steps, ENOUGH)
    better = replace(config, global_batch_size=batch, epochs=epochs, max_steps=limit)
    changed = (n for n in ("global_batch_size", "epochs", "max_steps") if getattr(better, n) != getattr(config, n))
    words = " ".join(f"--set {stage}.{name}={getattr(better, name)}" for name in changed)
    return (
        f"{stage} takes only {counted(config.steps(examples), 'optimizer step')}, few to learn from "
        f"({counted(examples, 'example')}, {counted(config.epochs, 'epoch')}, {config.global_batch_size} a step); "
        f"{better.steps(examples)} steps with {words}"
    )
