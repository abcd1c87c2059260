"""What `check`, `list` and `score` show: the counts of a corpus, all that has a name and all settings, the scores of a file.

What a setting takes and its default are read from the typed configs; its meaning is the text under it in its class.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args, get_type_hints

from ..alignment.tasks import VARIANTS
from ..alignment.templates import ExampleConfig
from ..corpora import CORPORA, Role, locate, read
from ..corpora.local import languages_of
from ..corpora.source import OWN
from ..corpora.table import by_source
from ..errors import SettingError, nearest
from ..evaluation.benchmarks import BENCHMARKS, OWN_MAX_NEW_TOKENS
from ..evaluation.external import JOINS, score_file
from ..evaluation.scores import Score
from ..evaluation.scores import score as scores_of
from ..generation import DecodingConfig
from ..languages import LANGUAGES, STUDY, Language, load_languages
from ..models.tiny import TinyConfig
from ..options import meanings
from ..paths import instead
from ..records import Judgement, Problem, write_jsonl
from ..results.accuracy_tables import score_table
from ..results.tables import Table
from ..results.titles import Titles
from ..terminal import text_of
from ..training.config import Adapter, TrainingConfig
from ..training.policy import ReinforceConfig
from ..wording import counted
from ..world.sets import SIZES
from .bases import TINY, WORLD
from .known import BASES
from .presets import PRESETS, RECALLED
from .programs import ProgramConfig
from .recipes import MULTILINGUAL, QUESTION, REINFORCEMENT, RESPONSE
from .scales import SCALES, DataConfig
from .settings import values_in_words
from .table import SYSTEMS

FEW_PROBLEMS = 100
"""Below so many problems in a language, `check` says how far a score may be off."""
FEW_EXAMPLES = 500
"""Below so many rows, `check` says that a training learns little from them."""


def check(
    corpus: str, role: str, languages: tuple[str, ...] | None, data: Path | None, runs: Path, table: Mapping[str, Language],
    drop_invalid: bool,
) -> list[Table]:  # fmt: skip
    """Reads a corpus as a run would; returns its counts by language, and what was dropped on request."""
    roles: dict[str, Role] = {known: known for known in get_args(Role)}
    if role not in roles:
        raise SettingError(f"unknown role '{role}': {nearest(role, roles)}")
    codes = languages or _languages(corpus, roles[role], table)
    source = locate(corpus, roles[role], codes, data=data, revisions=runs / "revisions.json", table=table)
    text = read(source, codes, table, drop_invalid=drop_invalid)
    published = text.published or {}
    counts = {**text.counts, "all": sum(text.counts.values())}
    expected = {**published, "all": sum(published.values())} if published else {}
    rows = [[code, f"{n:,}", f"{expected[code]:,}" if code in expected else "-"] for code, n in counts.items()]
    notes = [f"{note}." for note in text.notes]
    notes += _of_own_data(Path(corpus), role, text.counts) if source.name == OWN else []
    tables = [Table(f"{corpus} as {role}", ["language", "rows", "published"], rows, " ".join(notes))]
    if by := by_source([record.source for record in text.records], source.name):
        tables.append(Table("By source", ["source", "rows", "published", "licence", "known how"], by))
    if text.dropped:
        tables.append(Table("Dropped on request", ["where", "why"], [[d["where"], d["reason"]] for d in text.dropped]))
    return tables


def _of_own_data(path: Path, role: str, counts: Mapping[str, int]) -> Iterator[str]:
    """What there is to say of own data: of too few rows, and of a file that may be named after another language."""
    fewest, total, stem = min(counts.values()), sum(counts.values()), path.name.partition(".")[0]
    if role == "test" and fewest < FEW_PROBLEMS:
        error = f"a score on them has a standard error of up to {50 / fewest**0.5:.0f} points"
        yield f"{counted(fewest, 'problem')} in a language {'is' if fewest == 1 else 'are'} few: {error}."
    if role != "test" and total < FEW_EXAMPLES:
        steps = "`qalign plan` says how many steps they give, and which settings give more"
        yield f"{counted(total, 'row')} {'is' if total == 1 else 'are'} few to train on: {steps}."
    if path.is_file() and re.fullmatch("[a-z]{2}", stem) and stem not in counts:
        yield f"The file is named as one in the language '{stem}' would be, and was read as {', '.join(counts)}."


def _languages(corpus: str, role: Role, table: Mapping[str, Language]) -> tuple[str, ...]:
    if role == "english":
        return ("en",)
    if corpus in CORPORA:
        known = CORPORA[corpus].languages
    else:
        known = languages_of(Path(corpus), role, table) if Path(corpus).exists() else STUDY
    return tuple(code for code in known if role in ("multilingual", "test", "text") or code != "en")


def problems_of(
    test: str, language: str | None, data: Path | None, runs: Path, table: Mapping[str, Language], own: bool
) -> list[Problem]:
    """The problems of a benchmark, or of an `own` test set at a path: those of a language, or all."""
    if own and not Path(test).exists():
        advice = instead(test, "check the path, or name a benchmark with --benchmark")
        raise SettingError(f"there is no test set at '{test}'; {advice}")
    if not own and test not in BENCHMARKS:
        if os.path.exists(test):  # False for a name too long for a path
            raise SettingError(f"'{test}' is a path and no benchmark; give a test set of your own with --test {test}")
        raise SettingError(f"unknown benchmark '{test}': {nearest(test, BENCHMARKS)}")
    if language:
        codes: tuple[str, ...] = (language,)
    else:
        codes = languages_of(Path(test), "test", table) if own else BENCHMARKS[test].languages
    corpus = test if own else BENCHMARKS[test].corpus
    source = locate(corpus, "test", codes, data=data, revisions=runs / "revisions.json")
    problems: list[Problem] = read(source, codes, table).problems
    return problems


def titles(of_systems: Mapping[str, str] | None = None) -> Titles:
    """Names for people of benchmarks, and of systems: those that results have, else those of the table."""
    return Titles(
        systems={**{row.name: row.title for row in SYSTEMS.values()}, **(of_systems or {})},
        benchmarks={row.name: row.title for row in BENCHMARKS.values()},
    )


def overview(section: str | None = None) -> list[Table]:
    """What has a name, in tables: one section of `SECTIONS`, or all but the settings."""
    if section is None:
        return [table for name, tables in SECTIONS.items() if name != "settings" for table in tables()]
    if section not in SECTIONS:
        raise SettingError(f"nothing is listed under '{section}': {nearest(section, SECTIONS)}")
    return SECTIONS[section]()


def _rows(entries: Iterable[object], *fields: str) -> list[list[str]]:
    return [[getattr(entry, field) for field in fields] for entry in entries]


def _benchmarks() -> list[Table]:
    rows = [[row.name, row.title, " ".join(row.languages)] for row in BENCHMARKS.values()]
    return [Table("Benchmarks", ["name", "title", "languages"], rows)]


def _systems() -> list[Table]:
    rows = [
        [
            s.name,
            f"{s.title}: {s.note}" if s.note else s.title,
            ", ".join(str(of_size["7B"]) for of_size in s.published.values()) or "-",
        ]
        for s in SYSTEMS.values()
    ]
    return [Table("Systems", ["name", "system", "published mGSM, mSVAMP (7B)"], rows)]


def _checkpoints() -> list[Table]:
    rows = [
        [row.name, row.hub, row.base, row.template, row.marker, str(row.max_new_tokens or "benchmark"),
         "safetensors" if row.safetensors else "pickles", row.licence]
        for row in PRESETS.values()
    ]  # fmt: skip
    head = ["name", "hub", "base", "prompt", "answer", "tokens", "weights", "licence"]
    use = "`qalign eval NAME` measures one, and converts pickles before."
    return [Table("Published checkpoints", head, rows, " ".join([use, *RECALLED.values()]))]


def _corpora() -> list[Table]:
    rows = []
    for corpus in CORPORA.values():
        count = sum(corpus.published.values()) or (SIZES[corpus.world] if corpus.world else 0)
        hub, languages = corpus.hub.name if corpus.hub else "-", " ".join(corpus.languages)
        rows.append([corpus.name, ", ".join(corpus.roles), languages, f"{count:,}", hub])
    return [Table("Corpora", ["name", "roles", "languages", "rows", "hub"], rows)]


def _bases() -> list[Table]:
    tiny = f"{TinyConfig().parameters / 1e6:.1f} million"
    rows = [
        [WORLD, "1.9 million", "trained on the text of the embedded world", "--scale toy: the study in miniature"],
        [TINY, tiny, "random weights, tokens from the run's own corpora", "your own data; --scale sample"],
        ["a folder", "", "a model in safetensors on disk", "any data"],
        ["a hub name", "", "a model of the Hugging Face hub", "any data"],
    ]
    known = [[name, f"{base.parameters / 1e9:.1f} billion"] for name, base in BASES.items()]
    return [
        Table("Bases (--base)", ["base", "parameters", "what", "for"], rows, "docs/world.md says when to take which."),
        Table("Bases on the hub whose size plan knows; any other works too", ["hub name", "parameters"], known),
    ]


def _settings() -> list[Table]:
    samples = ", ".join(f"{scale.samples} at scale {scale.name}" for scale in SCALES.values())
    notes = {
        "training": f"In the place of `training`, {', '.join(TRAINING_STAGES)} sets one stage.",
        "generation": f"`sampling` in the place of `generation` sets what rejection sampling draws: {samples}, temperature 0.7. "
        "`teacher` there sets what MetaMath's teacher replies: 2, temperature 0.7.",
    }
    head = ["setting", "default", "values", "meaning"]
    return [
        Table(title, head, _rows(settings_of(stage), "name", "default", "values", "meaning"), notes.get(stage, ""))
        for stage, (_, title) in STAGES.items()
    ]


SECTIONS: Mapping[str, Callable[[], list[Table]]] = {
    "systems": _systems,
    "checkpoints": _checkpoints,
    "bases": _bases,
    "scales": lambda: [Table("Scales", ["name", "what"], _rows(SCALES.values(), "name", "title"))],
    "benchmarks": _benchmarks,
    "corpora": _corpora,
    "variants": lambda: [Table("Alignment variants", ["name", "what"], _rows(VARIANTS.values(), "name", "title"))],
    "languages": lambda: [
        Table("Languages", ["code", "name", "native"], _rows(LANGUAGES.values(), "code", "name", "native_name"))
    ],
    "settings": _settings,
}
"""What `list` lists, section by section."""


# --- settings ---------------------------------------------------------------------------------------------------------

STAGES: Mapping[str, tuple[type, str]] = {
    "training": (TrainingConfig, "Training"),
    "training.adapter": (Adapter, "The low-rank adapter"),
    "examples": (ExampleConfig, "Examples"),
    "reinforcement": (ReinforceConfig, "Reinforcement learning"),
    "generation": (DecodingConfig, "Generation"),
    "data": (DataConfig, "Data"),
    "programs": (ProgramConfig, "Programs"),
    "tiny": (TinyConfig, "The base named tiny"),
}
"""The first words of a setting, each with its config and its title."""
TRAINING_STAGES = (QUESTION, MULTILINGUAL, RESPONSE)
"""Words that may stand in the place of `training`: the setting then holds for that stage alone."""


@dataclass(frozen=True, slots=True)
class FieldReference:
    """One setting, in words."""

    name: str
    values: str
    default: str
    """The default at scale `paper`, and at other scales where it differs."""
    meaning: str


def settings_of(stage: str) -> list[FieldReference]:
    """The settings of a stage, in the order of its config."""
    config, _ = STAGES[stage]
    hints, texts = get_type_hints(config), meanings(config)
    rows = []
    for field in dataclasses.fields(config):
        values, default = values_in_words(hints[field.name]), default_in_words(stage, field)
        name = f"{stage}.{field.name}"
        rows.append(FieldReference(name=name, values=values, default=default, meaning=texts[field.name]))
    return rows


def default_in_words(stage: str, field: dataclasses.Field[object]) -> str:
    """The default of a field: the one at scale `paper`, then in brackets those of other scales where they differ."""
    if field.name == "seed":
        return "that of --seed"
    if (stage, field.name) == ("generation", "max_new_tokens"):
        return _limits()
    first, shown = _default(stage, field, "paper"), []
    for name, scale in SCALES.items():
        if (usual := _default(stage, field, name)) != first:
            shown.append(f"{name}: {usual}")
        for part, config in scale.stages.items() if stage == "training" else ():
            if (value := _plain(getattr(config, field.name))) != usual:
                shown.append(f"{name} {part}: {value}")
    return f"{first} ({', '.join(shown)})" if shown else first


def _default(stage: str, field: dataclasses.Field[object], scale: str) -> str:
    row = SCALES[scale]
    if stage == REINFORCEMENT:
        return _plain(getattr(row.reinforce, field.name))
    if stage in ("training", "data"):
        return _plain(getattr(getattr(row, stage), field.name))
    return _plain(row.precision if (stage, field.name) == ("generation", "precision") else field.default)


def _limits() -> str:
    """The limits on answers: by benchmark, and at most that of a scale."""
    by_limit: dict[int, list[str]] = {OWN_MAX_NEW_TOKENS: ["your own test set"]}
    for row in BENCHMARKS.values():
        by_limit.setdefault(row.max_new_tokens, []).append(row.name)
    limits = [f"{limit} ({', '.join(names)})" for limit, names in by_limit.items()]
    limits += [f"at most {row.max_new_tokens} at scale {row.name}" for row in SCALES.values() if row.max_new_tokens]
    return ", ".join(limits)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


# --- answers that exist already, whatever made them -------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ScoredFile:
    """The scores of a file by language, and what was read from each answer. Printed, it is their table."""

    file: Path
    scores: dict[str, Score]
    judgements: Sequence[Judgement]
    notes: Sequence[str]

    def table(self) -> Table:
        """The table of scores."""
        return score_table(str(self.file), self.scores, self.notes)

    def __str__(self) -> str:
        return text_of([self.table()])

    def __repr__(self) -> str:
        return f"<ScoredFile {self.file}, {len(self.judgements)} answers>"

    def _repr_markdown_(self) -> str:
        return self.table().markdown()


def score(
    file: Path | str, *, language: str | None = None, benchmark: str | None = None, test: Path | str | None = None,
    join: str | None = None, data: Path | str | None = None, language_file: Path | str | None = None,
    judgements: Path | str | None = None, runs: Path | str = "runs",
) -> ScoredFile:  # fmt: skip
    """Scores answers that exist already, under all rules. QAlignError where a name is unknown or the file lacks something.

    Args:
        file: JSONL, CSV or Parquet with the columns id, response and gold; docs/data.md has more.
        language: of all rows, where there is no column `language`.
        benchmark: whose gold answers are taken.
        test: a test set of your own whose gold answers are taken.
        join: how answers find their problems: by id, order or question.
        data: a folder with local copies of the corpora.
        language_file: a TOML file that describes further languages.
        judgements: a JSONL file for what was read from each answer.
        runs: the folder where hub revisions are recorded.
    """
    file, own = Path(file), str(test) if test is not None else None
    if benchmark is not None and own is not None:
        raise SettingError("--benchmark and --test both name a test set; give one of them")
    if join is not None and join not in JOINS:
        raise SettingError(f"unknown join '{join}': {nearest(join, JOINS)}")
    asked = benchmark or own
    if join is not None and asked is None:
        raise SettingError(f"--join {join} joins answers with a test set: give --benchmark NAME or --test PATH as well")
    kept = Path(judgements) if judgements is not None else None
    if kept is not None and kept.exists() and file.exists() and kept.samefile(file):
        raise SettingError(f"--judgements {kept} is the file that is scored; name another, or it would be lost")
    table = load_languages(Path(language_file) if language_file is not None else None)
    folder = Path(data) if data is not None else None
    problems = problems_of(asked, language, folder, Path(runs), table, own=own is not None) if asked else None
    scored = score_file(file, language, problems, table, join)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_jsonl(kept, scored.judgements)
    notes = [*scored.notes, *[f"Columns not used: {', '.join(scored.unused)}."] * bool(scored.unused)]
    return ScoredFile(file=file, scores=scores_of(scored.judgements), judgements=scored.judgements, notes=notes)
