"""The kinds of stages: each says what it is made from, how it is made, and how large it will be.

A recipe of a user's own may use these, subclass them, or bring kinds of its own: a frozen dataclass that subclasses
`Stage[ARTIFACT]` and has a method `run`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from ..alignment import tasks
from ..alignment.prompts import PREFIX, SUFFIX
from ..alignment.templates import STUDY, TEMPLATES, ExampleConfig, TemplateName
from ..corpora import CORPORA, Source, Text, read
from ..corpora.local import parts
from ..errors import DataError, SettingError
from ..evaluation.extraction import RULES, RULES_VERSION
from ..evaluation.scores import judge, plain, score
from ..huggingface import Repository
from ..languages import KEPT_ROWS, Language, language, language_from
from ..models.folders import ADAPTER, ADAPTER_FOLDER, read_settings
from ..pipeline import Node, Stage, Work, local
from ..placement import Placement
from ..records import Document, Example, Pair, Problem, added, read_jsonl, write_json, write_jsonl
from ..training.config import FEW_STEPS, TrainingConfig
from ..untrusted import parse_json, printable
from ..wording import by_language, counted
from . import artifacts
from .artifacts import Answers, Examples, Judgements, Model, Records

TRAIN = ("torch", "transformers", "tokenizers", "accelerate", "safetensors", "numpy")
"""The packages of training and of the package's own generation."""
PROMPT = (PREFIX, SUFFIX)
KEPT_TEMPLATE = "prompt_template.json"
"""In a model's folder: the template that it was trained with, where that is not the study's."""
SIZE_KNOWN_LATER = "size known when its {} is read"

Rows = Mapping[str, Mapping[str, object]]
"""Languages as plain values, by code."""
Record = Document | Problem | Pair


def languages_behind(records: Node) -> Rows:
    """The languages of a stage that makes records, by code; those of its inputs where it names none."""
    inner = {code: row for stage in records.inputs.values() for code, row in languages_behind(stage).items()}
    own: Rows = getattr(records, "languages", inner)
    return own


def names_behind(stages: Iterable[Node]) -> dict[str, str]:
    """The English names of the languages that stand behind stages, by code."""
    rows = {code: row for stage in stages for code, row in languages_behind(stage).items()}
    return {code: str(row["name"]) for code, row in rows.items()}


def languages_of(rows: Rows) -> dict[str, Language]:
    """The languages, by code."""
    return {code: language_from(row, code) for code, row in rows.items()}


