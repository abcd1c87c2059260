"""Whether examples and questions fit the model: limits, positions, an embedding for each token.

All is counted with the tokenizer and the renderer of training. Counts are kept in the folder of runs: other systems, the
next run and `plan` take them from there.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from ..errors import DataError, ModelError, QAlignError
from ..models.folders import TOKENIZER_FILES
from ..models.opening import check_special_ids, check_vocabulary, load_config, load_tokenizer_as_saved
from ..pipeline import Artifact, Node, Stage, in_order, status
from ..records import write_json
from ..training.tokens import Lengths, settings
from ..untrusted import parse_json
from .artifacts import Examples, Records
from .ask import Ask
from .evaluated import Evaluated, scores_of
from .kinds import Train
from .lineage import origin, training_stages
from .table import SYSTEMS

FOLDER = "lengths"
"""In the folder of runs: a file for each tokenizer and set of texts."""
DECIDING = (*TOKENIZER_FILES, "config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
"""The files of a model folder that decide on tokens and positions."""


def misfits(comparison: Sequence[Evaluated], waiting: Collection[str], runs: Path) -> Iterator[QAlignError]:
    """What does not fit, as errors that are not raised.

    Args:
        comparison: the systems.
        waiting: the fingerprints of the stages that have still to run.
        runs: the folder of all stages.
    """
    stages = [stage for stage in in_order(scores_of(comparison)) if stage.fingerprint in waiting]
    asks = [stage for stage in stages if isinstance(stage, Ask) and stage.decoding.backend in ("transformers", "vllm")]
    trainings = [stage for stage in stages if isinstance(stage, Train)]
    unusable: set[Path | None] = {None}
    models = [*(stage.model for stage in trainings), *(stage.model for stage in asks)]
    for folder in dict.fromkeys(origin(model, runs) for model in models):
        try:
            if folder is not None:
                _check_vocabulary(folder)
        except QAlignError as error:
            unusable.add(folder)
            yield error

    def counted(stage: Train | Ask, texts: Node) -> tuple[Lengths, float] | None:
        folder = origin(stage.model, runs)
        known = folder is not None and folder not in unusable and status(texts, runs) == "done"
        return _count(folder, texts, runs) if known and folder else None

    for name, alike in _trainings(comparison).items():
        faulty = {}
        for stage, systems in alike:
            lengths = counted(stage, stage.examples) if stage.fingerprint in waiting else None
            if lengths and _fault(stage, [name], *lengths):
                faulty[stage] = lengths, [f"{system}.{name}" for system in systems if system in SYSTEMS]
        for stage, (lengths, own) in faulty.items():  # to change others of the name too would make them train again
            names = own if own and len(faulty) < len(alike) else [name]
            yield from filter(None, [_fault(stage, names, *lengths)])
    for ask in asks:
        new, lengths = ask.decoding.max_new_tokens, counted(ask, ask.records)
        if lengths and lengths[0].longest + new > lengths[1]:
            yield ModelError(
                f"{ask.folder_name}: a question with its answer may have {lengths[0].longest + new} tokens, and the model "
                f"has {lengths[1]} positions; set generation.max_new_tokens lower (it is {new})"
            )


def _trainings(comparison: Sequence[Evaluated]) -> dict[str, list[tuple[Train, list[str]]]]:
    """The training stages by name, each once, with the systems that it is of."""
    found: defaultdict[str, dict[str, tuple[Train, list[str]]]] = defaultdict(dict)
    for system in comparison:
        for stage in training_stages(system.model):
            found[stage.title].setdefault(stage.fingerprint, (stage, []))[1].append(system.name)
    return {name: list(alike.values()) for name, alike in found.items()}


def _fault(stage: Train, names: Sequence[str], lengths: Lengths, positions: float) -> QAlignError | None:
    """What is wrong with the lengths of a training stage's examples; `names` are what `--set` calls the stage."""
    try:
        lengths.check(stage.training, names)
    except DataError as error:
        return DataError(f"{', '.join(names)}: {error}")
    if (tokens := lengths.trained(stage.training)) <= positions:
        return None
    return ModelError(
        f"{', '.join(names)}: a sequence has {tokens} tokens, and the model has {positions} positions; give "
        f"{settings(names, f'max_length={positions}')}, with too_long=drop or cut"
    )


def lengths_of(folder: Path, examples: Stage[Examples], runs: Path) -> Lengths:
    """The lengths of finished examples, as the model of a folder reads them; counted once and kept."""
    return _count(folder, examples, runs)[0]


def _count(folder: Path, texts: Node, runs: Path) -> tuple[Lengths, float]:
    """The tokens of finished examples or prompts, and the positions of the model, infinite where no limit is known."""
    kept = runs / FOLDER / f"{_identity(folder)[:16]}-{texts.fingerprint[:16]}.json"
    try:
        values = msgspec.json.decode(kept.read_bytes())
        lengths, positions = msgspec.convert(values["lengths"], Lengths, str_keys=True), values["positions"]
    except (OSError, ValueError, TypeError, KeyError):  # none, or not whole: it is counted again
        lengths = _lengths(folder, texts.open(texts.folder(runs)))
        positions = getattr(load_config(folder), "max_position_embeddings", None)
        if runs.is_dir():
            kept.parent.mkdir(exist_ok=True)
            write_json(kept, {"lengths": msgspec.to_builtins(lengths, str_keys=True), "positions": positions})
    return lengths, positions if isinstance(positions, int) else math.inf


def _lengths(folder: Path, texts: Artifact) -> Lengths:
    from ..alignment.prompts import render_prompts
    from ..training.tokens import measure

    tokenizer = load_tokenizer_as_saved(folder)
    if isinstance(texts, Examples):
        return measure(texts.examples(), tokenizer)
    assert isinstance(texts, Records)
    problems = list(texts.problems())
    found = Lengths()
    for problem, ids in zip(problems, render_prompts([one.question for one in problems], tokenizer), strict=True):
        found.add(problem.language, len(ids), len(ids))
    return found


def _identity(folder: Path) -> str:
    """A hash of what decides on the tokens and positions of a model."""
    total = hashlib.sha256()
    for name in DECIDING:
        if (folder / name).is_file():
            total.update(f"{name}\0{hashlib.sha256((folder / name).read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def _check_vocabulary(folder: Path) -> None:
    """`check_vocabulary` of a model folder, without its heavy imports where two JSON files tell enough.

    Raises:
        ModelError: a token has no embedding, or configuration or tokenizer cannot be opened.
    """
    try:
        config = parse_json((folder / "config.json").read_bytes(), "config.json")
        tokenizer = parse_json((folder / "tokenizer.json").read_bytes(), "tokenizer.json")
        embeddings, vocabulary = (config.get("text_config") or config)["vocab_size"], tokenizer["model"]["vocab"]
        ids = [*(vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary)))]
        is_plain = max([*ids, *(token["id"] for token in tokenizer["added_tokens"])]) < embeddings
    except (OSError, ValueError, TypeError, KeyError, AttributeError, QAlignError):
        is_plain = False
    if not is_plain:
        check_vocabulary(folder)
    for name in ("config.json", "generation_config.json") if is_plain else ():
        check_special_ids(folder / name, embeddings)
