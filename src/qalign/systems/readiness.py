"""What is known to fail before the first stage is trained: packages, the hub, the model, its texts and the disk."""

from __future__ import annotations

import importlib.util
import shutil
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from ..errors import DataError, ModelError, QAlignError, SettingError, StageError
from ..generation.bounded import address
from ..huggingface import UNKNOWN, refusal
from ..models.opening import check_special_ids, check_vocabulary
from ..pipeline import Node, in_order, needed, status
from ..placement import Placement
from ..resources import gpus
from ..training.tokens import Lengths, settings
from ..untrusted import parse_json
from ..wording import counted, in_bytes
from . import amounts, costs, machines
from .amounts import token_counts
from .ask import Ask
from .bases import origin, training_stages
from .doctor import EXTRAS, packages_of_extras
from .evaluated import Evaluated, scores_of
from .kinds import ReadCorpus, Train, Training
from .table import SYSTEMS


def check(comparison: Sequence[Evaluated], runs: Path, placement: Placement) -> None:
    """Raises the first problem of what is known to fail, with how many more there are."""
    if found := problems(comparison, runs, placement):
        more = f"; {counted(len(found) - 1, 'more problem')} {'was' if len(found) == 2 else 'were'} found"
        raise type(found[0])(f"{found[0]}{more if len(found) > 1 else ''}")


def problems(
    comparison: Sequence[Evaluated], runs: Path, placement: Placement, elsewhere: bool = False
) -> list[QAlignError]:
    """What is known to fail in the stages that have still to run, as errors that are not raised. The more stages are done, the
    more is known. Packages, disk and the hub are not judged where stages run `elsewhere`."""
    waiting = needed(scores_of(comparison), runs)
    missing = list(_missing_packages(comparison, waiting, placement))
    found = [] if elsewhere else [*missing, *_not_to_be_had(waiting)]
    if not missing:
        found += misfits(comparison, {stage.fingerprint for stage in waiting}, runs)
    asks = [stage for stage in waiting if isinstance(stage, Ask)]
    for stage in asks:
        if stage.decoding.backend in ("endpoint", "completions"):
            try:
                address(stage.server[0] if stage.server else placement.endpoint)
            except SettingError as error:
                found.append(error)
    backends = {stage.decoding.backend for stage in asks}
    if placement.vllm and backends and "vllm" not in backends:
        found.append(SettingError("--vllm is for vLLM's engine, which no stage asks: --set generation.backend=vllm"))
    if not elsewhere:
        others = placement.launcher or placement.endpoint or placement.cluster
        here = placement.device != "cuda" or others or gpus()
        if not here and any(stage.on_device for stage in waiting):
            found.append(SettingError("there is no cuda device here; choose another with --device"))
        found += [ModelError(line) for line, is_sure in costs.unfit(waiting, runs, placement) if is_sure]
        found += _too_little_room(waiting, runs, placement)
    return list({str(error): error for error in found}.values())


def unreadable(waiting: Sequence[Node]) -> Iterator[QAlignError]:
    """What is wrong with the user's own files, as errors that are not raised. All of them are read."""
    for stage in waiting:
        if isinstance(stage, ReadCorpus):
            try:
                amounts.own_counts(stage)
            except QAlignError as error:
                yield error


def _missing_packages(
    comparison: Sequence[Evaluated], waiting: Sequence[Node], placement: Placement
) -> Iterator[QAlignError]:
    reasons: dict[str, str] = {}
    for stage in waiting:
        for package in stage.packages(placement):
            reasons.setdefault(package, stage.folder_name)
    if len({system.name for system in comparison}) > 1:
        reasons.setdefault("scipy", "comparing systems")
    if placement.cluster:
        reasons.setdefault({"slurm": "submitit"}.get(placement.cluster, placement.cluster), "--cluster")
    for package, reason in reasons.items():
        try:
            is_there = importlib.util.find_spec(package) is not None
        except ImportError:  # what it is a part of is not there
            is_there = False
        except ValueError:  # a module that a recipe made itself, say
            is_there = True
        if not is_there:
            name, pairs = package.replace("_", "-"), packages_of_extras()
            install = next((f"'qalign[{extra}]'" for extra in EXTRAS if (name, extra) in pairs), name)
            yield SettingError(f"{reason} needs {package}, which is not installed: pip install {install}")


