"""Whether examples and questions fit the model: limits, positions, an embedding for each token.

All is counted with the tokenizer and the renderer of training. Counts are kept in the folder of runs: other systems, the
next run and `plan` take them from there.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from ..errors import DataError, ModelError, QAlignError
from ..models.folders import TOKENIZER_FILES
from ..models.opening import check_special_ids, check_vocabulary, load_config, load_tokenizer_as_saved
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


def misfits(comparison: Sequence[Evaluated], waiting: Collection[str], runs: Path) -> Iterator[QAlignError]:
    """What does not fit, as errors that are not raised.

    Args:
        comparison: the systems.
        waiting: the fingerprints of the stages that have still to run.
        runs: the folder of all stages.
    """
    encoding = [stage for stage in in_order(scores_of(comparison)) if stage.fingerprint in waiting and _encodes(stage)]
    unusable: set[Path] = set()
    for folder in dict.fromkeys(folder for stage in encoding if (folder := _tokenizer_of(stage, runs))):
        try:
            _check_vocabulary(folder)
        except QAlignError as error:
            unusable.add(folder)
            yield error
    for name, alike in _trainings(comparison).items():
        trainings = {fingerprint: next(iter(stages.values())) for fingerprint, stages in alike.items()}
        faults = {
            fingerprint: fault
            for fingerprint, training in trainings.items()
            if fingerprint in waiting and (fault := _fault(training, [name], unusable, runs))
        }
        if len(faults) < len(alike):  # to change the others too would make them train again
            for fingerprint in faults:
                names = [f"{system}.{name}" for system in alike[fingerprint] if system in SYSTEMS] or [name]
                faults[fingerprint] = _fault(trainings[fingerprint], names, unusable, runs) or faults[fingerprint]
        yield from faults.values()
    for stage in encoding:
        if isinstance(stage, Ask) and (fault := _too_long(stage, unusable, runs)):
            yield fault


def _encodes(stage: Node) -> bool:
    """Whether a stage encodes texts with a tokenizer that is here."""
    asks = isinstance(stage, Ask) and stage.decoding.backend in ("transformers", "vllm")
    return asks or isinstance(stage, Train)


def _tokenizer_of(stage: Node, runs: Path) -> Path | None:
    """The folder that the tokenizer of a stage comes from; None while it is not there."""
    return origin(stage.model, runs) if isinstance(stage, Train | Ask) else None


def _trainings(comparison: Sequence[Evaluated]) -> dict[str, dict[str, dict[str, Train]]]:
    """The training stages: name -> fingerprint -> system -> stage."""
    found: defaultdict[str, dict[str, dict[str, Train]]] = defaultdict(dict)
    for system in comparison:
        for stage in training_stages(system.model):
            found[stage.title].setdefault(stage.fingerprint, {})[system.name] = stage
    return found


def _fault(stage: Train, names: Sequence[str], unusable: Collection[Path], runs: Path) -> QAlignError | None:
    """What is wrong with the lengths of a training stage's examples; `names` are what `--set` calls the stage."""
    folder, config = _tokenizer_of(stage, runs), stage.training
    if folder is None or folder in unusable or status(stage.examples, runs) != "done":
        return None
    lengths, positions = _count(folder, stage.examples, runs)
    try:
        lengths.check(config, names)
    except DataError as error:
        return DataError(f"{', '.join(names)}: {error}")
    tokens = lengths.trained(config)
    if positions is None or tokens <= positions:
        return None
    return ModelError(
        f"{', '.join(names)}: a sequence has {tokens} tokens, and the model has {positions} positions; give "
        f"{settings(names, f'max_length={positions}')}, with too_long=drop or cut"
    )


def _too_long(stage: Ask, unusable: Collection[Path], runs: Path) -> QAlignError | None:
    """Says that a question with the longest answer has more tokens than the model has positions."""
    folder, new_tokens = _tokenizer_of(stage, runs), stage.decoding.max_new_tokens
    if folder is None or folder in unusable or status(stage.records, runs) != "done":
        return None
    lengths, positions = _count(folder, stage.records, runs)
    tokens = lengths.longest + new_tokens
    if positions is None or tokens <= positions:
        return None
    return ModelError(
        f"{stage.folder_name}: a question with its answer may have {tokens} tokens, and the model has "
        f"{positions} positions; set generation.max_new_tokens lower (it is {new_tokens})"
    )


def lengths_of(folder: Path, examples: Stage[Examples], runs: Path) -> Lengths:
    """The lengths of finished examples, as the model of a folder reads them; counted once and kept."""
    return _count(folder, examples, runs)[0]


def _count(folder: Path, texts: Node, runs: Path) -> tuple[Lengths, int | None]:
    """The tokens of finished examples or prompts, and the positions of the model.

    Positions are None where no limit is known.
    """
    kept = runs / FOLDER / f"{_identity(folder)[:16]}-{texts.fingerprint[:16]}.json"
    try:
        values = msgspec.json.decode(kept.read_bytes())
        return msgspec.convert(values["lengths"], Lengths, str_keys=True), values["positions"]
    except (OSError, ValueError, TypeError, KeyError):  # none, or not whole: it is counted again
        lengths = _lengths(folder, texts.open(texts.folder(runs)))
        limit = getattr(load_config(folder), "max_position_embeddings", None)
        positions = limit if isinstance(limit, int) else None
    if runs.is_dir():
        kept.parent.mkdir(exist_ok=True)
        write_json(kept, {"lengths": msgspec.to_builtins(lengths, str_keys=True), "positions": positions})
    return lengths, positions


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
    """How many embeddings a model has, if two JSON files show that each token has one."""
    try:
        config = parse_json((folder / "config.json").read_bytes(), "config.json")
        tokenizer = parse_json((folder / "tokenizer.json").read_bytes(), "tokenizer.json")
        embeddings, vocabulary = (config.get("text_config") or config)["vocab_size"], tokenizer["model"]["vocab"]
        ids = [*(vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary)))]
        ids += [token["id"] for token in tokenizer["added_tokens"]]
        return embeddings if max(ids) < embeddings else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, QAlignError):
        return None
