"""A study: one base, one scale, one seed, and the corpora; it turns the steps of a recipe into stages.

A recipe calls these methods and returns the last training stage. Two recipes that take the same step get the same stage,
which then runs once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..alignment.tasks import VARIANTS
from ..alignment.templates import STUDY as PLAIN
from ..alignment.templates import ExampleConfig, TemplateName
from ..corpora import Role, locate
from ..corpora.local import languages_of
from ..corpora.source import OWN
from ..errors import SettingError, nearest
from ..evaluation.benchmarks import BENCHMARKS, OWN_MAX_NEW_TOKENS
from ..generation import DecodingConfig
from ..generation.bounded import address
from ..languages import LANGUAGES, STUDY, Language, as_rows, further_rows, load_languages, names_of, with_rows_of_models
from ..models.tiny import TinyConfig
from ..options import Setting, StudyOptions, check_values, codes, known_fields, taking
from ..paths import instead
from ..pipeline import Stage
from ..training.config import TrainingConfig
from ..training.policy import ReinforceConfig
from .artifacts import Answers, Examples, Model, Records
from .ask import Ask
from .bases import TINY, base, base_on_server, tiny_base
from .keep import Filter, Keep, RejectionSampling
from .kinds import Judge, MakeExamples, ReadCorpus, Train, languages_behind
from .names import test_set_name
from .presets import Preset
from .programs import ProgramConfig, by_programs
from .reinforce import Reinforce
from .scales import SCALES, DataConfig, Scale
from .settings import Settings

STUDIED = tuple(code for code in STUDY if code != "en")
"""The languages X of the study."""
LIMIT = "data.problems_per_language"
"""The setting that the option `limit` is short for."""


@known_fields("Study")
@dataclass(frozen=True, kw_only=True)
class Study:
    """What recipes are built from. Corpora are given by name or path; None takes the scale's. `languages` are the languages X
    of stage 1; `test_languages` those that are measured, None for all that the test set has. `tests` are names of benchmarks,
    or paths of own test sets."""

    base_name: str
    scale: Scale
    runs: Path
    seed: int = 1234
    languages: tuple[str, ...] = STUDIED
    test_languages: tuple[str, ...] | None = None
    questions: str | None = None
    multilingual: str | None = None
    english: str | None = None
    general: str | None = None
    teacher: str | None = None
    teacher_endpoint: str | None = field(default=None, repr=False)  # its URL may hold a password
    tests: tuple[str, ...] = ()
    data: Path | None = None
    table: Mapping[str, Language] = field(default_factory=lambda: LANGUAGES)
    settings: Settings = field(default_factory=Settings)
    system: str | None = None
    backend: str | None = None
    """What answers where no setting says, by default `transformers`."""
    published: bool = False
    """Whether published figures stand next to one's own."""

    def __post_init__(self) -> None:
        check_values(self)

    @property
    def base(self) -> Stage[Model]:
        """The model that training starts from."""
        if self.base_name != TINY:
            return base(self.base_name, self.runs)
        config = self.settings.apply(None, "tiny", TinyConfig(seed=self.seed))
        roles: tuple[Role, ...] = ("questions", "english", "multilingual")
        given = [role for role in roles if getattr(self, role)] or roles[:2]
        return tiny_base(config, {role: self.corpus(role) for role in given})

    def translation(self, variant: str = "x-en-questions") -> Stage[Examples]:
        """The examples of stage 1: a direction and a kind of parallel text."""
        if variant not in VARIANTS:
            raise SettingError(f"unknown alignment variant '{variant}': {nearest(variant, VARIANTS)}")
        roles: dict[str, Role] = {"question": "questions", "answer": "answers"}
        role = roles.get(VARIANTS[variant].kind, "general")
        return self.mixture(variant, variant, [self.corpus(role)], per_language=self.data_config.examples_per_language)

    def english_answers(self, corpus: str | None = None) -> Stage[Examples]:
        """English instruction data: monolingual supervision."""
        read, size = [self.corpus("english", corpus)], self.data_config.english_examples
        return self.mixture("english", "response", read, per_language=size)

    def multilingual_answers(self) -> Stage[Examples]:
        """Instruction data in all languages and English."""
        read, size = [self.corpus("multilingual")], self.data_config.examples_per_language
        return self.mixture("multilingual", "response", read, per_language=size)

    def mixture(
        self, name: str, task: str, corpora: Sequence[Stage[Records]], weights: Sequence[float] | None = None,
        per_language: int | None = None, template: TemplateName = PLAIN,
    ) -> Stage[Examples]:  # fmt: skip
        """Examples of a task: `response`, `text`, or an alignment variant. The examples of a corpus stand as often as its weight
        says, by default once. `per_language` is the size of a sample of each language and corpus. By default all are taken."""
        languages = {code: row for corpus in corpora for code, row in languages_behind(corpus).items()}
        return MakeExamples(
            name=f"examples-{name}", task=task, corpora=tuple(corpora),
            weights=tuple(map(float, weights if weights is not None else [1.0] * len(corpora))),
            examples_per_language=per_language, max_repetition=self.data_config.max_repetition, seed=self.seed,
            languages={} if task == "response" else {**names_of(["en"], self.table), **languages},
            form=ExampleConfig(template=template),
        )  # fmt: skip

    def train(
        self, step: str, model: Stage[Model], examples: Stage[Examples], default: TrainingConfig | None = None
    ) -> Train:
        """Trains a model on examples; `step` names the stage for people and for `--set`. The hyper-parameters are those given
        by `default`, else those of the scale."""
        config = replace(default or self.scale.stages.get(step, self.scale.training), seed=self.seed)
        return Train(
            name=f"train-{step}", step=step, model=model, examples=examples, training=config,
            further_languages=further_rows(self.table),
        )  # fmt: skip

    def reinforced(
        self, step: str, model: Stage[Model], problems: Sequence[Stage[Records]], default: ReinforceConfig | None = None
    ) -> Reinforce:
        """Trains a model by reinforcement learning on problems with known answers. `step` and `default` are as in `train`."""
        config = replace(default or self.scale.reinforce, seed=self.seed)
        languages = {code: None for records in problems for code in languages_behind(records)}
        return Reinforce(
            name=f"train-{step}", step=step, model=model, problems=tuple(problems), reinforce=config,
            languages=as_rows(languages, self.table), further_languages=further_rows(self.table),
        )  # fmt: skip

    def sampled(self, model: Stage[Model], problems: ReadCorpus, samples: int | None = None) -> Ask:
        """Several answers of a model to each problem, as published for rejection sampling (arXiv 2308.01825)."""
        decoding = replace(self._decoding(256), temperature=0.7, samples=samples or self.scale.samples)
        name = f"sample-{problems.source.name}"
        return self._asked(Ask(name=name, label="sampling", model=model, records=problems, decoding=decoding))

    def _asked(self, ask: Ask) -> Ask:
        """A stage with its settings, which may want the English questions."""
        ask = self.settings.tune(self.system, ask)
        if ask.decoding.question == "own" or not isinstance(ask.records, ReadCorpus):
            return ask
        return replace(ask, records=self.in_english(ask.records))

    def in_english(self, problems: ReadCorpus) -> ReadCorpus:
        """The problems of a parallel corpus, each with the English question of the same id."""
        if "en" not in problems.languages:
            raise SettingError(
                f"{problems.name} is read without English, so its problems cannot be asked in English; add en"
            )
        return replace(problems, english_questions=True)

    def taught(self, name: str, records: Stage[Records], template: str) -> Ask:
        """Two replies of the teacher about each record, as published for MetaMath (arXiv 2309.12284); by default the base's."""
        decoding, server = replace(self._decoding(1024), temperature=0.7, samples=2), None
        if self.teacher_endpoint is not None:
            try:
                address(self.teacher_endpoint)  # a wrong URL is an error before anything begins
            except SettingError as error:
                raise SettingError(str(error).replace("--endpoint", "--teacher-endpoint", 1)) from error
            if self.teacher is None:
                raise SettingError(
                    "a teacher's server is given and no teacher; give its name there with --teacher NAME"
                )
            decoding, server = replace(decoding, backend="endpoint"), (self.teacher_endpoint, self.teacher)
        elif self.settings.apply(self.system, "teacher", decoding).backend == "endpoint":
            raise SettingError(
                "teacher.backend=endpoint needs the teacher's server; give it with --teacher-endpoint URL"
            )
        if self.teacher == TINY:
            raise SettingError(
                f"the teacher {TINY} has random weights and nothing to say; give a folder, a hub name or world"
            )
        model = self.base if self.teacher is None else (base_on_server if server else base)(self.teacher, self.runs)
        return Ask(
            name=name,
            label="teacher",
            model=model,
            records=records,
            decoding=decoding,
            template=template,
            server=server,
        )

    def _decoding(self, limit: int) -> DecodingConfig:
        """Greedy decoding, up to a limit of tokens and that of the scale."""
        limit = min(limit, self.scale.max_new_tokens or limit)
        precision, backend = self.scale.precision, self.backend or "transformers"
        return DecodingConfig(max_new_tokens=limit, seed=self.seed, precision=precision, backend=backend)

    def kept(self, answers: Sequence[Stage[Answers]], problems: ReadCorpus, filter: Filter | None = None) -> Keep:
        """Records of the answers that a filter keeps; by default that of rejection sampling."""
        return Keep(
            name=f"kept-{problems.source.name}", answers=tuple(answers), problems=problems,
            filter=filter or RejectionSampling(), languages=as_rows(problems.languages, self.table),
        )  # fmt: skip

    def scored(self, model: Stage[Model], programs: bool = False, preset: Preset | None = None) -> dict[str, Judge]:
        """The stages that measure a model, asked as a preset says: judgements by name of the benchmark. An own test set has the
        name of its folder or file, marked where a benchmark has it. With `programs` the model is asked for programs first."""
        made: dict[str, Judge] = {}
        for test in self.tests or self.scale.benchmarks:
            label = test_set_name(test)
            if label in made:
                advice = "ask for it once" if test in BENCHMARKS else "rename the folder or file of one"
                raise SettingError(f"two test sets are named '{label}'; {advice}")
            made[label] = self._scored(test, label, model, programs, preset)
        return made

    def _scored(self, test: str, label: str, model: Stage[Model], programs: bool, preset: Preset | None) -> Judge:
        if test in BENCHMARKS:
            row, name = BENCHMARKS[test], test
            corpus, languages, limit = row.corpus, row.languages, row.max_new_tokens
        elif Path(test).exists():
            corpus, name, limit = test, OWN, OWN_MAX_NEW_TOKENS
            languages = self.test_languages or languages_of(Path(test), "test", self.table)
        else:
            advice = instead(test, f"{nearest(test, BENCHMARKS)} (or a path)")
            raise SettingError(f"'{test}' is neither a benchmark nor a path: {advice}")
        problems, decoding = self._read(corpus, "test", self.test_languages or languages), self._decoding(limit)
        if preset is not None:
            decoding = preset.native(self._decoding(preset.max_new_tokens or limit))
        answers = self._asked(
            Ask(name=f"generate-{name}", label=label, measures=True, model=model, records=problems, decoding=decoding)
        )
        if (samples := answers.decoding.samples) > 1:
            raise SettingError(f"generation.samples is {samples}; a model is measured by one answer each")
        rows, config = as_rows(problems.languages, self.table), ProgramConfig()
        given = by_programs(answers, label, self.settings.apply(None, "programs", config)) if programs else answers
        return Judge(name=f"score-{name}", label=label, answers=given, problems=problems, languages=rows)

    @property
    def data_config(self) -> DataConfig:
        """How much of the data is used."""
        return self.settings.apply(None, "data", self.scale.data)

    def corpus(self, role: Role, name: str | None = None) -> ReadCorpus:
        """A corpus in a role: the one named, else the one given to the study, else the scale's."""
        # The worked answers beside English ones come from the multilingual corpus: its rows are parallel.
        given = {"answers": self.multilingual}.get(role, getattr(self, role, None))
        default = {"answers": self.scale.multilingual}.get(role) or str(getattr(self.scale, role, ""))
        with_english = tuple(dict.fromkeys((*self.languages, "en")))
        languages = {"english": ("en",), "multilingual": with_english, "text": with_english}.get(role, self.languages)
        return self._read(name or given or default, role, languages)

    def _read(self, name: str, role: Role, languages: Sequence[str]) -> ReadCorpus:
        languages = sorted(set(languages))  # the order in which they were given decides nothing
        rows = names_of(languages, self.table)
        recorded, data = self.runs / "revisions.json", self.data_config
        source = locate(name, role, languages, data=self.data, revisions=recorded, table=self.table)
        first, label = data.problems_per_language if role == "test" else None, test_set_name(name)
        return ReadCorpus(
            name=f"corpus-{source.name}-{role}", source=source, languages=rows, drop_invalid=data.drop_invalid,
            problems_per_language=first, label=label if source.name == OWN else "",
        )  # fmt: skip


