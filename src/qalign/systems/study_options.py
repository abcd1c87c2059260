"""A study by its options, as the command line, a file or Python names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

from ..errors import SettingError, nearest
from ..language_file import load_languages
from ..languages import STUDY, language, language_codes
from .scales import SCALES, Scale
from .settings import Setting, Settings, parse_settings
from .study import Study
from .table import SYSTEMS

LIMIT = "data.problems_per_language"
"""The setting that the option `limit` is short for."""


class StudyOptions(TypedDict, total=False):
    """What a study is, by the names of options. All may be left out."""

    base: str | Path
    """The model to start from: a folder, a hub name, `world` or `tiny`."""
    scale: str | Scale
    """`paper`, `sample` or `toy`, or a scale of your own."""
    seed: int
    """Decides sampling, order and initial weights."""
    settings: Settings | Sequence[str] | Mapping[str, object]
    """Changed settings: `["training.epochs=2"]`, or `{"training.epochs": 2}`."""
    questions: str | None
    """Parallel questions for stage 1: a corpus by name, or a path."""
    english: str | None
    """English questions with worked answers."""
    multilingual: str | None
    """Questions with worked answers in many languages."""
    general: str | None
    """General-domain parallel sentences."""
    languages: Sequence[str] | str | None
    """The languages of stage 1, as a list or with commas. By default the study's nine."""
    test: Sequence[str] | str | None
    """Benchmarks by name, or paths of your own test sets."""
    test_languages: Sequence[str] | str | None
    """The languages to measure in. By default all of the test set."""
    limit: int | None
    """Measure on the first N problems of each test set."""
    data: Path | str | None
    """A folder with local copies of the corpora."""
    language_file: Path | str | None
    """A TOML file that describes further languages."""
    runs: Path | str
    """The folder of all stages and results."""


def study(**options: Unpack[StudyOptions]) -> Study:
    """A study from its options, each by the name that the command line has for it.

    Args:
        options: see `StudyOptions`. By default scale `paper` and base `tiny`.

    Raises:
        SettingError: an option or a name is unknown, or a value cannot be used.
    """
    for name in options:
        if name not in StudyOptions.__annotations__:
            raise SettingError(f"unknown option '{name}' of a study: {nearest(name, StudyOptions.__annotations__)}")
    scale = options.get("scale", "paper")
    if isinstance(scale, str) and scale not in SCALES:
        raise SettingError(f"unknown scale '{scale}': {nearest(scale, SCALES)}")
    seed = options.get("seed", 1234)
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise SettingError(f"seed is {seed!r}; give a whole number from 0 to 2^32 - 1")
    table = load_languages(_path(options.get("language_file")))
    chosen = _codes(options.get("languages")) or tuple(code for code in STUDY if code != "en")
    measured = _codes(options.get("test_languages"))
    for code in (*chosen, *(measured or ())):
        language(code, table)
    return Study(
        base_name=str(options.get("base", "tiny")),
        scale=SCALES[scale] if isinstance(scale, str) else scale,
        runs=Path(options.get("runs", "runs")),
        seed=seed,
        languages=chosen,
        test_languages=measured,
        questions=options.get("questions"),
        multilingual=options.get("multilingual"),
        english=options.get("english"),
        general=options.get("general"),
        tests=_names(options.get("test")) or (),
        data=_path(options.get("data")),
        table=table,
        settings=Settings(_with_limit(options)),
    )


def settings_in(options: StudyOptions) -> list[Setting]:
    """The settings among options, whichever way they were given."""
    given = options.get("settings", ())
    if isinstance(given, Settings):
        return list(given.given)
    texts = [f"{name}={value}" for name, value in given.items()] if isinstance(given, Mapping) else given
    return parse_settings(texts, SYSTEMS).given


def _with_limit(options: StudyOptions) -> list[Setting]:
    """The settings, with the one that `limit` stands for."""
    settings, limit = settings_in(options), options.get("limit")
    if limit is None:
        return settings
    if any(setting.name == LIMIT for setting in settings):
        raise SettingError(f"--limit {limit} is short for --set {LIMIT}={limit}; give one of the two")
    return [*settings, *parse_settings([f"{LIMIT}={limit}"], SYSTEMS).given]


def _names(given: Sequence[str] | str | None) -> tuple[str, ...] | None:
    """The names; a single text is one name."""
    return None if given is None else (given,) if isinstance(given, str) else tuple(map(str, given))


def _codes(given: Sequence[str] | str | None) -> tuple[str, ...] | None:
    """Codes of languages, each once."""
    return language_codes([given] if isinstance(given, str) else given or ()) or None


def _path(given: Path | str | None) -> Path | None:
    return None if given is None else Path(given)