@dataclass(frozen=True, eq=False, kw_only=True)
class ReadCorpus(Stage[Records]):
    """Reads a corpus, whole and checked, and keeps what was asked for."""

    on_device: ClassVar[bool] = False
    source: Source
    """Where the corpus is. It is known by its content."""
    languages: Rows
    drop_invalid: bool = False
    problems_per_language: int | None = None
    """The first N problems, the same in every language."""
    label: str = local(default="")
    """What people call a corpus of their own."""
    english_questions: bool = added(False)
    """Whether each problem gets the English question with its id."""

    def run(self, work: Work) -> None:
        """Writes records and counts."""
        text = self.text()
        records: list[Document | Problem | Pair] = [*text.records]
        if self.english_questions:
            records = [*with_english_questions(text.problems)]
        if (first := self.problems_per_language) is not None:
            # The same problems in every language, or comparing languages would compare problems.
            wanted = set([record.id for record in records if record.language == records[0].language][:first])
            records = [record for record in records if record.id in wanted]
        kept = Counter(record.language for record in records)
        if first is not None and (short := [code for code in self.languages if kept[code] != len(wanted)]):
            raise DataError(
                f"the first {len(wanted)} problems of {records[0].language} are not all there in {', '.join(short)}: give "
                "problems that are translations of each other the same id, or measure on all "
                "(--set data.problems_per_language=none)"
            )
        write_jsonl(work.output / artifacts.RECORDS, records)
        counts = {"corpus": self.source.name, "counts": text.counts, "published": text.published, "kept": kept}
        write_json(work.output / artifacts.COUNTS, {**counts, "dropped": text.dropped, "notes": text.notes})

    def outdates(self, config: Mapping[str, object]) -> bool:
        """Whether it is of an earlier version of the embedded world."""
        source = config.get("source")
        return (
            self.source.kind == "world" and isinstance(source, dict) and source.get("revision") != self.source.revision
        )

    def text(self) -> Text:
        """The whole corpus."""
        rows = languages_of(self.languages)
        return read(self.source, list(rows), rows, drop_invalid=self.drop_invalid)

    @property
    def published(self) -> dict[str, int]:
        """The published rows by language; none for a user's own corpus."""
        rows = CORPORA[self.source.name].published if self.source.name in CORPORA else {}
        return {code: rows[code] for code in self.languages if code in rows}

    def packages(self, placement: Placement) -> list[str]:
        """What reads the hub's layout, or Parquet files."""
        source = self.source
        if source.kind == "files" and source.path is not None and source.path.is_dir():  # a file was opened before
            files = [file for part in parts(source.path, source.role, list(self.languages)) for file in part.files]
            return ["pyarrow"] if any(file.suffix == ".parquet" for file in files) else []
        layout = CORPORA[source.name].hub if source.kind in ("hub", "clone") else None
        of_layout = ["datasets"] if layout and layout.layout != "tsv" else []
        return [*of_layout, *["huggingface_hub"] * (source.kind == "hub")]

    @property
    def fetched(self) -> tuple[Repository, str] | None:
        """The dataset, where it comes from the hub."""
        hub, commit = self.source.hub, self.source.revision
        return None if hub is None or commit is None else (Repository("dataset", hub, self.source.role), commit)

    def size(self, runs: Path) -> str:
        """The published rows."""
        rows = self.published
        if not rows:
            return "size known when read"
        part = ""
        if (first := self.problems_per_language) is not None:
            part = f"; the first {counted(first, 'problem')} in each language are kept"
        return f"~{counted(sum(rows.values()), 'row')} to read ({by_language(rows)}){part}"


@dataclass(frozen=True, eq=False, kw_only=True)
class MakeExamples(Stage[Examples]):
    """Turns the records of one or several corpora into one mixture of examples."""

    on_device: ClassVar[bool] = False
    tuned: ClassVar[str] = "form"
    task: str
    """`response`, `text`, or an alignment variant."""
    corpora: tuple[Stage[Records], ...]
    weights: tuple[float, ...]
    """How often the examples of each corpus stand, on average."""
    examples_per_language: int | None
    """A random sample of so many of each language and corpus. None takes all."""
    max_repetition: float
    """How often an example may stand at most."""
    seed: int
    languages: Rows
    form: ExampleConfig = added(ExampleConfig())

    @property
    def groups(self) -> tuple[str, ...]:
        return ("examples",)

    def __post_init__(self) -> None:
        tasks.check_weights(self.weights, self.max_repetition)
        if len(self.weights) != len(self.corpora):
            what = f"{counted(len(self.weights), 'weight')} for {counted(len(self.corpora), 'part')}"
            raise SettingError(f"the mixture {self.name} has {what}; give one weight for each")

    def run(self, work: Work) -> None:
        """Writes examples and the table of the mixture."""
        rows, names = languages_of(self.languages), names_behind(self.corpora)
        parts = []
        for corpus, weight in zip(self.corpora, self.weights, strict=True):
            made = examples_of(self.task, records_for(self.task, work.read(corpus)), rows)
            examples = [self.form.example(one, name_of(one.language, names)) for one in made]
            parts.append(tasks.Part(examples=examples, weight=weight, examples_per_language=self.examples_per_language))
        mixture = tasks.mix(parts, self.seed, self.max_repetition)
        write_jsonl(work.output / artifacts.EXAMPLES, mixture)
        write_json(work.output / artifacts.MIXTURE, [asdict(row) for row in tasks.table(mixture)])

    def kept(self, counts: Mapping[str, int], weight: float) -> dict[str, int]:
        """How many examples a corpus of so many records gives, by language."""
        limit = self.examples_per_language
        return {code: round(weight * (n if limit is None else min(n, limit))) for code, n in counts.items()}

    def estimate(self, runs: Path) -> tuple[Counter[str], bool]:
        """Examples by language, and whether all corpora have been read."""
        counts, exact = Counter[str](), True
        for corpus, weight in zip(self.corpora, self.weights, strict=True):
            held, is_read = rows_of(corpus, runs)
            counts.update(self.kept(held, weight))
            exact &= is_read
        return counts, exact

    def size(self, runs: Path) -> str:
        """Examples by language."""
        counts, exact = self.estimate(runs)
        return amount(counts, "example", exact) if counts else SIZE_KNOWN_LATER.format("corpus")