@taking(StudyOptions)
def study(options: StudyOptions) -> Study:
    """A study from its options, each by the name that the command line has for it. By default scale `paper`, base `tiny`."""
    scale = options.scale
    if isinstance(scale, str):
        if scale not in SCALES:
            raise SettingError(f"unknown scale '{scale}': {nearest(scale, SCALES)}")
        scale = SCALES[scale]
    if not isinstance(scale, Scale):
        raise SettingError(f"scale is {scale!r:.80}; give a name or a Scale")
    file, data = (None if path is None else Path(path) for path in (options.language_file, options.data))
    table = with_rows_of_models([str(options.base)], load_languages(file))
    chosen = codes(options.languages) or STUDIED
    names_of(chosen, table)  # an unknown code is an error before anything begins
    settings, test = settings_in(options.settings), options.test or ()
    if options.limit is not None:
        short = Setting(text=f"{LIMIT}={options.limit}")
        if twice := [setting for setting in settings if setting.name == LIMIT]:
            said = f"{twice[0].origin}{short.text}"
            raise SettingError(f"limit {options.limit} is short for {said}; give one of the two")
        settings = [*settings, short]
    corpora = {role: getattr(options, role) for role in ("questions", "multilingual", "english", "general")}
    made = Study(
        base_name=str(options.base), scale=scale, runs=Path(options.runs), seed=options.seed, languages=chosen,
        test_languages=codes(options.test_languages),  # a model that is measured may describe them
        **{role: None if corpus is None else str(corpus) for role, corpus in corpora.items()},
        tests=tuple(map(str, [test] if isinstance(test, str | Path) else test)),
        data=data, table=table, settings=Settings(given=settings), published=options.published,
        teacher=None if options.teacher is None else str(options.teacher), teacher_endpoint=options.teacher_endpoint,
    )  # fmt: skip
    made.settings.read_again(())
    return made


def settings_in(given: Sequence[str | Setting] | Mapping[str, object]) -> list[Setting]:
    """The settings of an option, whichever way they were given."""
    given = [given] if isinstance(given, str) else given
    texts = [f"{name}={value}" for name, value in given.items()] if isinstance(given, Mapping) else given
    return [one if isinstance(one, Setting) else Setting(text=one) for one in texts]
