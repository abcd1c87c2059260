"""The base that a study starts from: a folder, a hub name, `tiny`, or `world`; and the stages that such bases are."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import msgspec

from .. import world
from ..alignment.prompts import prompt
from ..errors import QAlignError, SettingError, closest
from ..fingerprints import NO_HASH, announce_hashing, file_sha256, is_first_look, sealed, unsealed
from ..generation.scripted import SCRIPT
from ..huggingface import Repository, cached_commit
from ..language_file import KEPT_ROWS
from ..models.folders import check_folder
from ..models.opening import POINTER, download
from ..models.tiny import TinyConfig
from ..paths import instead, nearest_path
from ..pipeline import Stage, Work, local
from ..pipeline.stage_record import RECORD, Sha256, read_object
from ..placement import Placement
from ..records import write_json
from ..revisions import FILE, resolve
from ..training.config import SUMMARY
from .artifacts import Model, Records
from .kinds import TRAIN

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
    """The hash of its files."""
    place: Path = local()
    """Its folder."""

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
    """Its name on the hub."""
    revision: str
    """The commit."""

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


def untaught(base_name: str, scale: str, given: Iterable[str | None]) -> str:
    """A line where a base with random weights meets the published data; else nothing.

    Args:
        given: the user's own corpora.
    """
    if base_name != TINY or scale != "paper" or any(given):
        return ""
    return f"{TINY} has random weights: at --scale paper it learns nothing; take --scale sample, or --base MODEL"


def tiny_base(config: TinyConfig, corpora: Mapping[str, Stage[Records]], frames: Sequence[str] = ()) -> Stage[Model]:
    """The small model with random weights; its tokenizer is trained on the corpora of the study, on the prompt, and on what
    else frames its examples."""
    return MakeTinyModel(name="base-tiny", tiny=config, frame=(prompt(""), *frames), corpora=dict(corpora))


def base_on_disk(folder: Path, runs: Path) -> Stage[Model]:
    """A model folder, known by the content of its files: the same model in another folder is the same base. A folder
    with a script is the base of the scripted backend."""
    if (folder / SCRIPT).is_file() and not (folder / "config.json").exists():
        return ModelOnDisk(name="base", sha256=file_sha256(folder / SCRIPT), place=folder)
    check_folder(folder)
    return ModelOnDisk(name="base", sha256=_model_hash(folder, runs / "hashes.json"), place=folder)


def base_on_hub(name: str, runs: Path) -> Stage[Model]:
    """A hub model at the commit of the revision asked for (`name@revision`), else of the newest one."""
    repository, commit = _on_hub(name, runs)
    return FetchModel(name="base", hub=repository.name, revision=commit)


def checkpoint(name: str, runs: Path) -> Path:
    """The folder of a finished model: a path, or a hub name, whose files are fetched.

    Raises:
        SettingError, ModelError: it is neither, or the hub does not have it.
    """
    path = Path(name)
    if path.exists():
        return path
    if not is_hub_name(name):
        advice = instead(path, "give one of these")
        raise SettingError(f"'{name}' is neither a folder nor a hub name (owner/name); {advice}")
    repository, commit = _on_hub(name, runs)
    return download(repository.name, commit)


def is_hub_name(name: str) -> bool:
    """Whether a name is `owner/name` or `owner/name@revision`; a revision may hold slashes."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w.-]+(@.*)?", name) is not None


def _on_hub(name: str, runs: Path) -> tuple[Repository, str]:
    """A hub model and the commit that is meant."""
    owner_and_name, named, asked = name.partition("@")
    if named and not asked:
        raise SettingError(
            f"'{name}' names no revision: give a branch, a tag or a commit behind the @, or {owner_and_name} alone"
        )
    repository = Repository("model", owner_and_name)
    if not named and cached_commit(repository, "main") is None and (folder := _meant(name)) is not None:
        raise SettingError(
            f"there is no folder '{name}'; did you mean '{folder}'? For the model on the hub give {name}@main"
        )
    return repository, resolve(repository, asked or None, runs / FILE)


def _meant(name: str) -> Path | None:
    """The folder that a mistyped hub name may be meant for; other digits are another model, not a mistake."""
    near = nearest_path(name)
    same = near is not None and re.findall(r"\d+", str(near)) == re.findall(r"\d+", name)
    return near if same and near is not None and near.is_dir() else None


def base_on_server(name: str, runs: Path) -> Stage[Model]:
    """A model that a server knows by a name: known by its content where the name is a folder's, else by the name alone."""
    if Path(name).is_dir():
        return base_on_disk(Path(name), runs)
    return ServedModel(name="base-served", served=name)


def base(name: str, runs: Path) -> Stage[Model]:
    """A base that exists already: a path or a hub name.

    Raises:
        SettingError, ModelError: it is neither, or the folder is not a model.
    """
    if name == WORLD:
        return base_on_disk(WORLD_FOLDER, runs)
    path = Path(name)
    if path.exists():
        return base_on_disk(path, runs)
    if is_hub_name(name):
        return base_on_hub(name, runs)
    named = closest(name, (WORLD, TINY))
    advice = f"did you mean '{named}'?" if named else instead(path, f"give one of these, or '{WORLD}', or '{TINY}'")
    raise SettingError(f"'{name}' is neither a folder nor a hub name (owner/name); {advice}")


def _model_hash(folder: Path, known_hashes: Path) -> str:
    """A hash over the files of a model. Hashes of files are kept by size and time: weights are read once."""
    if is_first_look():
        return NO_HASH
    names = sorted(
        path
        for path in folder.iterdir()
        if path.suffix in (".safetensors", ".json", ".model", ".txt", ".jinja")
        and path.name not in NOT_THE_MODEL
        and path.is_file()
    )
    try:
        kept = msgspec.convert(unsealed(read_object(known_hashes)), dict[str, Sha256])
    except (OSError, ValueError, QAlignError):  # a cache: what it lacks is computed again
        kept = {}
    before = dict(kept)
    total = hashlib.sha256()
    announce_hashing(folder, [path for path in names if _key(path) not in kept])
    for path in names:
        key = _key(path)
        if key not in kept:
            kept[key] = file_sha256(path)
        total.update(f"{path.name}\0{kept[key]}\n".encode())
    if kept != before:
        known_hashes.parent.mkdir(parents=True, exist_ok=True)
        write_json(known_hashes, sealed(kept))
    return total.hexdigest()


def _key(path: Path) -> str:
    """By what the hash of a file is kept."""
    stat = path.stat()
    return f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