def name_of(code: str, names: Mapping[str, str]) -> str:
    """The English name of a language, as a study has it; else that of the table."""
    return names.get(code) or language(code).name


def with_english_questions(problems: Sequence[Problem]) -> list[Problem]:
    """The problems, each with the English question of its id. Raises DataError where there is none."""
    english = {one.id: one.question for one in problems if one.language == "en"}
    if lacking := [one for one in problems if one.id not in english]:
        first = f"problem {printable(lacking[0].id)} ({lacking[0].language}) of {lacking[0].source}"
        raise DataError(
            f"{counted(len(lacking), 'problem')} cannot be asked in English, the first is {first}: no English problem has "
            "its id; add it, or ask each problem in its language"
        )
    return [replace(one, question=english[one.id]) for one in problems]


def amount(counts: Mapping[str, int], noun: str, exact: bool) -> str:
    """Counts by language, in words."""
    return f"{'' if exact else '~'}{counted(sum(counts.values()), noun)} ({by_language(counts)})"


def rows_of(records: Stage[Records], runs: Path) -> tuple[dict[str, int], bool]:
    """Records by language, and whether they have been read; those of a corpus that has not been count as published."""
    if (result := records.result(runs)) is not None:
        return result.counts().kept, True
    if not isinstance(records, ReadCorpus):
        return {}, False
    limit = records.problems_per_language
    return {code: n if limit is None else min(n, limit) for code, n in records.published.items()}, False


def records_for(task: str, records: Records) -> Iterator[Record]:
    """The records of the kind that a task takes."""
    path = records.folder / artifacts.RECORDS
    if task == "text":
        return read_jsonl(path, Document)
    return records.problems() if task == "response" else read_jsonl(path, Pair)


def examples_of(task: str, records: Iterable[Record], rows: Mapping[str, Language]) -> Iterator[Example]:
    """The examples of a task from records of its kind."""
    if task == "text":
        return tasks.text_examples(records)  # type: ignore[arg-type]
    if task == "response":
        return tasks.response_examples(records)  # type: ignore[arg-type]
    return tasks.translation_examples(tasks.VARIANTS[task], records, rows)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False, kw_only=True)
