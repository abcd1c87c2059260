"""The options of a study: those of the verbs, of a study file, and of `qalign.study`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import SettingError
from .options import DATA, OUTPUT, TRAINING, check_values, known_fields, option


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One changed setting."""

    text: str
    """As it was given: `[system.]stage.field=value`."""
    origin: str = ""
    """What stands before the text in messages: where it was given."""
    required: bool = True
    """Whether it is an error if there is no such stage."""

    @property
    def name(self) -> str:
        return self.text.partition("=")[0].strip()

    @property
    def value(self) -> str:
        return self.text.partition("=")[2].strip()

    @property
    def said(self) -> str:
        return self.origin + self.text

    def place(self, systems: Collection[str]) -> tuple[str | None, str, tuple[str, ...]]:
        """The system or None for every one, the stage, and the field or the fields in each other.

        `systems` may stand in front, and may hold dots: the longest that fits is meant. Raises SettingError for another form.
        """
        name = self.name
        fitting = [one for one in systems if name.startswith(f"{one}.") and "." in name[len(one) + 1 :]]
        system = max(fitting, key=len, default=None)
        stage, *path = (name if system is None else name[len(system) + 1 :]).split(".")
        if "=" not in self.text or not path or not all([stage, *path]):
            example = "response-alignment.learning_rate=1e-5"
            raise SettingError(f"{self.said} is not stage.field=value, for example {example}")
        return system, stage, tuple(path)


@known_fields("a study")
@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOptions:
    """What a study is. All may be left out."""

    base: str | Path = option("tiny", TRAINING, "MODEL", names="bases")
    """The model to start from: a folder, a hub name, 'world' (the embedded world's) or 'tiny' (random weights). `qalign
    list bases` says when to take which."""
    scale: str | object = option("paper", TRAINING, "NAME", names="scales")
    """'paper' is the published data and hyper-parameters. 'sample' takes minutes on a CPU. 'toy' is the embedded world."""
    settings: Sequence[str | Setting] | Mapping[str, object] = option(
        (), TRAINING, "STAGE.FIELD=VALUE", names="settings", flag="--set"
    )
    """Change one setting of a stage; may be repeated. `qalign list settings` names them."""
    seed: int = option(1234, TRAINING, "N", least=0, most=2**32 - 1)
    """Decides sampling, order and initial weights."""
    questions: str | Path | None = option(None, DATA, "CORPUS", names="corpora")
    """Parallel questions for stage 1: a corpus by name, or a path."""
    english: str | Path | None = option(None, DATA, "CORPUS", names="corpora")
    """English questions with worked answers: name or path."""
    multilingual: str | Path | None = option(None, DATA, "CORPUS", names="corpora")
    """Questions with worked answers in many languages, English among them: name or path."""
    general: str | Path | None = option(None, DATA, "CORPUS", names="corpora")
    """General-domain parallel sentences: name or path."""
    languages: Sequence[str] | str | None = option(None, DATA, "CODES", names="languages")
    """Languages of stage 1, such as bn,th,sw; may be repeated. All nine by default."""
    test: Sequence[str | Path] | str | Path | None = option(None, DATA, "TEST", names="benchmarks")
    """A benchmark by name, or the path of your own; may be repeated."""
    test_languages: Sequence[str] | str | None = option(None, DATA, "CODES", names="languages")
    """Languages to measure in; may be repeated. All of the test set by default."""
    limit: int | None = option(None, DATA, "N", least=1)
    """Measure on the first N problems of each test set, the same in every language. Short for --set
    data.problems_per_language=N."""
    data: Path | str | None = option(None, DATA, "DIR")
    """A folder with local copies of the corpora."""
    language_file: Path | str | None = option(None, DATA, "FILE")
    """A TOML file that describes further languages."""
    runs: Path | str = option(Path("runs"), OUTPUT, "DIR")
    """The folder of all stages and results."""

    def __post_init__(self) -> None:
        check_values(self)


def codes(given: Sequence[str] | str | None) -> tuple[str, ...] | None:
    """The codes of languages, each once, with commas or spaces between them. Raises SettingError for none."""
    text = given if isinstance(given, str) else " ".join(given or ())
    found = tuple(dict.fromkeys(text.replace(",", " ").split()))
    if given and not found:
        raise SettingError(f"'{text}' names no language; give codes with commas, such as bn,th,sw")
    return found or None
