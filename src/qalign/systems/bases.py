"""The base that a study starts from: a folder, a hub name, `tiny`, or `world`; its stages, and what stands behind a model."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec

from .. import world
from ..alignment.prompts import prompt
from ..errors import QAlignError, SettingError, closest
from ..fingerprints import NO_HASH, announce_hashing, file_sha256, is_first_look, sealed, unsealed
from ..generation.scripted import SCRIPT
from ..huggingface import REVISIONS, Repository, cached_commit, cached_folder, fetch, resolve
from ..languages import KEPT_ROWS
from ..models import converting
from ..models.folders import check_folder
from ..models.opening import POINTER, download
from ..models.tiny import TinyConfig
from ..paths import instead, nearest_path
from ..pipeline import Node, Stage, Work, in_order, local, status
from ..pipeline.stage_record import RECORD, Sha256, read_object, read_record
from ..placement import Placement
from ..records import atomic_folder, write_json
from ..training.config import SUMMARY
from ..untrusted import parse_json
from .artifacts import Model, Records
from .kinds import TRAIN, Training

if TYPE_CHECKING:
    from .presets import Preset
    from .study import Study

FRAME_TIMES = 2000
SERVED = "served.json"
TINY = "tiny"
WORLD = "world"
WORLD_FOLDER = Path(world.__file__).parent / "base"
"""The base of the embedded world, trained by `qalign world base`; its card is the README there."""
NOT_THE_MODEL = (RECORD, SUMMARY, KEPT_ROWS, "trainer_state.json", "README.txt")
"""Files beside a model that say how it was made: the same weights made at another time are the same base."""


# --- kinds of stages --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelOnDisk(Stage[Model]):
    """A model that is there: the same files in another folder are the same model."""

    sha256: str
    place: Path = local()

    @property
    def given(self) -> Path:
        return self.place

    def run(self, work: Work) -> None:
        """Never called: the model is there."""
        raise AssertionError(f"{self.place} is there already")


@dataclass(frozen=True, eq=False, kw_only=True)
class FetchModel(Stage[Model]):
    """Fetches a model of the hub into the hub's cache and leaves a pointer to it."""

    on_device: ClassVar[bool] = False
    hub: str
    revision: str

    def run(self, work: Work) -> None:
        """Fetches the files."""
        download(self.hub, self.revision)
        write_json(work.output / POINTER, {"hub": self.hub, "revision": self.revision})

    def packages(self, placement: Placement) -> list[str]:
        """The hub's library."""
        return ["huggingface_hub"]

    @property
    def fetched(self) -> tuple[Repository, str]:
        return Repository("model", self.hub), self.revision


@dataclass(frozen=True, eq=False, kw_only=True)
class ConvertModel(FetchModel):
    """Fetches a model of the hub that is in pickles, and makes safetensors of it in bfloat16."""

    def run(self, work: Work) -> None:
        """Fetches and converts."""
        converting.convert(fetch(*self.fetched, converting.FETCHED), work.output)

    def packages(self, placement: Placement) -> list[str]:
        """The hub's library, and those that open a model."""
        return ["huggingface_hub", *TRAIN]


@dataclass(frozen=True, eq=False, kw_only=True)
class ServedModel(Stage[Model]):
    """A model that only a server has, known by the name that the server gives it."""

    on_device: ClassVar[bool] = False
    served: str

    def run(self, work: Work) -> None:
        """Writes down the name."""
        write_json(work.output / SERVED, {"model": self.served})


