"""What `check` and `list` show: the counts of a corpus, and all that has a name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import get_args

from ..alignment.tasks import VARIANTS
from ..corpora import CORPORA, Role, locate, read
from ..corpora.local import languages_of
from ..corpora.source import OWN
from ..corpora.table import Corpus
from ..errors import SettingError, nearest
from ..evaluation.benchmarks import BENCHMARKS
from ..languages import LANGUAGES, STUDY, Language
from ..models.tiny import TinyConfig
from ..paths import instead
from ..records import Problem
from ..results.tables import Table
from ..results.titles import Titles
from ..wording import counted
from ..world.sets import SIZES
from .bases import TINY, WORLD
from .known import BASES
from .reference import STAGES, TRAINING_STAGES, settings_of
from .scales import SCALES
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
    rows = [
        [code, f"{count:,}", f"{published[code]:,}" if code in published else "-"]
        for code, count in text.counts.items()
    ]
    rows.append(["all", f"{sum(text.counts.values()):,}", f"{sum(published.values()):,}" if published else "-"])
    notes = [*text.notes, *(_of_own_data(roles[role], text.counts) if source.name == OWN else [])]
    note = " ".join(f"{note}." for note in notes)
    made = [Table(f"{corpus} as {role}", ["language", "rows", "published"], rows, note)]
    if text.dropped:
        made.append(Table("Dropped on request", ["where", "why"], [[d["where"], d["reason"]] for d in text.dropped]))
    return made


def _of_own_data(role: Role, counts: Mapping[str, int]) -> list[str]:
    """What there is to say of own data: of too few rows."""
    fewest = min(counts.values())
    if role == "test" and fewest < FEW_PROBLEMS:
        points = f"{50 / fewest**0.5:.0f} points"
        return [f"{fewest} problems in a language are few: a score on them has a standard error of up to {points}"]
    if role != "test" and sum(counts.values()) < FEW_EXAMPLES:
        return [
            f"{counted(sum(counts.values()), 'row')} are few to train on: `qalign plan` says how many steps they give, and "
            "which settings give more"
        ]
    return []


def _languages(corpus: str, role: Role, table: Mapping[str, Language]) -> tuple[str, ...]:
    if role == "english":
        return ("en",)
    path = Path(corpus)
    known = languages_of(path, role, table) if corpus not in CORPORA and path.exists() else STUDY
    if corpus in CORPORA:
        known = CORPORA[corpus].languages
    return tuple(code for code in known if role in ("multilingual", "test", "text") or code != "en")


def problems_of(
    test: str, language: str | None, data: Path | None, runs: Path, table: Mapping[str, Language], own: bool
) -> list[Problem]:
    """The problems of a benchmark, or of an own test set, whose predictions exist already.

    Args:
        test: the name of a benchmark, or a path.
        language: the only one that is asked for; by default all that the test set has.
        data: the folder with local copies of the corpora.
        runs: the folder where hub revisions are recorded.
        table: the languages.
        own: whether it is a path.
    """
    if own and not Path(test).exists():
        advice = instead(test, "check the path, or name a benchmark with --benchmark")
        raise SettingError(f"there is no test set at '{test}'; {advice}")
    if not own and test not in BENCHMARKS and os.path.exists(test):  # False for a name too long for a path
        raise SettingError(f"'{test}' is a path and no benchmark; give a test set of your own with --test {test}")
    if not own and test not in BENCHMARKS:
        raise SettingError(f"unknown benchmark '{test}': {nearest(test, BENCHMARKS)}")
    every = languages_of(Path(test), "test", table) if own and language is None else ()
    codes = (language,) if language else every or BENCHMARKS[test].languages
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
    """What has a name, in tables: one section of `SECTIONS`, or all but the settings.

    Raises:
        SettingError: there is no such section.
    """
    if section is None:
        return [table for name, tables in SECTIONS.items() if name != "settings" for table in tables()]
    if section not in SECTIONS:
        raise SettingError(f"nothing is listed under '{section}': {nearest(section, SECTIONS)}")
    return SECTIONS[section]()


def _systems() -> list[Table]:
    return [
        Table(
            "Systems", ["name", "system", "published mGSM, mSVAMP (7B)"],
            [
                [s.name, s.title, ", ".join(f"{s.published[b]['7B']}" for b in s.published) or "-"]
                for s in SYSTEMS.values()
            ],
        ),
        Table(
            "Published checkpoints (measure one with `qalign eval`, or take it for your own with `qalign adopt`)",
            ["system", "size", "hub"],
            [[s.name, size, hub] for s in SYSTEMS.values() for size, hub in s.checkpoints.items()],
        ),
    ]  # fmt: skip


def _scales() -> list[Table]:
    return [Table("Scales", ["name", "what"], [[s.name, s.title] for s in SCALES.values()])]


def _benchmarks() -> list[Table]:
    rows = [[b.name, b.title, " ".join(b.languages)] for b in BENCHMARKS.values()]
    return [Table("Benchmarks", ["name", "title", "languages"], rows)]


def _corpora() -> list[Table]:
    rows = [
        [
            c.name, ", ".join(c.roles), " ".join(c.languages), f"{rows_of(c):,}",
            c.hub.name if c.hub else "-",
        ]
        for c in CORPORA.values()
    ]  # fmt: skip
    return [Table("Corpora", ["name", "roles", "languages", "rows", "hub"], rows)]


def rows_of(corpus: Corpus) -> int:
    """The rows of a corpus in all languages: those published, or what the embedded world makes."""
    return sum(corpus.published.values()) or (SIZES[corpus.world] if corpus.world else 0)


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


def _variants() -> list[Table]:
    return [Table("Alignment variants", ["name", "what"], [[v.name, v.title] for v in VARIANTS.values()])]


def _languages_known() -> list[Table]:
    rows = [[row.code, row.name, row.native_name] for row in LANGUAGES.values()]
    return [Table("Languages", ["code", "name", "native"], rows)]


def _settings() -> list[Table]:
    head = ["setting", "default", "values", "meaning"]
    tables = [
        Table(title, head, [[row.name, row.default, row.values, row.meaning] for row in settings_of(stage)])
        for stage, (_, title) in STAGES.items()
    ]
    note = f"In the place of `training`, {', '.join(TRAINING_STAGES)} sets one stage."
    samples = ", ".join(f"{scale.samples} at scale {scale.name}" for scale in SCALES.values())
    drawn = f"`sampling` in the place of `generation` sets what rejection sampling draws: {samples}, temperature 0.7."
    notes = {"training": note, "generation": drawn}
    return [replace(table, note=notes.get(stage, "")) for stage, table in zip(STAGES, tables, strict=True)]


SECTIONS: Mapping[str, Callable[[], list[Table]]] = {
    "systems": _systems,
    "bases": _bases,
    "scales": _scales,
    "benchmarks": _benchmarks,
    "corpora": _corpora,
    "variants": _variants,
    "languages": _languages_known,
    "settings": _settings,
}
"""What `list` lists, section by section."""
