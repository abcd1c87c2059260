"""Whether what a run trains on and asks fits its model: tokens within limits and positions, an embedding for each token.

All is counted with the tokenizer and the renderer of training. Counts are kept in the folder of runs: other systems, the
next run and `plan` take them from there.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, ModelError, QAlignError
from ..models.folders import TOKENIZER_FILES
from ..models.opening import (
    check_special_ids,
    check_vocabulary,
    load_config,
    load_tokenizer_as_saved,
)
from ..pipeline import Artifact, Node, Stage, in_order, status
from ..records import write_json
from ..training.lengths import Lengths, settings
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


@dataclass(frozen=True, slots=True)
class _Counted:
    """The tokens of some texts, and how many positions the model has for them (None: no limit is known)."""

    lengths: Lengths
    positions: int | None


def misfits(comparison: Sequence[Evaluated], waiting: Collection[str], runs: Path) -> Iterator[QAlignError]:
    """What does not fit, as errors that are not raised.

    Args:
        waiting: the fingerprints of the stages that have still to run.
    """
    folders = {folder: None for stage in _encoding(comparison, waiting) if (folder := origin(stage.model, runs))}
    unusable = {}
    for folder in folders:
        try:
            _check_vocabulary(folder)
        except QAlignError as error:
            unusable[folder] = error
    yield from unusable.values()
    for name, alike in _trainings(comparison).items():
        faults = {}
        for fingerprint, stages in alike.items():
            stage = next(iter(stages.values()))
            folder = origin(stage.model, runs) if fingerprint in waiting else None
            if folder is not None and folder not in unusable:
                faults[fingerprint] = _fault(stage, folder, [name], runs)
        if all(faults.get(fingerprint) for fingerprint in alike):
            yield from (fault for fault in faults.values() if fault)
            continue
        for fingerprint, fault in faults.items():  # to change the others too would make them train again
            names = [f"{system}.{name}" for system in alike[fingerprint] if system in SYSTEMS]
            stage = next(iter(alike[fingerprint].values()))
            folder = origin(stage.model, runs)
            if fault and folder and (again := _fault(stage, folder, names or [name], runs)):
                yield again
    yield from _answers(comparison, waiting, runs, unusable)


def _fault(stage: Train, model: Path, names: Sequence[str], runs: Path) -> QAlignError | None:
    """What is wrong with the lengths of a training stage's examples; `names` are what `--set` calls the stage."""
    examples, config = stage.examples, stage.training
    if status(examples, runs) != "done":
        return None
    counted = _count(model, examples, runs)
    try:
        counted.lengths.check(config, names)
    except DataError as error:
        return DataError(f"{', '.join(names)}: {error}")
    tokens = counted.lengths.trained(config)
    if counted.positions is None or tokens <= counted.positions:
        return None
    return ModelError(
        f"{', '.join(names)}: a sequence has {tokens} tokens, and the model has {counted.positions} positions; give "
        f"{settings(names, f'max_length={counted.positions}')}, with too_long=drop or cut"
    )


def _encoding(comparison: Sequence[Evaluated], waiting: Collection[str]) -> Iterator[Train | Ask]:
    """The stages that have still to run and encode texts with a model's tokenizer, each once."""
    for stage in in_order(scores_of(comparison)):
        asks = isinstance(stage, Ask) and stage.decoding.backend in ("transformers", "vllm")
        if stage.fingerprint in waiting and isinstance(stage, Train | Ask) and (asks or isinstance(stage, Train)):
            yield stage


def _trainings(comparison: Sequence[Evaluated]) -> dict[str, dict[str, dict[str, Train]]]:
    """The training stages: name -> fingerprint -> system -> stage."""
    found: defaultdict[str, dict[str, dict[str, Train]]] = defaultdict(dict)
    for system in comparison:
        for stage in training_stages(system.model):
            found[stage.title].setdefault(stage.fingerprint, {})[system.name] = stage
    return found


def _answers(
    comparison: Sequence[Evaluated], waiting: Collection[str], runs: Path, unusable: Mapping[Path, QAlignError]
) -> Iterator[QAlignError]:
    """Questions that, with the longest answer, have more tokens than the model has positions."""
    for stage in _encoding(comparison, waiting):
        if not isinstance(stage, Ask):
            continue
        folder, test = origin(stage.model, runs), stage.records
        if folder is None or folder in unusable or status(test, runs) != "done":
            continue
        counted, new_tokens = _count(folder, test, runs), stage.decoding.max_new_tokens
        tokens = counted.lengths.longest + new_tokens
        if counted.positions is not None and tokens > counted.positions:
            yield ModelError(
                f"{stage.folder_name}: a question with its answer may have {tokens} tokens, and the model has "
                f"{counted.positions} positions; set generation.max_new_tokens lower (it is {new_tokens})"
            )


def lengths_of(folder: Path, examples: Stage[Examples], runs: Path) -> Lengths:
    """The lengths of finished examples, as the model of a folder reads them; counted once and kept."""
    return _count(folder, examples, runs).lengths


def _count(folder: Path, texts: Node, runs: Path) -> _Counted:
    """The tokens of finished examples, or of the prompts of a finished test set, as the model of a folder reads them."""
    kept = runs / FOLDER / f"{_identity(folder)[:16]}-{texts.fingerprint[:16]}.json"
    try:
        values = json.loads(kept.read_text(encoding="utf-8"))
        return _Counted(Lengths.from_dict(values["lengths"]), values["positions"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # none, or not whole: it is counted again
        counted = _Counted(_lengths(folder, texts.open(texts.folder(runs))), _positions(folder))
    if runs.is_dir():
        kept.parent.mkdir(exist_ok=True)
        write_json(kept, {"lengths": counted.lengths.as_dict(), "positions": counted.positions})
    return counted


def _positions(folder: Path) -> int | None:
    """The positions of a model, as `check_length` reads them once the model is open."""
    positions = getattr(load_config(folder), "max_position_embeddings", None)
    return positions if isinstance(positions, int) else None


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
    embeddings = _plainly_embedded(folder)
    if embeddings is None:
        check_vocabulary(folder)
    else:
        for name in ("config.json", "generation_config.json"):
            check_special_ids(folder / name, embeddings)


def _plainly_embedded(folder: Path) -> int | None:
    """How many embeddings a model has, where its two JSON files alone show that each token has one; else None."""
    try:
        config = parse_json((folder / "config.json").read_bytes(), "config.json")
        tokenizer = parse_json((folder / "tokenizer.json").read_bytes(), "tokenizer.json")
        embeddings, vocabulary = (config.get("text_config") or config)["vocab_size"], tokenizer["model"]["vocab"]
        ids = [*(vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary)))]
        ids += [token["id"] for token in tokenizer["added_tokens"]]
        return embeddings if max(ids) < embeddings else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, QAlignError):
        return None