@dataclass(frozen=True, eq=False, kw_only=True)
class MakeTinyModel(Stage[Model]):
    """A small model with random weights. Its tokenizer is trained on the texts of the run's own corpora."""

    version: ClassVar[int] = 3
    on_device: ClassVar[bool] = False
    tiny: TinyConfig
    frame: tuple[str, ...]
    """What frames the examples, often enough in the tokenizer's text that its words are tokens."""
    corpora: Mapping[str, Stage[Records]]

    def run(self, work: Work) -> None:
        """Trains the tokenizer and writes the model."""
        from ..models.tiny import make_tiny

        make_tiny(self._texts(work), self.tiny, work.output)

    def _texts(self, work: Work) -> Iterator[str]:
        """Of each corpus as much in one language as in any other, or the scarce ones would be cut into letters (the usual
        cure, arXiv 1901.07291, section 3.1)."""
        for name in sorted(self.corpora):
            rows = list(work.read(self.corpora[name]).rows())
            counts = Counter(row["language"] for row in rows)
            left = dict.fromkeys(counts, min(counts.values()))
            for row in rows:
                if left[row["language"]] > 0:
                    left[row["language"]] -= 1
                    yield from (row[key] for key in ("question", "answer", "text", "text_en") if row.get(key))
        yield from (text for text in self.frame for _ in range(FRAME_TIMES))

    def packages(self, placement: Placement) -> Sequence[str]:
        """Those of training."""
        return TRAIN

    def size(self, runs: Path) -> str:
        """Its parameters."""
        return f"{self.tiny.parameters:,} parameters"


# --- what a name means ------------------------------------------------------------------------------------------------


def untaught(study: Study) -> str:
    """A line where a base with random weights meets the published data; else nothing."""
    if study.base_name != TINY or study.scale.name != "paper" or study.questions or study.english or study.multilingual:
        return ""
    return f"{TINY} has random weights: at --scale paper it learns nothing; take --scale sample, or --base MODEL"


def tiny_base(config: TinyConfig, corpora: Mapping[str, Stage[Records]], frames: Sequence[str] = ()) -> Stage[Model]:
    """The small model with random weights; its tokenizer is trained on the corpora of the study, on the prompt, and on what
    else frames its examples."""
    return MakeTinyModel(name="base-tiny", tiny=config, frame=(prompt(""), *frames), corpora=dict(corpora))


def base(name: str, runs: Path) -> Stage[Model]:
    """A base that exists already: a path or a hub name. Raises SettingError or ModelError for anything else."""
    place = WORLD_FOLDER if name == WORLD else _found(name, runs, (WORLD, TINY))
    if isinstance(place, Path):
        return base_on_disk(place, runs)
    repository, commit = place
    return FetchModel(name="base", hub=repository.name, revision=commit)


def checkpoint(name: str, runs: Path) -> Path:
    """The folder of a finished model: a path, or a hub name, whose files are fetched. Raises as `base` does."""
    place = _found(name, runs)
    return place if isinstance(place, Path) else download(place[0].name, place[1])


def checkpoint_on_hub(preset: Preset, runs: Path) -> FetchModel:
    """A published checkpoint at the commit of its first use."""
    commit = resolve(Repository("model", preset.hub), preset.revision, runs / REVISIONS)
    kind = FetchModel if preset.safetensors else ConvertModel
    return kind(name="published", hub=preset.hub, revision=commit)


def convert(model: str | Path, folder: str | Path, runs: Path | str = "runs") -> list[str]:
    """Makes a new folder with a model in safetensors and bfloat16, from a checkpoint in pickles: a folder, or a hub name.

    Returns what was done, in sentences. The folder is there whole or not at all. QAlignError where the checkpoint cannot be
    opened safely, or is not whole. Hub revisions are recorded in the folder `runs`.
    """
    converting.check_torch()
    target = Path(folder)
    with atomic_folder(target if target.name else target.resolve()) as output:
        place = _found(str(model), Path(runs))
        if not isinstance(place, Path):
            place = fetch(*place, converting.FETCHED)
        return converting.convert(place, output)


def base_on_server(name: str, runs: Path) -> Stage[Model]:
    """A model that a server knows by a name: known by its content where the name is a folder's, else by the name alone."""
    return base_on_disk(Path(name), runs) if Path(name).is_dir() else ServedModel(name="base-served", served=name)


def base_on_disk(folder: Path, runs: Path) -> Stage[Model]:
    """A model folder, known by the content of its files: the same model in another folder is the same base. A folder
    with a script is the base of the scripted backend."""
    if (folder / SCRIPT).is_file() and not (folder / "config.json").exists():
        sha256 = file_sha256(folder / SCRIPT)
    else:
        check_folder(folder)
        sha256 = _model_hash(folder, runs / "hashes.json")
    return ModelOnDisk(name="base", sha256=sha256, place=folder)


