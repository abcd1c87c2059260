"""A study: one base, one scale, one seed, and the corpora; it turns the steps of a recipe into stages.

A recipe calls these methods and returns the last training stage. Two recipes that take the same step get the same stage,
which then runs once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..alignment.prompts import PREFIX, SUFFIX
from ..alignment.translation import VARIANTS
from ..corpora import CORPORA, Role, locate
from ..corpora.local import languages_of
from ..corpora.source import OWN
from ..errors import SettingError, nearest
from ..evaluation.benchmarks import BENCHMARKS, OWN_MAX_NEW_TOKENS
from ..evaluation.extraction import RULES_VERSION
from ..generation import DecodingConfig
from ..languages import LANGUAGES, STUDY, Language, as_rows, names_of
from ..models.tiny import TinyConfig
from ..paths import instead
from ..pipeline import Stage
from ..training.config import TrainingConfig
from . import sizes, stages
from .bases import TINY, base, tiny_base
from .names import test_set_name
from .scales import DataConfig, Scale
from .settings import Settings


@dataclass(frozen=True)
class Study:
    """What recipes are built from. Corpora are given by name or path; None takes the scale's.

    `languages` are the languages X of stage 1; `test_languages` those that are measured, None for all that the test
    set has. `tests` are names of benchmarks, or paths of own test sets.
    """

    base_name: str
    scale: Scale
    runs: Path
    seed: int = 1234
    languages: tuple[str, ...] = tuple(code for code in STUDY if code != "en")
    test_languages: tuple[str, ...] | None = None
    questions: str | None = None
    multilingual: str | None = None
    english: str | None = None
    general: str | None = None
    tests: tuple[str, ...] = ()
    data: Path | None = None
    table: Mapping[str, Language] = field(default_factory=lambda: LANGUAGES)
    settings: Settings = field(default_factory=Settings)
    system: str | None = None

    # --- what a recipe is made of ---------------------------------------------------------------------------------

    @property
    def base(self) -> Stage:
        """The model that training starts from."""
        if self.base_name != TINY:
            return base(self.base_name, self.runs)
        config = self.settings.apply(None, "tiny", TinyConfig(seed=self.seed))
        roles: tuple[Role, ...] = ("questions", "english", "multilingual")
        given = [role for role in roles if getattr(self, role)] or roles[:2]
        return tiny_base(config, {role: self.corpus(role) for role in given})

    def translation(self, variant: str = "x-en-questions") -> Stage:
        """The examples of stage 1: a direction and a kind of parallel text."""
        if variant not in VARIANTS:
            raise SettingError(f"unknown alignment variant '{variant}': {nearest(variant, VARIANTS)}")
        kind = VARIANTS[variant].kind
        role: Role = "questions" if kind == "question" else "answers" if kind == "answer" else "general"
        return self.mixture(variant, variant, [self.corpus(role)], per_language=self.data_config.examples_per_language)

    def english_answers(self, corpus: str | None = None) -> Stage:
        """English instruction data: monolingual supervision."""
        return self.mixture(
            "english", "response", [self.corpus("english", corpus)], per_language=self.data_config.english_examples
        )

    def multilingual_answers(self) -> Stage:
        """Instruction data in all languages and English."""
        return self.mixture(
            "multilingual",
            "response",
            [self.corpus("multilingual")],
            per_language=self.data_config.examples_per_language,
        )

    def mixture(
        self,
        name: str,
        task: str,
        corpora: Sequence[Stage],
        weights: Sequence[float] | None = None,
        per_language: int | None = None,
    ) -> Stage:
        """Examples of a task ("response", or an alignment variant) from corpora, by weight (1 each by default), with a
        sample of `per_language` examples of each language and corpus (None: all)."""
        weights = weights if weights is not None else [1.0] * len(corpora)
        parts = {str(place): corpus for place, corpus in enumerate(corpora)}
        languages = {code: row for corpus in corpora for code, row in corpus.config["languages"].items()}
        config = {
            "task": task,
            "weights": {place: float(weight) for place, weight in zip(parts, weights, strict=True)},
            "examples_per_language": per_language,
            "max_repetition": self.data_config.max_repetition,
            "seed": self.seed,
            "languages": {} if task == "response" else {**names_of(["en"], self.table), **languages},
        }

        def size(inputs: Mapping[str, Path]) -> str:
            return sizes.examples(config, inputs, parts)

        return Stage(f"examples-{name}", 1, config, stages.make_examples, parts, size=size)

    def train(self, stage: str, model: Stage, examples: Stage, default: TrainingConfig | None = None) -> Stage:
        """Trains `model` on `examples`. `stage` names the step for people and for `--set`; what is set of `training`
        holds for all steps. `default` is used instead of the scale's hyper-parameters."""
        default = default or self.scale.stages.get(stage, self.scale.training)
        config = self.settings.apply(self.system, "training", replace(default, seed=self.seed))
        config = self.settings.apply(self.system, stage, config)
        return Stage(
            f"train-{stage}",
            2,
            {"stage": stage, "training": _plain(config), "prompt": [PREFIX, SUFFIX]},
            stages.train,
            {"model": model, "examples": examples},
            size=lambda inputs: sizes.training(config, inputs, examples),
        )

    # --- measuring ------------------------------------------------------------------------------------------------

    def scored(self, model: Stage) -> dict[str, Stage]:
        """The stages that measure a model: scores by name of the benchmark; an own test set has the name of its folder
        or file, marked where a benchmark has it."""
        made: dict[str, Stage] = {}
        for test in self.tests or self.scale.benchmarks:
            name = test_set_name(test)
            if name in made:
                advice = "ask for it once" if test in BENCHMARKS else "rename the folder or file of one"
                raise SettingError(f"two test sets are named '{name}'; {advice}")
            made[name] = self._scored(test, model)
        return made

    def _scored(self, test: str, model: Stage) -> Stage:
        name = test if test in BENCHMARKS else OWN
        corpus = self._test(test)
        limit = BENCHMARKS[test].max_new_tokens if test in BENCHMARKS else OWN_MAX_NEW_TOKENS
        limit = min(limit, self.scale.max_new_tokens or limit)
        default = DecodingConfig(max_new_tokens=limit, seed=self.seed, precision=self.scale.precision)
        decoding = self.settings.apply(self.system, "generation", default)
        local = {"title": test_set_name(test)} if name == OWN else {}
        predictions = Stage(
            f"generate-{name}",
            2,
            {"decoding": _plain(decoding), "title": name, "prompt": [PREFIX, SUFFIX]},
            stages.predict,
            {"model": model, "test": corpus},
            local=local,
            size=lambda inputs: sizes.generation(decoding, inputs, corpus),
        )
        config = {"languages": as_rows(corpus.config["languages"], self.table)}
        inputs = {"predictions": predictions, "test": corpus}
        return Stage(f"score-{name}", RULES_VERSION, config, stages.score_predictions, inputs, local)

    def _test(self, test: str) -> Stage:
        if test in BENCHMARKS:
            return self._read(BENCHMARKS[test].corpus, "test", self.test_languages or BENCHMARKS[test].languages)
        if not Path(test).exists():
            advice = instead(test, f"{nearest(test, BENCHMARKS)} (or a path)")
            raise SettingError(f"'{test}' is neither a benchmark nor a path: {advice}")
        return self._read(test, "test", self.test_languages or languages_of(Path(test), "test", self.table))

    # --- stages ---------------------------------------------------------------------------------------------------

    @property
    def data_config(self) -> DataConfig:
        """How much of the data is used."""
        return self.settings.apply(None, "data", self.scale.data)

    def corpus(self, role: Role, name: str | None = None) -> Stage:
        """A corpus in a role: the one named, else the one given to the study, else the scale's."""
        # The worked answers beside English ones come from the multilingual corpus: its rows are parallel.
        given = {"answers": self.multilingual}.get(role, getattr(self, role, None))
        default = {"answers": self.scale.multilingual}.get(role) or str(getattr(self.scale, role, ""))
        with_english = tuple(dict.fromkeys((*self.languages, "en")))
        languages = {"english": ("en",), "multilingual": with_english, "text": with_english}.get(role, self.languages)
        return self._read(name or given or default, role, languages)

    def _read(self, name: str, role: Role, languages: Sequence[str]) -> Stage:
        # Sorted: the order in which languages were given decides nothing.
        languages = sorted(set(languages))
        source = locate(name, role, languages, data=self.data, revision=None, revisions=self.runs / "revisions.json")
        data = self.data_config
        config: dict[str, Any] = {
            "source": source.identity(),
            "languages": names_of(languages, self.table),
            "drop_invalid": data.drop_invalid,
            "problems_per_language": data.problems_per_language if role == "test" else None,
        }
        published = CORPORA[source.name].published if source.name in CORPORA else {}
        return Stage(
            f"corpus-{source.name}-{role}",
            1,
            config,
            stages.read_corpus,
            local={"source": source, **({"title": test_set_name(name)} if source.name == OWN else {})},
            size=lambda inputs: sizes.corpus({code: published[code] for code in languages if code in published}),
        )


def _plain(config: TrainingConfig | DecodingConfig) -> dict[str, Any]:
    """A config as plain values, tuples as lists."""
    return {
        key: {k: list(v) if isinstance(v, tuple) else v for k, v in value.items()} if isinstance(value, dict) else value
        for key, value in asdict(config).items()
    }
