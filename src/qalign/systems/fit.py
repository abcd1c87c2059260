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
from typing import TYPE_CHECKING

from ..errors import DataError, ModelError, QAlignError
from ..generation import DecodingConfig
from ..huggingface import Repository, cached_folder
from ..models.folders import TOKENIZER_FILES
from ..models.opening import (
    POINTER,
    check_special_ids,
    check_vocabulary,
    load_config,
    load_tokenizer_as_saved,
)
from ..pipeline import Stage, status
from ..records import Example, Problem, read_jsonl, write_json
from ..stage_record import read_record
from ..training.lengths import Lengths, settings
from ..untrusted import parse_json
from .stages import EXAMPLES, RECORDS, training_config
from .table import SYSTEMS

if TYPE_CHECKING:
    from .comparison import Evaluated

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
    folders = {
        folder: None for stage in _asking(comparison, waiting) if (folder := origin(stage.inputs["model"], runs))
    }
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
            folder = origin(stage.inputs["model"], runs) if fingerprint in waiting else None
            if folder is not None and folder not in unusable:
                faults[fingerprint] = _fault(stage, folder, [name], runs)
        if all(faults.get(fingerprint) for fingerprint in alike):
            yield from (fault for fault in faults.values() if fault)
            continue
        for fingerprint, fault in faults.items():  # to change the others too would make them train again
            names = [f"{system}.{name}" for system in alike[fingerprint] if system in SYSTEMS]
            stage = next(iter(alike[fingerprint].values()))
            folder = origin(stage.inputs["model"], runs)
            if fault and folder and (again := _fault(stage, folder, names or [name], runs)):
                yield again
    yield from _answers(comparison, waiting, runs, unusable)


def origin(model: Stage, runs: Path) -> Path | None:
    """The folder that a model's tokenizer comes from: that of the base, or of the checkpoint that was adopted.

    None while it is not there: the base has still to be made or fetched, or only a server has it.
    """
    folder = model.folder(runs) if status(model, runs) == "done" else None
    if model.name.startswith("train-") and not (folder and read_record(folder).adopted_from):
        return origin(model.inputs["model"], runs) or folder
    if folder is not None and (folder / POINTER).is_file():
        named = parse_json((folder / POINTER).read_bytes(), str(folder / POINTER))
        folder = cached_folder(Repository("model", named["hub"]), named["revision"])
    return folder if folder is not None and (folder / "config.json").is_file() else None


def _fault(stage: Stage, model: Path, names: Sequence[str], runs: Path) -> QAlignError | None:
    """What is wrong with the lengths of a training stage's examples; `names` are what `--set` calls the stage."""
    examples, config = stage.inputs["examples"], training_config(stage.config)
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


def _asking(comparison: Sequence[Evaluated], waiting: Collection[str]) -> Iterator[Stage]:
    """The stages that have still to run and encode texts with a model's tokenizer, each once."""
    stages = {stage.fingerprint: stage for system in comparison for stage in chain(system.model)}
    for system in comparison:
        for score in system.scores.values():
            generation = score.inputs["predictions"]
            if generation.config["decoding"]["backend"] in ("transformers", "vllm"):
                stages[generation.fingerprint] = generation
    yield from (stage for fingerprint, stage in stages.items() if fingerprint in waiting)


def _trainings(comparison: Sequence[Evaluated]) -> dict[str, dict[str, dict[str, Stage]]]:
    """The training stages: name -> fingerprint -> system -> stage."""
    found: defaultdict[str, dict[str, dict[str, Stage]]] = defaultdict(dict)
    for system in comparison:
        for stage in chain(system.model):
            found[stage.config["stage"]].setdefault(stage.fingerprint, {})[system.name] = stage
    return found


def chain(model: Stage) -> list[Stage]:
    """The training stages that lead to a model, first to last."""
    if not model.name.startswith("train-"):
        return []
    return [*chain(model.inputs["model"]), model]


def _answers(
    comparison: Sequence[Evaluated], waiting: Collection[str], runs: Path, unusable: Mapping[Path, QAlignError]
) -> Iterator[QAlignError]:
    """Questions that, with the longest answer, have more tokens than the model has positions."""
    for stage in _asking(comparison, waiting):
        if "test" not in stage.inputs:
            continue
        folder, test = origin(stage.inputs["model"], runs), stage.inputs["test"]
        if folder is None or folder in unusable or status(test, runs) != "done":
            continue
        counted, new_tokens = _count(folder, test, runs), DecodingConfig(**stage.config["decoding"]).max_new_tokens
        tokens = counted.lengths.longest + new_tokens
        if counted.positions is not None and tokens > counted.positions:
            yield ModelError(
                f"{stage.folder_name}: a question with its answer may have {tokens} tokens, and the model has "
                f"{counted.positions} positions; set generation.max_new_tokens lower (it is {new_tokens})"
            )


def lengths_of(folder: Path, examples: Stage, runs: Path) -> Lengths:
    """The lengths of finished examples, as the model of a folder reads them; counted once and kept."""
    return _count(folder, examples, runs).lengths


def _count(folder: Path, texts: Stage, runs: Path) -> _Counted:
    """The tokens of finished examples, or of the prompts of a finished test set, as the model of a folder reads them."""
    kept = runs / FOLDER / f"{_identity(folder)[:16]}-{texts.fingerprint[:16]}.json"
    try:
        values = json.loads(kept.read_text(encoding="utf-8"))
        return _Counted(Lengths.from_dict(values["lengths"]), values["positions"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # none, or not whole: it is counted again
        counted = _Counted(_lengths(folder, texts.folder(runs)), _positions(folder))
    if runs.is_dir():
        kept.parent.mkdir(exist_ok=True)
        write_json(kept, {"lengths": counted.lengths.as_dict(), "positions": counted.positions})
    return counted


def _positions(folder: Path) -> int | None:
    """The positions of a model, as `check_length` reads them once the model is open."""
    positions = getattr(load_config(folder), "max_position_embeddings", None)
    return positions if isinstance(positions, int) else None


def _lengths(folder: Path, texts: Path) -> Lengths:
    from ..alignment.prompts import render_prompts
    from ..training.batches import measure

    tokenizer = load_tokenizer_as_saved(folder)
    if (texts / EXAMPLES).is_file():
        return measure(read_jsonl(texts / EXAMPLES, Example), tokenizer)
    problems = list(read_jsonl(texts / RECORDS, Problem))
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