def _found(name: str, runs: Path, words: Sequence[str] = ()) -> Path | tuple[Repository, str]:
    """The existing path of a name, else the hub model and the commit of the revision asked for (`name@revision`), or of
    the newest one. `words` have a meaning too, which a message may name."""
    path = Path(name)
    if path.exists():
        return path
    if re.fullmatch(r"[\w-][\w.-]*/[\w.-]+(@.*)?", name) is None:  # a revision may hold slashes
        meant, kinds = closest(name, words), ["give one of these", *(f"'{word}'" for word in words)]
        advice = f"did you mean '{meant}'?" if meant else instead(path, ", or ".join(kinds))
        raise SettingError(f"'{name}' is neither a folder nor a hub name (owner/name); {advice}")
    hub, at, revision = name.partition("@")
    if at and not revision:
        raise SettingError(f"'{name}' names no revision: give a branch, a tag or a commit behind the @, or {hub} alone")
    repository = Repository("model", hub)
    near = nearest_path(name) if not at and cached_commit(repository, "main") is None else None
    if near and near.is_dir() and re.findall(r"\d+", str(near)) == re.findall(r"\d+", name):  # 7b is no mistake for 13b
        raise SettingError(
            f"there is no folder '{name}'; did you mean '{near}'? For the model on the hub give {name}@main"
        )
    return repository, resolve(repository, revision or None, runs / REVISIONS)


def _model_hash(folder: Path, known_hashes: Path) -> str:
    """A hash over the files of a model. Hashes of files are kept by path, size and time: weights are read once."""
    if is_first_look():
        return NO_HASH
    endings = (".safetensors", ".json", ".model", ".txt", ".jinja")
    paths = sorted(path for path in folder.iterdir() if path.suffix in endings and path.is_file())
    keys = {}
    for path in paths:
        if path.name not in NOT_THE_MODEL:
            stat = path.stat()
            keys[path] = f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
    try:
        kept = msgspec.convert(unsealed(read_object(known_hashes)), dict[str, Sha256])
    except (OSError, ValueError, QAlignError):  # a cache: what it lacks is computed again
        kept = {}
    new = {key: path for path, key in keys.items() if key not in kept}
    announce_hashing(folder, new.values())
    if new:
        kept |= {key: file_sha256(path) for key, path in new.items()}
        known_hashes.parent.mkdir(parents=True, exist_ok=True)
        write_json(known_hashes, sealed(kept))
    lines = [f"{path.name}\0{kept[key]}\n" for path, key in keys.items()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


# --- what stands behind a model ---------------------------------------------------------------------------------------


def is_adopted(stage: Node, runs: Path) -> bool:
    """Whether the stage is done and its result was made elsewhere."""
    done = stage.given is None and status(stage, runs) == "done"
    return done and read_record(stage.folder(runs)).adopted_from is not None


def training_stages(model: Node, runs: Path | None = None) -> list[Training]:
    """The training stages behind a model, first to last; with `runs`, none behind an adopted one."""
    ordered = in_order([model], lambda stage: runs is None or not is_adopted(stage, runs))
    return [stage for stage in ordered if isinstance(stage, Training)]


def first_model(model: Stage[Model]) -> Stage[Model]:
    """The base that a chain of training stages starts from."""
    while isinstance(model, Training):
        model = model.model
    return model


def origin(model: Stage[Model], runs: Path) -> Path | None:
    """The folder that a model's tokenizer comes from: that of the base, or of the checkpoint that was adopted. None while it
    is not there: the base has still to be made or fetched, or only a server has it."""
    folder = model.folder(runs) if status(model, runs) == "done" else None
    if isinstance(model, Training) and not is_adopted(model, runs):
        return origin(model.model, runs) or folder
    if folder is not None and (folder / POINTER).is_file():
        named = parse_json((folder / POINTER).read_bytes(), str(folder / POINTER))
        folder = cached_folder(Repository("model", named["hub"]), named["revision"])
    return folder if folder is not None and (folder / "config.json").is_file() else None
