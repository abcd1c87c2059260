"""Asking a model: about records as a stage of a study, or a few questions outside of any study."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from ..alignment.templates import STUDY, TEMPLATES, TemplateName
from ..errors import SettingError
from ..generation import DecodingConfig, Question, generate, open_backend
from ..generation.protocol import Request
from ..generation.run import KEPT
from ..pipeline import Stage, Work, local
from ..placement import Placement
from ..records import write_jsonl
from ..training.memory import out_of_memory_in_one_line
from .artifacts import PREDICTIONS, Answers, Model, Records
from .bases import WORLD, WORLD_FOLDER, checkpoint
from .kinds import PROMPT, SIZE_KNOWN_LATER, TRAIN, amount, name_of, names_behind, rows_of, template_of

PACKAGES = {
    "transformers": TRAIN, "vllm": ("vllm", "transformers"), "endpoint": ("openai",), "completions": ("openai", "transformers"),
}  # fmt: skip
"""By backend."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Ask(Stage[Answers]):
    """Asks a model about all records of a corpus, once or several times each."""

    version: ClassVar[int] = 3
    tuned: ClassVar[str] = "decoding"
    model: Stage[Model]
    records: Stage[Records]
    decoding: DecodingConfig
    template: str = "{question}"
    """What is asked about a record, with the names of its fields in braces."""
    prompt: tuple[str, str] = PROMPT
    label: str = local()
    """What people call the stage: the test set, where it measures."""
    server: tuple[str, str] | None = local(default=None, repr=False)
    """The URL of a server of its own, and its name for the model."""
    measures: bool = local(default=False)
    """Whether it measures a system; `--set generation.FIELD` means all stages that do."""

    def __post_init__(self) -> None:
        template, said = TEMPLATES[self.prompt_template], (*self.groups, self.title)[0]
        if self.decoding.question == "english" and not template.names_language:
            known = ", ".join(row.name for row in TEMPLATES.values() if row.names_language)
            raise SettingError(
                f"{said}.question=english: the template '{template.name}' does not name the language of the answer; give "
                f"{said}.template one of {known}, or question=own"
            )
        if self.decoding.backend == "endpoint" and template.name != STUDY:
            raise SettingError(
                f"{said}.backend=endpoint: a server puts its own chat template around a question, so '{template.name}' "
                "does not reach the model; use the backend completions, transformers or vllm, or template=study"
            )

    @property
    def prompt_template(self) -> TemplateName:
        """The name of the template: the one that was asked for, or that the model was trained with."""
        return self.decoding.template or template_of(self.model)

    @property
    def title(self) -> str:
        return self.label

    @property
    def groups(self) -> tuple[str, ...]:
        return ("generation",) if self.measures else ()

    def run(self, work: Work) -> None:
        """Asks, or goes on with what has not been answered yet."""
        asked = self.questions(work.read(self.records))
        questions = [replace(one, sample=sample) for one in asked for sample in range(self.decoding.samples)]
        placement = work.placement
        if self.server is not None:
            placement = replace(placement, endpoint=self.server[0], served_model=self.server[1])
        with out_of_memory_in_one_line("a lower --batch-size or fewer --jobs"):
            backend = open_backend(work.read(self.model).folder, self.decoding, placement)
            predictions = generate(questions, backend, work.scratch, self.identity, self.title, work.placement)
        if (close := getattr(backend, "close", None)) is not None:
            close()
        write_jsonl(work.output / PREDICTIONS, predictions)

    def questions(self, records: Records) -> list[Question]:
        """A question about each record."""
        template, names = TEMPLATES[self.prompt_template], names_behind([self.records])
        questions = []
        for row in records.rows():
            instruction, code = self.template.format_map(row), row["language"]
            own = None if template.name == STUDY else template.prompt(instruction, name_of(code, names))
            questions.append(Question(id=row["id"], language=code, instruction=instruction, own_prompt=own))
        return questions

    def packages(self, placement: Placement) -> Sequence[str]:
        """Those of the backend."""
        return PACKAGES.get(self.decoding.backend, ())

    def resume_point(self, scratch: Path) -> str:
        """The answers, behind the line that says to what they are."""
        file = scratch / KEPT
        with suppress(OSError), file.open("rb") as lines:
            return "with the answers that it has" if sum(1 for _ in lines) > 1 else ""
        return ""

    def size(self, runs: Path) -> str:
        """Problems by language, and the most tokens of an answer."""
        counts, exact = rows_of(self.records, runs)
        if not counts:
            return SIZE_KNOWN_LATER.format("test set" if self.measures else "corpus")
        samples = f" x {self.decoding.samples} answers" if self.decoding.samples > 1 else ""
        by = "" if self.decoding.backend == "transformers" else f", by {self.decoding.backend}"
        return f"{amount(counts, 'problem', exact)}{samples}, up to {self.decoding.max_new_tokens} tokens each{by}"


def ask(
    model: str | Path, questions: str | Iterable[str], *, max_new_tokens: int = 600, temperature: float = 0.0,
    seed: int = 1234, placement: Placement | None = None, runs: Path | str = "runs",
) -> list[str]:  # fmt: skip
    """The answers of a model to questions, in their order, under the study's prompt. The model is a folder, a hub name or
    `world`. Temperature 0 is greedy decoding; above 0 tokens are sampled. Hub revisions are recorded in the folder `runs`.
    QAlignError where the model or a value cannot be used."""
    decoding = DecodingConfig(max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)
    folder = WORLD_FOLDER if model == WORLD else checkpoint(str(model), Path(runs))
    texts = [questions] if isinstance(questions, str) else list(questions)
    answers: dict[str, str] = {}
    with out_of_memory_in_one_line("a lower batch_size"):
        backend = open_backend(folder, decoding, placement or Placement())
        requests = [Request(str(place), text) for place, text in enumerate(texts)]
        size = backend.chunk or max(1, len(requests))
        for start in range(0, len(requests), size):
            answers |= {one.key: one.text for one in backend.generate(requests[start : start + size])}
    return [answers[request.key] for request in requests]