def _not_to_be_had(waiting: Sequence[Node]) -> Iterator[QAlignError]:
    """Models and corpora that are neither in the cache nor to be had from the hub."""
    for stage in waiting:
        if stage.fetched is not None:
            repository, commit = stage.fetched
            if commit != UNKNOWN and (reason := refusal(repository, commit)) is not None:
                yield repository.error(f"{repository.name}: {reason}")


def _too_little_room(waiting: Sequence[Node], runs: Path, placement: Placement) -> Iterator[QAlignError]:
    """Says that the stages need more of the disk than is free, as far as their sizes are known."""
    found = costs.costs(waiting, runs, machines.UNKNOWN, placement, reads=False)
    left, most = costs.disk(found, runs, placement.jobs)
    place = next(path for path in (runs.absolute(), *runs.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    if most > free and any(cost.left for cost in found if isinstance(cost.stage, Training)):
        yield StageError(
            f"too little room in {runs}: the run takes up to {in_bytes(most)} of the disk while it trains, {in_bytes(left)} "
            f"stay; {in_bytes(free)} are free; free some, choose another folder with --runs, or do without checkpoints: "
            "--seconds-per-checkpoint inf"
        )


# --- lengths and vocabulary -------------------------------------------------------------------------------------------


def misfits(comparison: Sequence[Evaluated], waiting: Collection[str], runs: Path) -> Iterator[QAlignError]:
    """What does not fit, as errors that are not raised. The fingerprints in `waiting` are of stages that have still to run."""
    stages = [stage for stage in in_order(scores_of(comparison)) if stage.fingerprint in waiting]
    without = ("endpoint", "scripted")  # of these, no model folder is read
    asks = [stage for stage in stages if isinstance(stage, Ask) and stage.decoding.backend not in without]
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

    def lengths_of(stage: Train | Ask, texts: Node) -> tuple[Lengths, float] | None:
        folder = origin(stage.model, runs)
        known = folder is not None and folder not in unusable and status(texts, runs) == "done"
        ask = stage if isinstance(stage, Ask) else None
        return token_counts(folder, texts, runs, ask) if known and folder else None

    for name, alike in _trainings(comparison).items():
        faulty = {}
        for stage, systems in alike:
            lengths = lengths_of(stage, stage.examples) if stage.fingerprint in waiting else None
            if lengths and _fault(stage, [name], *lengths):
                faulty[stage] = lengths, [f"{system}.{name}" for system in systems if system in SYSTEMS]
        for stage, (lengths, own) in faulty.items():  # to change others of the name too would make them train again
            names = own if own and len(faulty) < len(alike) else [name]
            yield from filter(None, [_fault(stage, names, *lengths)])
    for ask in asks:
        new, lengths = ask.decoding.max_new_tokens, lengths_of(ask, ask.records)
        if lengths and lengths[0].longest + new > lengths[1]:
            named = "generation" if ask.measures else ask.title
            yield ModelError(
                f"{ask.folder_name}: a question with its answer may have {lengths[0].longest + new} tokens, and the model "
                f"has {lengths[1]} positions; set {named}.max_new_tokens lower (it is {new})"
            )


def _trainings(comparison: Sequence[Evaluated]) -> dict[str, list[tuple[Train, list[str]]]]:
    """The training stages by name, each once, with the systems that it is of."""
    found: defaultdict[str, dict[str, tuple[Train, list[str]]]] = defaultdict(dict)
    for system in comparison:
        for stage in (one for one in training_stages(system.model) if isinstance(one, Train)):
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


def _check_vocabulary(folder: Path) -> None:
    """`check_vocabulary` of a model folder, without its heavy imports where two JSON files tell enough."""
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