class Training(Stage[Model]):
    """Trains a model further: what the kinds of training share."""

    step: str
    """What people call the stage, in `--set` too."""
    model: Stage[Model]
    prompt: tuple[str, str] = PROMPT
    further_languages: Rows = local(default_factory=dict)
    """Languages that are not built in, as the run describes them. The model's folder keeps them."""

    @property
    def title(self) -> str:
        return self.step

    @property
    @abstractmethod
    def hyper_parameters(self) -> TrainingConfig:
        """Those of its optimizer steps."""

    def packages(self, placement: Placement) -> list[str]:
        """Those of training, of trackers, and what its settings ask for."""
        trackers = [name for name in placement.trackers if name != "tensorboard"]
        adapters = ["peft"] * (self.hyper_parameters.adapter is not None)
        optimizers = ["torchao"] * (self.hyper_parameters.optimizer == "adamw8bit")
        return [*TRAIN, *trackers, *adapters, *optimizers]

    def describe(self, output: Path) -> None:
        """Writes what a model's folder keeps of its languages, its prompt, and the base of its adapter."""
        if (
            self.model.fetched and (path := output / ADAPTER_FOLDER / ADAPTER).is_file()
        ):  # peft names a folder of the cache
            repository, commit = self.model.fetched
            write_json(path, {**read_settings(path), "base_model_name_or_path": repository.name, "revision": commit})
        if self.further_languages:
            write_json(output / KEPT_ROWS, self.further_languages)
        if (template := template_of(self)) != STUDY:
            write_json(output / KEPT_TEMPLATE, {"template": template})

    def resume_point(self, scratch: Path) -> str:
        """The last checkpoint."""
        steps = [int(path.name.removeprefix("step-")) for path in scratch.glob("step-[0-9]*") if path.is_dir()]
        return f"from step {max(steps):,}" if steps else ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Train(Training):
    """Fine-tunes a model on examples."""

    version: ClassVar[int] = 2
    tuned: ClassVar[str] = "training"
    examples: Stage[Examples]
    training: TrainingConfig

    @property
    def groups(self) -> tuple[str, ...]:
        return ("training",)

    @property
    def hyper_parameters(self) -> TrainingConfig:
        return self.training

    def run(self, work: Work) -> None:
        """Trains, or resumes from the last checkpoint."""
        from ..training.launch import launch
        from ..training.loop import Job

        job = Job(
            title=self.step, model=work.read(self.model).folder, examples=work.read(self.examples).path,
            output=work.output, scratch=work.scratch, config=self.training, placement=work.placement,
        )  # fmt: skip
        launch(job)
        self.describe(work.output)

    def size(self, runs: Path) -> str:
        """Examples, epochs and steps."""
        counts, mark = Counter[str](), "~"
        if (made := self.examples.result(runs)) is not None:
            counts, mark = made.by_language(), ""
        elif isinstance(self.examples, MakeExamples):
            counts, _ = self.examples.estimate(runs)
        if not (total := sum(counts.values())):
            return SIZE_KNOWN_LATER.format("corpus")
        steps = f"{mark}{counted(self.training.steps(total), 'step')} of {self.training.global_batch_size}"
        if (epochs := self.training.epochs_seen(total)) < self.training.epochs:
            steps += f": stops at max_steps={self.training.max_steps}, after {epochs:.2g} epochs"
        few = " (few to learn from)" if replace(self.training, max_steps=None).steps(total) < FEW_STEPS else ""
        return f"{mark}{counted(total, 'example')} x {counted(self.training.epochs, 'epoch')}, {steps}{few}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Judge(Stage[Judgements]):
    """Judges answers under all rules and counts."""

    version: ClassVar[int] = RULES_VERSION
    on_device: ClassVar[bool] = False
    answers: Stage[Answers]
    problems: Stage[Records]
    languages: Rows
    rules: tuple[str, ...] = field(default_factory=lambda: tuple(RULES))
    label: str = local(default="")
    """What people call the test set."""

    def run(self, work: Work) -> None:
        """Writes judgements and scores."""
        problems, answers = work.read(self.problems).problems(), work.read(self.answers).predictions()
        judgements = judge(problems, answers, languages_of(self.languages), self.rules)
        write_jsonl(work.output / artifacts.JUDGEMENTS, judgements)
        write_json(work.output / artifacts.SCORES, plain(score(judgements)))


def template_of(model: Stage[Model]) -> TemplateName:
    """The template that a model was trained with: that of its examples, or the one that its folder names."""
    if isinstance(model, Train) and isinstance(model.examples, MakeExamples):
        return model.examples.form.template
    if isinstance(model, Training) and not isinstance(model, Train):
        return template_of(model.model)
    if model.given is None or not (path := model.given / KEPT_TEMPLATE).is_file():
        return STUDY
    kept = parse_json(path.read_bytes(), str(path))
    template = next((name for name in TEMPLATES if kept == {"template": name}), None)
    if template is None:
        raise DataError(
            f"{path} does not name a prompt template of this version ({', '.join(TEMPLATES)}); write one there, as in "
            f'{{"template": "{STUDY}"}}'
        )
    return template
